//! Control batches: marks in a log that are no data.
//!
//! Key: `i16 version 0, i16 type`. The values of the Raft marks are message structs of their own
//! (`leader_change_message` and so on); here is the frame around them, and the marker that ends a
//! transaction, which has no schema.

use super::{BatchBuilder, BatchError, BatchOptions, NewRecord, Record};

const KEY_VERSION: i16 = 0;
const MARKER_VERSION: i16 = 0;

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KraftVersion,
    KraftVoters,
}

impl ControlType {
    pub const ALL: [ControlType; 7] = [
        ControlType::Abort,
        ControlType::Commit,
        ControlType::LeaderChange,
        ControlType::SnapshotHeader,
        ControlType::SnapshotFooter,
        ControlType::KraftVersion,
        ControlType::KraftVoters,
    ];

    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KraftVersion => 5,
            ControlType::KraftVoters => 6,
        }
    }

    /// `None` for a type of a later Kafka, which readers skip.
    #[must_use]
    pub fn from_id(id: i16) -> Option<ControlType> {
        ControlType::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// The key of its records.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let [v0, v1] = KEY_VERSION.to_be_bytes();
        let [t0, t1] = self.id().to_be_bytes();
        [v0, v1, t0, t1]
    }
}

/// The type of a record in a control batch; `None` for one of a later Kafka.
///
/// # Errors
/// A key that is too short or has a negative version.
pub fn control_type(record: &Record<'_>) -> Result<Option<ControlType>, BatchError> {
    let key = record.key.and_then(|key| key.first_chunk::<4>()).ok_or(BatchError::ControlRecord)?;
    let [v0, v1, t0, t1] = *key;
    if i16::from_be_bytes([v0, v1]) < KEY_VERSION {
        return Err(BatchError::ControlRecord);
    }
    Ok(ControlType::from_id(i16::from_be_bytes([t0, t1])))
}

/// A control batch with these records, in order; it has no producer and is not compressed.
///
/// # Errors
/// Values that no batch can hold.
pub fn control_batch(
    base_offset: i64,
    partition_leader_epoch: i32,
    timestamp_ms: i64,
    records: &[(ControlType, &[u8])],
) -> Result<Vec<u8>, BatchError> {
    let options = BatchOptions {
        base_offset,
        partition_leader_epoch,
        is_control: true,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    for (kind, value) in records {
        let key = kind.key();
        builder.append(&NewRecord {
            timestamp_ms,
            key: Some(&key),
            value: Some(value),
            headers: &[],
        })?;
    }
    Ok(builder.build())
}

/// Ends one producer's transaction on one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    pub is_commit: bool,
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// From a record of a control batch; `None` when it is no end of a transaction.
    ///
    /// # Errors
    /// A key or value that is too short or has a negative version.
    pub fn read(record: &Record<'_>) -> Result<Option<EndTransactionMarker>, BatchError> {
        let is_commit = match control_type(record)? {
            Some(ControlType::Commit) => true,
            Some(ControlType::Abort) => false,
            _ => return Ok(None),
        };
        let value =
            record.value.and_then(|value| value.first_chunk()).ok_or(BatchError::ControlRecord)?;
        let [v0, v1, epoch @ ..]: [u8; 6] = *value;
        if i16::from_be_bytes([v0, v1]) < MARKER_VERSION {
            return Err(BatchError::ControlRecord);
        }
        Ok(Some(EndTransactionMarker { is_commit, coordinator_epoch: i32::from_be_bytes(epoch) }))
    }

    /// The batch that carries it. `options` names the producer, the offset and the leader epoch.
    ///
    /// # Errors
    /// None in practice: the record is small.
    pub fn batch(&self, timestamp_ms: i64, options: &BatchOptions) -> Result<Vec<u8>, BatchError> {
        let options = BatchOptions { is_control: true, is_transactional: true, ..*options };
        let kind = if self.is_commit { ControlType::Commit } else { ControlType::Abort };
        let mut value = [0; 6];
        value[..2].copy_from_slice(&MARKER_VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(options);
        builder.append(&NewRecord {
            timestamp_ms,
            key: Some(&kind.key()),
            value: Some(&value),
            headers: &[],
        })?;
        Ok(builder.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchHeader, HEADER_LENGTH, verify_crc};

    #[test]
    fn a_leader_change_is_framed_as_kafka_frames_it() {
        let value = [0, 0, 0, 0, 0, 1, 4];
        let batch = control_batch(9, 2, 77, &[(ControlType::LeaderChange, &value)]).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        assert!(verify_crc(&batch) && header.is_control() && !header.is_transactional());
        assert_eq!((header.producer_id, header.base_sequence), (-1, -1));
        let record = header.records(&batch[HEADER_LENGTH..]).next().unwrap().unwrap();
        assert_eq!(record.key, Some([0, 0, 0, 2].as_slice()));
        assert_eq!(record.value, Some(value.as_slice()));
        assert_eq!(control_type(&record), Ok(Some(ControlType::LeaderChange)));
        assert_eq!(EndTransactionMarker::read(&record), Ok(None));
    }

    #[test]
    fn a_transaction_marker_survives_its_batch() {
        for is_commit in [true, false] {
            let marker = EndTransactionMarker { is_commit, coordinator_epoch: 5 };
            let options =
                BatchOptions { producer_id: 8, producer_epoch: 1, ..BatchOptions::default() };
            let batch = marker.batch(1, &options).unwrap();
            let header = BatchHeader::parse(&batch).unwrap();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.base_sequence), (8, -1));
            let record = header.records(&batch[HEADER_LENGTH..]).next().unwrap().unwrap();
            assert_eq!(EndTransactionMarker::read(&record), Ok(Some(marker)));
        }
    }
    #[test]
    fn keys_of_later_versions_are_read_and_impossible_ones_refused() {
        let kind = |key: Option<&[u8]>| {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            builder.append(&NewRecord { timestamp_ms: 0, key, value: None, headers: &[] }).unwrap();
            let batch = builder.build();
            let header = BatchHeader::parse(&batch).unwrap();
            control_type(&header.records(&batch[HEADER_LENGTH..]).next().unwrap().unwrap())
        };
        assert_eq!(kind(Some(&[0, 0, 0, 1])), Ok(Some(ControlType::Commit)));
        assert_eq!(kind(Some(&[0, 1, 0, 1, 7, 7])), Ok(Some(ControlType::Commit)));
        assert_eq!(kind(Some(&[0, 0, 0, 99])), Ok(None), "of a later Kafka");
        for impossible in [None, Some(&[0, 0, 0][..]), Some(&[0xff, 0xff, 0, 1][..])] {
            assert_eq!(kind(impossible), Err(BatchError::ControlRecord));
        }
    }
}
