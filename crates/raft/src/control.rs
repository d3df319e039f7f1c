//! Control records of the metadata log: who leads, who votes, where a snapshot begins and ends
//! (KIP-595, KIP-630, KIP-853).

use strom_protocol::kraft_version_record::KRaftVersionRecord;
use strom_protocol::leader_change_message::{LeaderChangeMessage, Voter as WireVoter};
use strom_protocol::records::control::{ControlType, control_batch, control_type};
use strom_protocol::records::{BatchError, HEADER_LENGTH, RawBatch};
use strom_protocol::snapshot_footer_record::SnapshotFooterRecord;
use strom_protocol::snapshot_header_record::SnapshotHeaderRecord;
use strom_protocol::{DecodeError, EncodeError, Message};

use crate::voters::VoterSet;

/// A control record with its value.
pub(crate) type ControlRecord = (ControlType, Vec<u8>);

/// Why a control batch cannot be read or made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("a control record cannot be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("a control record cannot be made: {0}")]
    Encode(#[from] EncodeError),
}

/// What the control records of snapshot and log say of the quorum. It counts once it is in the log,
/// committed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlState {
    /// 0: the voters stand in the configuration.
    pub kraft_version: i16,
    /// The last set, and the offset of its record; -1 for one that stood in the snapshot.
    pub voters: Option<(VoterSet, i64)>,
}

impl ControlState {
    /// Takes in a batch of the log; one without control records says nothing.
    ///
    /// # Errors
    /// When a record is malformed.
    pub fn replay(&mut self, batch: &RawBatch<'_>) -> Result<(), ControlError> {
        self.replay_at(batch, |offset| offset)
    }

    /// Takes in a batch of the snapshot.
    pub(crate) fn replay_snapshot(&mut self, batch: &RawBatch<'_>) -> Result<(), ControlError> {
        self.replay_at(batch, |_| -1)
    }

    fn replay_at(
        &mut self,
        batch: &RawBatch<'_>,
        place: impl Fn(i64) -> i64,
    ) -> Result<(), ControlError> {
        if !batch.header.is_control() {
            return Ok(());
        }
        // Control batches are never compressed: the body is the records.
        let body = batch.bytes.get(HEADER_LENGTH..).unwrap_or_default();
        for record in batch.header.records(body) {
            let record = record?;
            let value = record.value.unwrap_or_default();
            match control_type(&record)? {
                Some(ControlType::KraftVersion) => {
                    self.kraft_version = KRaftVersionRecord::from_bytes(value, 0)?.kraft_version;
                }
                Some(ControlType::KraftVoters) => {
                    let offset = place(batch.header.offset_of(&record));
                    self.voters = Some((VoterSet::decode(value)?, offset));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The first record of a leadership that nobody else voted for.
pub(crate) fn leader_change(
    leader_id: i32,
    voters: &VoterSet,
) -> Result<ControlRecord, EncodeError> {
    let voter = |voter_id: i32| WireVoter { voter_id, ..Default::default() };
    let message = LeaderChangeMessage {
        leader_id,
        voters: voters.ids().into_iter().map(voter).collect(),
        granting_voters: vec![voter(leader_id)],
        ..Default::default()
    };
    Ok((ControlType::LeaderChange, message.to_bytes(0)?))
}

/// Version and voters of a dynamic quorum.
pub(crate) fn dynamic_quorum(
    kraft_version: i16,
    voters: &VoterSet,
) -> Result<[ControlRecord; 2], EncodeError> {
    let version = KRaftVersionRecord { kraft_version, ..Default::default() };
    Ok([
        (ControlType::KraftVersion, version.to_bytes(0)?),
        (ControlType::KraftVoters, voters.encode()?),
    ])
}

pub(crate) fn snapshot_header(last_timestamp_ms: i64) -> Result<ControlRecord, EncodeError> {
    let header = SnapshotHeaderRecord {
        last_contained_log_timestamp: last_timestamp_ms,
        ..Default::default()
    };
    Ok((ControlType::SnapshotHeader, header.to_bytes(0)?))
}

pub(crate) fn snapshot_footer() -> Result<ControlRecord, EncodeError> {
    Ok((ControlType::SnapshotFooter, SnapshotFooterRecord::default().to_bytes(0)?))
}

/// These records as one batch.
pub(crate) fn batch_of(
    base_offset: i64,
    epoch: i32,
    timestamp_ms: i64,
    records: &[ControlRecord],
) -> Result<Vec<u8>, BatchError> {
    let records: Vec<_> = records.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
    control_batch(base_offset, epoch, timestamp_ms, &records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voters::Voter;

    #[test]
    fn records_have_kafkas_bytes() {
        let voters = VoterSet([1, 2, 3].map(Voter::by_id).to_vec());
        let (kind, value) = leader_change(1, &voters).expect("made");
        assert_eq!(kind.key(), [0, 0, 0, 2]);
        let mut expected = vec![0, 0, 0, 0, 0, 1, 4];
        expected.extend([0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0]);
        expected.extend([2, 0, 0, 0, 1, 0, 0]);
        assert_eq!(value, expected);
        let [(_, version), _] = dynamic_quorum(1, &voters).expect("made");
        assert_eq!(version, [0, 0, 0, 1, 0]);
        assert_eq!(snapshot_header(0).expect("made").1, [0; 11]);
        assert_eq!(snapshot_footer().expect("made").1, [0; 3]);
    }
}
