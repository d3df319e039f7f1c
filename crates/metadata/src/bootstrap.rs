//! The first records of a new cluster: its feature levels, as one metadata transaction.

use strom_protocol::MetadataRecord;
use strom_protocol::abort_transaction_record::AbortTransactionRecord;
use strom_protocol::begin_transaction_record::BeginTransactionRecord;
use strom_protocol::end_transaction_record::EndTransactionRecord;
use strom_protocol::feature_level_record::FeatureLevelRecord;

use crate::controller::configs::{MIN_INSYNC_REPLICAS, config_record};
use crate::controller::{Controller, RecordBytes, encode};
use crate::features::{
    ELIGIBLE_LEADER_REPLICAS, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_LATEST, SUPPORTED,
};
use crate::image::{ConfigResource, Image, ReplayError};
use crate::record_versions::RecordVersions;

/// Levels of a new cluster, `metadata.version` first; what `strom storage format` decided or the
/// latest ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapLevels(Vec<(String, i16)>);

impl Default for BootstrapLevels {
    fn default() -> Self {
        let levels = SUPPORTED.iter().map(|it| (it.name, it.default_level));
        Self::new(METADATA_VERSION_LATEST.level, levels)
    }
}

impl BootstrapLevels {
    /// Levels of the other features, of which those that are off are left out, and the level of the
    /// quorum, which stands in a control record.
    pub fn new<'a>(metadata_version: i16, others: impl Iterator<Item = (&'a str, i16)>) -> Self {
        let mut levels = vec![(METADATA_VERSION.to_owned(), metadata_version)];
        let is_apart = |name: &str| matches!(name, METADATA_VERSION | KRAFT_VERSION);
        let others = others.filter(|(name, level)| !is_apart(name) && *level > 0);
        let mut others: Vec<_> = others.map(|(name, level)| (name.to_owned(), level)).collect();
        others.sort();
        levels.extend(others);
        Self(levels)
    }

    /// 0 for a feature that is off.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        self.0.iter().find(|(known, _)| known == name).map_or(0, |(_, level)| *level)
    }

    /// In the order of the records.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.0.iter().map(|(name, level)| (name.as_str(), *level))
    }

    /// As records: the content of `bootstrap.checkpoint`.
    #[must_use]
    pub fn records(&self) -> Vec<RecordBytes> {
        let record = |(name, feature_level): &(String, i16)| {
            let record =
                FeatureLevelRecord { name, feature_level: *feature_level, ..Default::default() };
            encode(&MetadataRecord::FeatureLevel(record), 0)
        };
        self.0.iter().map(record).collect()
    }
}

/// Records for an empty log that nobody chose levels for.
#[must_use]
pub fn records(min_insync_replicas: &str) -> Vec<RecordBytes> {
    let levels = BootstrapLevels::default();
    let has_elr = levels.level(ELIGIBLE_LEADER_REPLICAS) > 0;
    wrap(
        levels.records(),
        levels.level(METADATA_VERSION),
        Some(min_insync_replicas).filter(|_| has_elr),
    )
}

/// Records for an empty log out of those that `bootstrap.checkpoint` holds, as one transaction.
/// `min_insync_replicas` is this node's own value: with eligible leader replicas the cluster has
/// to have one (KIP-966).
///
/// # Errors
/// When the records do not fit together.
pub fn first_records(
    bootstrap: Vec<RecordBytes>,
    min_insync_replicas: &str,
) -> Result<Vec<RecordBytes>, ReplayError> {
    let mut controller = Controller::default();
    for (offset, record) in (0..).zip(&bootstrap) {
        controller.replay(offset, record)?;
    }
    let features = &controller.image().features;
    let has_elr = features.level(ELIGIBLE_LEADER_REPLICAS) > 0;
    let min_insync_replicas = Some(min_insync_replicas).filter(|_| has_elr);
    Ok(wrap(bootstrap, features.metadata_version(), min_insync_replicas))
}

fn wrap(
    bootstrap: Vec<RecordBytes>,
    metadata_version: i16,
    min_insync_replicas: Option<&str>,
) -> Vec<RecordBytes> {
    let has_transactions = RecordVersions(metadata_version).has_transactions();
    let mut records = Vec::new();
    if has_transactions {
        let begin =
            BeginTransactionRecord { name: Some("Bootstrap records"), ..Default::default() };
        records.push(encode(&MetadataRecord::BeginTransaction(begin), 0));
    }
    records.extend(bootstrap);
    if let Some(value) = min_insync_replicas {
        records.push(config_record(&ConfigResource::cluster(), MIN_INSYNC_REPLICAS, Some(value)));
    }
    if has_transactions {
        let end = EndTransactionRecord::default();
        records.push(encode(&MetadataRecord::EndTransaction(end), 0));
    }
    records
}

/// What a controller writes before anything else: an end for a transaction whose controller did not
/// live to end it.
#[must_use]
pub fn activation_records(image: &Image) -> Vec<RecordBytes> {
    if !image.in_transaction() {
        return Vec::new();
    }
    // Apache Kafka's words.
    let is_bootstrap = image.features.is_empty();
    let reason = if is_bootstrap { "partial bootstrap transaction" } else { "failover" };
    let reason = Some(reason);
    let abort = AbortTransactionRecord { reason, ..Default::default() };
    vec![encode(&MetadataRecord::AbortTransaction(abort), 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_has_the_default_levels() {
        let mut controller = Controller::default();
        for (offset, record) in records("1").iter().enumerate() {
            assert!(controller.image().features.is_empty(), "visible before the end");
            assert!(controller.replay(offset as i64, record).is_ok());
        }
        let image = controller.image();
        assert_eq!(image.features.level(METADATA_VERSION), 30);
        assert_eq!(image.features.level("transaction.version"), 2);
        assert_eq!(image.features.level("kraft.version"), 0);
        let cluster = ConfigResource::cluster();
        assert_eq!(image.configs.value(&cluster, MIN_INSYNC_REPLICAS), Some("1"));
    }

    #[test]
    fn a_transaction_without_an_end_is_aborted() {
        let mut controller = Controller::default();
        assert!(activation_records(controller.image()).is_empty());
        let records = records("1");
        for (offset, record) in (0..).zip(&records[..4]) {
            assert!(controller.replay(offset, record).is_ok());
        }
        let aborts = activation_records(controller.image());
        assert!(controller.replay(4, &aborts[0]).is_ok());
        assert_eq!(controller.image(), &Image::default());
    }
}
