//! Snapshots of the metadata log: their names, and their bytes to and fro (KIP-630).
//!
//! A snapshot is a run of batches like a log, counted from offset 0: a control batch with the header
//! (and the quorum of a dynamic one), the records of the image, a control batch with the footer. One
//! without its footer was not written whole.

use std::fmt;

use strom_protocol::Message;
use strom_protocol::compression::Codecs;
use strom_protocol::records::control::{ControlType, control_type};
use strom_protocol::records::{
    BatchBuilder, BatchError, BatchOptions, HEADER_LENGTH, NewRecord, RawBatch, batches, body_of,
    verify_crc,
};
use strom_protocol::snapshot_header_record::SnapshotHeaderRecord;

use crate::control::{
    ControlError, ControlState, batch_of, dynamic_quorum, snapshot_footer, snapshot_header,
};
use crate::voters::VoterSet;

/// Records of a batch, as Kafka writes them.
const BATCH_RECORDS: usize = 1024;
/// Bytes of a batch's records when they are not compressed any more.
const BODY_BYTES_MAX: usize = 64 << 20;
const SUFFIX: &str = ".checkpoint";

/// What a snapshot stands for: the log below an offset, and the epoch of the last record there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// Exclusive.
    pub end_offset: i64,
    pub epoch: i32,
}

impl SnapshotId {
    /// From the name of a whole snapshot; `None` for any other file, also for one that is being
    /// written or deleted.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if offset.len() != 20 || epoch.len() != 10 || !is_number(offset) || !is_number(epoch) {
            return None;
        }
        Some(Self { end_offset: offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }

    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{self}{SUFFIX}")
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:010}", self.end_offset, self.epoch)
    }
}

/// Whether a file is the rest of a snapshot that was not finished, or of one that is deleted.
#[must_use]
pub fn is_leftover(name: &str) -> bool {
    [".part", ".deleted", ".tmp"]
        .iter()
        .any(|end| name.strip_suffix(end).is_some_and(|name| name.ends_with(SUFFIX)))
}

/// Why a file is no snapshot. It is then passed over for an older one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("it does not begin with a snapshot's header")]
    NoHeader,
    #[error("it does not end with a snapshot's footer")]
    NoFooter,
    #[error("a record of it has no value")]
    NoValue,
}

impl From<BatchError> for SnapshotError {
    fn from(error: BatchError) -> Self {
        Self::Control(error.into())
    }
}

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The append time of the last record that it stands for, in milliseconds.
    pub last_timestamp_ms: i64,
    pub control: ControlState,
    /// Encoded metadata records in order.
    pub records: Vec<Vec<u8>>,
}

impl Snapshot {
    /// # Errors
    /// When it is not whole, or damaged anywhere.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        let mut marks = (false, false);
        for batch in batches(bytes) {
            let batch = batch?;
            if !verify_crc(batch.bytes) {
                return Err(BatchError::Crc.into());
            }
            if marks.1 {
                return Err(SnapshotError::NoFooter);
            }
            if batch.header.is_control() {
                marks = snapshot.read_control(&batch, marks)?;
            } else if marks.0 {
                snapshot.read_records(&batch)?;
            }
            if !marks.0 {
                return Err(SnapshotError::NoHeader);
            }
        }
        match marks {
            (true, true) => Ok(snapshot),
            (true, false) => Err(SnapshotError::NoFooter),
            _ => Err(SnapshotError::NoHeader),
        }
    }

    /// Whether header and footer were seen, after this batch too.
    fn read_control(
        &mut self,
        batch: &RawBatch<'_>,
        (mut header, mut footer): (bool, bool),
    ) -> Result<(bool, bool), SnapshotError> {
        let body = batch.bytes.get(HEADER_LENGTH..).unwrap_or_default();
        for record in batch.header.records(body) {
            let record = record?;
            match control_type(&record)? {
                Some(ControlType::SnapshotHeader) => {
                    let value = record.value.unwrap_or_default();
                    let message = SnapshotHeaderRecord::from_bytes(value, 0);
                    let message = message.map_err(ControlError::from)?;
                    self.last_timestamp_ms = message.last_contained_log_timestamp;
                    header = true;
                }
                Some(ControlType::SnapshotFooter) => footer = true,
                _ => {}
            }
        }
        self.control.replay_snapshot(batch)?;
        Ok((header, footer))
    }

    fn read_records(&mut self, batch: &RawBatch<'_>) -> Result<(), SnapshotError> {
        let body = body_of(&batch.header, batch.bytes, &mut Codecs::new(), BODY_BYTES_MAX)?;
        for record in batch.header.records(&body) {
            let value = record?.value.ok_or(SnapshotError::NoValue)?;
            self.records.push(value.to_vec());
        }
        Ok(())
    }

    /// The file's bytes. `epoch` is the id's; `now_ms` stands in the batches.
    ///
    /// # Errors
    /// When a record is too large for a batch.
    pub fn write(&self, epoch: i32, now_ms: i64) -> Result<Vec<u8>, ControlError> {
        let mut control = vec![snapshot_header(self.last_timestamp_ms)?];
        if let Some((voters, _)) = &self.control.voters
            && self.control.kraft_version > 0
        {
            control.extend(dynamic_quorum(self.control.kraft_version, voters)?);
        }
        let mut bytes = batch_of(0, epoch, now_ms, &control)?;
        let mut offset = control.len() as i64;
        for records in self.records.chunks(BATCH_RECORDS) {
            let batch = data_batch((offset, epoch), now_ms, records)?;
            bytes.extend_from_slice(&batch);
            offset += records.len() as i64;
        }
        bytes.extend(batch_of(offset, epoch, now_ms, &[snapshot_footer()?])?);
        Ok(bytes)
    }
}

/// When the last record that a snapshot stands for was appended: wall clock, by the begin of its
/// file.
///
/// # Errors
/// When it does not begin as a snapshot does.
pub fn last_timestamp_ms(beginning: &[u8]) -> Result<i64, SnapshotError> {
    let batch = batches(beginning).next().ok_or(SnapshotError::NoHeader)??;
    if !verify_crc(batch.bytes) {
        return Err(BatchError::Crc.into());
    }
    let mut snapshot = Snapshot::default();
    let is_control = batch.header.is_control();
    if is_control && snapshot.read_control(&batch, (false, false))?.0 {
        return Ok(snapshot.last_timestamp_ms);
    }
    Err(SnapshotError::NoHeader)
}

/// Records as one batch of the log, or of a snapshot.
pub(crate) fn data_batch(
    (base_offset, partition_leader_epoch): (i64, i32),
    timestamp_ms: i64,
    records: &[Vec<u8>],
) -> Result<Vec<u8>, BatchError> {
    let options = BatchOptions { base_offset, partition_leader_epoch, ..Default::default() };
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let value = Some(record.as_slice());
        builder.append(&NewRecord { timestamp_ms, value, ..Default::default() })?;
    }
    Ok(builder.build())
}

/// The snapshot that formatting a folder leaves for a new dynamic quorum, under the id (0, 0).
///
/// # Errors
/// When a voter's names are too long.
pub fn formatting_snapshot(voters: VoterSet, now_ms: i64) -> Result<Vec<u8>, ControlError> {
    let control = ControlState { kraft_version: 1, voters: Some((voters, -1)) };
    Snapshot { last_timestamp_ms: now_ms, control, records: Vec::new() }.write(0, now_ms)
}

/// `bootstrap.checkpoint`: the records that a new cluster begins with.
///
/// # Errors
/// None in practice: the records are small.
pub fn bootstrap_checkpoint(records: Vec<Vec<u8>>, now_ms: i64) -> Result<Vec<u8>, ControlError> {
    Snapshot { records, ..Snapshot::default() }.write(0, now_ms)
}
