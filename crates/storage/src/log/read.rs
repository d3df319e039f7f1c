//! Reading: offset to file range.

use crate::disk::{DiskError, FileId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    pub offset: i64,
    pub max_bytes: u32,
    /// Exclusive: high watermark, last stable offset or log end offset. Never beyond what is written.
    pub upper_bound_offset: i64,
    /// The first batch is whole even when larger than `max_bytes` (KIP-74).
    pub at_least_one_batch: bool,
}

/// A range of one segment's records. It begins with the batch that holds the wanted offset (or the
/// first one behind it) and may end inside a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSlice {
    pub file: FileId,
    pub position: u64,
    /// Bytes; 0 at the end of what may be read.
    pub length: u32,
    /// Base offset of the first batch; the asked offset for an empty slice.
    pub base_offset: i64,
    /// No record of the slice is at or past it.
    pub upper_bound_offset: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} is not within {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange { offset: i64, log_start_offset: i64, log_end_offset: i64 },
    /// Only from `ReadFiles` that do not block: ask again on a worker.
    #[error("the read would block")]
    WouldBlock,
    #[error("the log is corrupt at byte {position} of segment {segment}")]
    Corrupt { segment: i64, position: u64 },
    #[error(transparent)]
    Disk(DiskError),
}

/// `timestamp` and `leader_epoch` as ListOffsets answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// -1: none.
    pub timestamp: i64,
    pub offset: i64,
    pub leader_epoch: Option<i32>,
}

/// One entry of a fetch answer's aborted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}
