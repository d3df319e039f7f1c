//! Appending: what a leader checks and rewrites, what a follower takes as it is.

use bytes::BytesMut;

use crate::disk::Ticket;

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
    #[error("one or more records have been rejected due to invalid timestamp")]
    InvalidTimestamp { records: Vec<RecordError> },
    /// MESSAGE_TOO_LARGE
    #[error("the record batch size is {size} bytes which exceeds the maximum of {limit}")]
    BatchTooLarge { size: usize, limit: u32 },
    /// RECORD_LIST_TOO_LARGE
    #[error("the append of {size} bytes exceeds the segment size of {limit}")]
    SegmentTooSmall { size: usize, limit: u32 },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    #[error(
        "out of order sequence number for producer {producer_id}: {first_sequence} after {last_sequence}"
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
