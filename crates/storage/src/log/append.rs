//! A leader's append: check, rewrite what the topic demands, assign offsets in place.

use bytes::{Bytes, BytesMut};
use strom_base::Now;
use strom_protocol::records::{
    self, BatchHeader, EndTransactionMarker, NO_TIMESTAMP, TimestampType,
};

use super::examine::{Examination, Examined};
use super::roll::Incoming;
use super::{Log, Out, validate};
use crate::disk::Ticket;
use crate::producers::{BatchMetadata, marker_of};

/// Who appends, and so what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: everything is checked.
    Client,
    /// Coordinators of this node: control batches allowed, sequences not checked.
    Coordinator,
    /// The metadata quorum: offsets and epochs are already set by the raft machine.
    Raft,
}

#[derive(Debug)]
pub struct AppendRequest {
    /// One v2 batch (client), or one or more (coordinator, raft). Owned, patched in place.
    pub batches: BytesMut,
    pub origin: AppendOrigin,
    /// What was found out about a client's records, by [`Log::examination_of`]; `None`: it is to be done now.
    pub examined: Option<Examined>,
    pub leader_epoch: i32,
    /// A transactional batch may open a transaction here: the coordinator vouched for it (KIP-890).
    pub transaction_verified: bool,
    /// `transaction.version`; from 2 on a marker must carry a larger producer epoch.
    pub transaction_version: i16,
}

/// What an append promises once `ticket` is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub first_offset: i64,
    pub last_offset: i64,
    /// -1 unless the topic stamps records itself.
    pub log_append_time_ms: i64,
    pub log_start_offset: i64,
    pub record_count: u32,
    pub bytes: u32,
    /// The write to wait for. For a duplicate: the write of the original while it is pending.
    pub ticket: Option<Ticket>,
    /// `flush.messages` demanded a sync before the answer.
    pub sync_ticket: Option<Ticket>,
    /// An idempotent producer sent this batch before; nothing was written again.
    pub is_duplicate: bool,
}

/// One refused record of a batch (Produce v8+).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    pub batch_index: i32,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE
    #[error("record is corrupt: {0}")]
    Corrupt(String),
    /// INVALID_RECORD
    #[error("{reason}")]
    InvalidRecord { reason: String, records: Vec<RecordError> },
    /// INVALID_TIMESTAMP
    #[error("One or more records have been rejected due to invalid timestamp")]
    InvalidTimestamp { records: Vec<RecordError> },
    /// MESSAGE_TOO_LARGE
    #[error("the record batch size is {size} bytes which exceeds the maximum of {limit}")]
    BatchTooLarge { size: usize, limit: u32 },
    /// MESSAGE_TOO_LARGE
    #[error("the record batch exceeds the maximum of {limit} bytes in the topic's compression")]
    ConvertedTooLarge { limit: u32 },
    /// RECORD_LIST_TOO_LARGE
    #[error("the append of {size} bytes exceeds the segment size of {limit}")]
    SegmentTooSmall { size: usize, limit: u32 },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    #[error(
        "out of order sequence number for producer {producer_id}: \
         {first_sequence} (incoming), {last_sequence} (current end)"
    )]
    OutOfOrderSequence { producer_id: i64, first_sequence: i32, last_sequence: i32 },
    /// INVALID_PRODUCER_EPOCH
    #[error("epoch {epoch} of producer {producer_id} is below the last seen epoch {current}")]
    InvalidProducerEpoch { producer_id: i64, epoch: i16, current: i16 },
    /// TRANSACTION_COORDINATOR_FENCED
    #[error("marker of coordinator epoch {epoch} is below the last seen epoch {current}")]
    CoordinatorFenced { epoch: i32, current: i32 },
    /// INVALID_TXN_STATE
    #[error("{0}")]
    InvalidTransactionState(String),
    /// The follower's bytes do not continue the log (a fault of ours or of the leader).
    #[error("batch at {first_offset} does not continue the log that ends at {log_end_offset}")]
    UnexpectedOffset { first_offset: i64, last_offset: i64, log_end_offset: i64 },
    /// KAFKA_STORAGE_ERROR
    #[error("the log's disk failed: {0}")]
    StorageFailed(String),
}

impl AppendError {
    pub(crate) fn invalid_record(reason: impl Into<String>) -> AppendError {
        AppendError::InvalidRecord { reason: reason.into(), records: Vec::new() }
    }

    /// What the records at fault take, with their messages.
    #[must_use]
    pub fn records_bytes(&self) -> usize {
        let records = match self {
            AppendError::InvalidRecord { records, .. }
            | AppendError::InvalidTimestamp { records } => records,
            _ => return 0,
        };
        records.iter().map(|it| size_of::<RecordError>() + it.message.len()).sum()
    }

    /// The same, and names no single record.
    #[must_use]
    pub fn without_records(mut self) -> Self {
        if let AppendError::InvalidRecord { records, .. }
        | AppendError::InvalidTimestamp { records } = &mut self
        {
            *records = Vec::new();
        }
        self
    }

    /// The records at fault, if it is about single ones.
    #[must_use]
    pub fn into_records(self) -> Vec<RecordError> {
        match self {
            AppendError::InvalidRecord { records, .. }
            | AppendError::InvalidTimestamp { records } => records,
            _ => Vec::new(),
        }
    }
}

impl Log {
    /// Checks the batches as their origin demands, gives them offsets and asks for their write.
    ///
    /// # Errors
    /// Nothing has changed then, and nothing was asked of the disk.
    pub fn append_as_leader(
        &mut self,
        now: Now,
        request: AppendRequest,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        self.check_usable()?;
        match request.origin {
            AppendOrigin::Client => self.append_of_client(now, request, out),
            AppendOrigin::Coordinator => self.append_of_coordinator(now, request, out),
            AppendOrigin::Raft => self.append_of_raft(now, request, out),
        }
    }

    fn append_of_client(
        &mut self,
        now: Now,
        mut request: AppendRequest,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        let header = validate::client_batch(&request.batches, &self.config)?;
        let examined = request.examined.take().unwrap_or_else(|| {
            let examination = Examination::of(header, &self.config, now);
            let mut left = usize::MAX;
            examination.map_or(Ok(None), |it| it.perform(&request.batches, &mut left))
        });
        let converted = examined?;
        request.batches.truncate(header.size());
        if header.has_producer_id() {
            if let Some(duplicate) = self.duplicate_of(&header) {
                return Ok(self.answer_duplicate(duplicate, &header));
            }
            self.check_producer(&header, &request, None)?;
        }
        let batch = converted.unwrap_or(request.batches);
        self.stamp_and_commit(now, batch, request.leader_epoch, out)
    }

    fn append_of_coordinator(
        &mut self,
        now: Now,
        mut request: AppendRequest,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        let length = validate::own_batches(&request.batches, &self.config)?;
        request.batches.truncate(length);
        for (entry, bytes) in super::commit::entries(&request.batches) {
            let Some(header) = entry.header.filter(BatchHeader::has_producer_id) else { continue };
            self.check_producer(&header, &request, marker_of(&header, bytes))?;
        }
        self.stamp_and_commit(now, request.batches, request.leader_epoch, out)
    }

    /// Offsets are taken as they are, but they have to continue the log.
    fn append_of_raft(
        &mut self,
        now: Now,
        mut request: AppendRequest,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        let end = self.offsets.log_end;
        let length = validate::raft_batches(&request.batches, request.leader_epoch, end)?;
        request.batches.truncate(length);
        let sum = Incoming::of(&request.batches).ok_or_else(no_batch)?;
        Ok(self.commit(request.batches.freeze(), sum, now, out))
    }

    /// The leader's marks on each batch: offset, epoch, and time if the topic stamps itself.
    fn stamp_and_commit(
        &mut self,
        now: Now,
        mut batches: BytesMut,
        leader_epoch: i32,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        let limit = self.config.segment_bytes;
        if batches.len() > limit as usize {
            return Err(AppendError::SegmentTooSmall { size: batches.len(), limit });
        }
        let stamps = self.config.timestamp_type == TimestampType::LogAppendTime;
        let mut next_offset = self.offsets.log_end;
        let mut rest: &mut [u8] = &mut batches;
        while let Ok(header) = BatchHeader::parse(rest) {
            let Some((batch, behind)) = rest.split_at_mut_checked(header.size()) else { break };
            records::set_base_offset(batch, next_offset);
            records::set_partition_leader_epoch(batch, leader_epoch);
            if stamps {
                records::set_max_timestamp(batch, TimestampType::LogAppendTime, now.wall_ms);
            } else if header.timestamp_type() == TimestampType::LogAppendTime {
                let max_timestamp = header.max_timestamp;
                records::set_max_timestamp(batch, TimestampType::CreateTime, max_timestamp);
            }
            next_offset = next_offset
                .checked_add(i64::from(header.last_offset_delta) + 1)
                .ok_or_else(|| AppendError::invalid_record("the log is out of offsets"))?;
            rest = behind;
        }
        let batches: Bytes = batches.freeze();
        let sum = Incoming::of(&batches).ok_or_else(no_batch)?;
        let mut appended = self.commit(batches, sum, now, out);
        appended.log_append_time_ms = if stamps { now.wall_ms } else { NO_TIMESTAMP };
        Ok(appended)
    }

    pub(super) fn duplicate_of(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        self.producers.get(header.producer_id)?.duplicate_of(header)
    }

    /// Answered with the offsets of the first time, once they are written.
    fn answer_duplicate(&self, duplicate: BatchMetadata, header: &BatchHeader) -> Appended {
        let log = self.identity.id;
        let index =
            self.pending.partition_point(|append| append.last_offset < duplicate.last_offset);
        let pending = self.pending.get(index);
        Appended {
            first_offset: duplicate.first_offset(),
            last_offset: duplicate.last_offset,
            log_append_time_ms: duplicate.timestamp,
            log_start_offset: self.offsets.log_start,
            record_count: header.record_count as u32,
            bytes: header.size() as u32,
            ticket: pending.map(|append| Ticket { log, sequence: append.sequence }),
            sync_ticket: None,
            is_duplicate: true,
        }
    }

    /// Epochs and sequences of a batch with a producer id (KIP-98, KIP-890).
    fn check_producer(
        &self,
        header: &BatchHeader,
        request: &AppendRequest,
        marker: Option<EndTransactionMarker>,
    ) -> Result<(), AppendError> {
        let entry = self.producers.get(header.producer_id);
        if header.is_control() {
            let (Some(entry), Some(marker)) = (entry, marker) else { return Ok(()) };
            entry.check_epoch(header.producer_epoch, request.transaction_version >= 2)?;
            return entry.check_coordinator_epoch(marker.coordinator_epoch);
        }
        let open_epoch = entry
            .filter(|entry| entry.transaction_first_offset.is_some())
            .map(|entry| entry.producer_epoch);
        let continues = open_epoch == Some(header.producer_epoch);
        if header.is_transactional() && !continues && !request.transaction_verified {
            let reason = "Record was not part of an ongoing transaction".to_owned();
            return Err(AppendError::InvalidTransactionState(reason));
        }
        let Some(entry) = entry else { return Ok(()) };
        entry.check_epoch(header.producer_epoch, false)?;
        if request.origin == AppendOrigin::Client {
            entry.check_sequence(header)?;
        }
        if open_epoch.is_some() && !header.is_transactional() {
            let producer_id = header.producer_id;
            let reason = format!("Expected transactional write from producer {producer_id}");
            return Err(AppendError::InvalidTransactionState(reason));
        }
        Ok(())
    }
}

pub(super) fn no_batch() -> AppendError {
    AppendError::invalid_record(
        "Produce requests must have at least one record batch per partition",
    )
}
