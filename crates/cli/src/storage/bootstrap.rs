//! The files that a formatted folder begins with, as bytes.

use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use strom_base::Uuid;
use strom_metadata::features::METADATA_VERSION;
use strom_protocol::feature_level_record::FeatureLevelRecord;
use strom_protocol::kraft_version_record::KRaftVersionRecord;
use strom_protocol::records::{BatchBuilder, BatchOptions, ControlType, NewRecord, control_batch};
use strom_protocol::snapshot_footer_record::SnapshotFooterRecord;
use strom_protocol::snapshot_header_record::SnapshotHeaderRecord;
use strom_protocol::voters_record::{Endpoint, KRaftVersionFeature, Voter, VotersRecord};
use strom_protocol::{Message, MetadataRecord, Writer};

pub(super) const BOOTSTRAP_CHECKPOINT: &str = "bootstrap.checkpoint";
/// The snapshot before the first record of the metadata log: offset 0, epoch 0.
pub(super) const VOTERS_CHECKPOINT: &str = "00000000000000000000-0000000000.checkpoint";

/// One voter of a dynamic quorum.
#[derive(Clone, Debug)]
pub(super) struct NewVoter {
    pub(super) voter_id: i32,
    pub(super) directory_id: Uuid,
    pub(super) listener: String,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The levels that stand in the metadata log: `metadata.version` first, none that is 0.
pub(super) fn recorded(levels: &BTreeMap<String, i16>) -> Vec<(&str, i16)> {
    let mut recorded: Vec<(&str, i16)> = levels
        .iter()
        .filter(|(name, level)| *name != super::features::KRAFT_VERSION && **level > 0)
        .map(|(name, level)| (name.as_str(), *level))
        .collect();
    recorded.sort_by_key(|(name, _)| *name != METADATA_VERSION);
    recorded
}

/// `bootstrap.checkpoint`: the feature levels between the marks of a snapshot.
pub(super) fn checkpoint(levels: &BTreeMap<String, i16>, now_ms: i64) -> Outcome<Vec<u8>> {
    let header = SnapshotHeaderRecord::default().to_bytes(0).map_err(ours)?;
    let options = BatchOptions { base_offset: 1, partition_leader_epoch: 0, ..Default::default() };
    let mut builder = BatchBuilder::new(options);
    for (name, feature_level) in recorded(levels) {
        let record = FeatureLevelRecord { name, feature_level, ..Default::default() };
        let mut writer = Writer::new();
        MetadataRecord::FeatureLevel(record).encode(&mut writer, 0).map_err(ours)?;
        let value = Some(writer.bytes.as_slice());
        let record = NewRecord { timestamp_ms: now_ms, value, ..Default::default() };
        builder.append(&record).map_err(ours)?;
    }
    let next_offset = builder.next_offset();
    let marks = [(ControlType::SnapshotHeader, header.as_slice())];
    let mut bytes = control_batch(0, 0, now_ms, &marks).map_err(ours)?;
    bytes.extend(builder.build());
    bytes.extend(footer(next_offset, now_ms)?);
    Ok(bytes)
}

/// The snapshot that tells the first voters of a dynamic quorum.
pub(super) fn voters_checkpoint(voters: &[NewVoter], now_ms: i64) -> Outcome<Vec<u8>> {
    let header =
        SnapshotHeaderRecord { last_contained_log_timestamp: now_ms, ..Default::default() };
    let version = KRaftVersionRecord { kraft_version: 1, ..Default::default() };
    let voters = voters.iter().map(|voter| Voter {
        voter_id: voter.voter_id,
        voter_directory_id: voter.directory_id,
        endpoints: vec![Endpoint {
            name: &voter.listener,
            host: &voter.host,
            port: voter.port,
            ..Default::default()
        }],
        kraft_version_feature: KRaftVersionFeature {
            min_supported_version: 0,
            max_supported_version: 1,
            ..Default::default()
        },
        ..Default::default()
    });
    let voters = VotersRecord { voters: voters.collect(), ..Default::default() };
    let header = header.to_bytes(0).map_err(ours)?;
    let version = version.to_bytes(0).map_err(ours)?;
    let voters = voters.to_bytes(0).map_err(ours)?;
    let marks = [
        (ControlType::SnapshotHeader, header.as_slice()),
        (ControlType::KraftVersion, version.as_slice()),
        (ControlType::KraftVoters, voters.as_slice()),
    ];
    let mut bytes = control_batch(0, 0, now_ms, &marks).map_err(ours)?;
    bytes.extend(footer(3, now_ms)?);
    Ok(bytes)
}

fn footer(offset: i64, now_ms: i64) -> Outcome<Vec<u8>> {
    let footer = SnapshotFooterRecord::default().to_bytes(0).map_err(ours)?;
    control_batch(offset, 0, now_ms, &[(ControlType::SnapshotFooter, &footer)]).map_err(ours)
}

/// Nothing that an operator gave can fail here.
fn ours(error: impl std::error::Error) -> Failure {
    Failure::said(format!("the first records cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::records;

    #[test]
    fn a_bootstrap_snapshot_is_marks_around_the_levels() {
        let levels = super::super::features::levels(None, &[]).unwrap();
        let bytes = checkpoint(&levels, 1).unwrap();
        // The same size as the file that Apache Kafka 4.3.1 writes.
        assert_eq!(bytes.len(), 411);
        let batches: Vec<_> = records::batches(&bytes).map(|batch| batch.unwrap().header).collect();
        let offsets: Vec<_> = batches.iter().map(|header| header.base_offset).collect();
        assert_eq!(offsets, [0, 1, 7]);
        assert!(batches[0].is_control() && !batches[1].is_control() && batches[2].is_control());
    }
}
