//! The first records of a new cluster: its feature levels, as one metadata transaction.

use strom_protocol::MetadataRecord;
use strom_protocol::begin_transaction_record::BeginTransactionRecord;
use strom_protocol::end_transaction_record::EndTransactionRecord;
use strom_protocol::feature_level_record::FeatureLevelRecord;

use crate::controller::{RecordBytes, encode};
use crate::features::{METADATA_VERSION, SUPPORTED};

/// Records for an empty log; `metadata.version` first, for it says how to read the rest. The level
/// of kraft.version stands in control records, not here.
#[must_use]
pub fn records() -> Vec<RecordBytes> {
    let level = |name, feature_level| {
        let record = FeatureLevelRecord { name, feature_level, ..Default::default() };
        encode(&MetadataRecord::FeatureLevel(record), 0)
    };
    let begin = BeginTransactionRecord { name: Some("Bootstrap records"), ..Default::default() };
    let mut records = vec![encode(&MetadataRecord::BeginTransaction(begin), 0)];
    let others = SUPPORTED.iter().filter(|feature| feature.name != METADATA_VERSION);
    let first = SUPPORTED.iter().filter(|feature| feature.name == METADATA_VERSION);
    records.extend(
        first
            .chain(others)
            .filter(|it| it.default_level > 0)
            .map(|it| level(it.name, it.default_level)),
    );
    let end = EndTransactionRecord::default();
    records.push(encode(&MetadataRecord::EndTransaction(end), 0));
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Controller;

    #[test]
    fn a_new_cluster_has_the_default_levels() {
        let mut controller = Controller::default();
        for (offset, record) in records().iter().enumerate() {
            assert!(controller.replay(offset as i64, record).is_ok());
        }
        assert_eq!(controller.image().features.level(METADATA_VERSION), 30);
        assert_eq!(controller.image().features.level("transaction.version"), 2);
        assert_eq!(controller.image().features.level("kraft.version"), 0);
    }
}
