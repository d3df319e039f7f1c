//! Record batches (magic 2): the bytes that Kafka keeps in its logs and sends in produce and fetch.
//!
//! A batch is a header of [`HEADER_LENGTH`] bytes and a body of records, compressed as one block.
//! Reading goes from cheap to dear: [`batches`] walks headers, [`verify_crc`] reads every byte,
//! [`RecordIterator`] walks a decompressed body. Writing: [`BatchBuilder`].
//! Old message sets (magic 0 and 1) are only read.

pub mod batches;
pub mod builder;
pub mod control;
mod convert;
pub mod header;
pub mod legacy;
mod pieces;
pub mod record;
pub mod validate;
mod varint;

pub use batches::{BatchIterator, RawBatch, batches, entry_size};
pub use builder::{BatchBuilder, BatchOptions, NewRecord};
pub use control::{ControlType, EndTransactionMarker, control_batch, control_type};
pub use convert::convert_batch;
pub use header::{
    BatchHeader, TimestampType, crc_of, crc32c, max_timestamp_of, refresh_crc, set_base_offset,
    set_max_timestamp, set_partition_leader_epoch, verify_crc,
};
pub use pieces::RecordOutline;
pub use record::{
    RawHeaders, Record, RecordFault, RecordHeader, RecordIterator, body_of, outline_records,
};
pub use validate::{RecordDemands, RecordSummary, Rejection, check_produced_header, walk_records};

use crate::compression::CompressionError;

/// Bytes of a batch's header.
pub const HEADER_LENGTH: usize = 61;
/// Bytes of base offset and length, which every magic has at its start.
pub const LOG_OVERHEAD: usize = 12;
/// Bytes needed to learn a batch's or message's magic, in every format.
pub const MAGIC_PREFIX_LENGTH: usize = MAGIC_OFFSET + 1;

pub const BASE_OFFSET_OFFSET: usize = 0;
/// The length counts the bytes after this field.
pub const LENGTH_OFFSET: usize = 8;
pub const PARTITION_LEADER_EPOCH_OFFSET: usize = 12;
pub const MAGIC_OFFSET: usize = 16;
pub const CRC_OFFSET: usize = 17;
/// The CRC covers everything from here to the end of the batch.
pub const ATTRIBUTES_OFFSET: usize = 21;
pub const LAST_OFFSET_DELTA_OFFSET: usize = 23;
pub const BASE_TIMESTAMP_OFFSET: usize = 27;
pub const MAX_TIMESTAMP_OFFSET: usize = 35;
pub const PRODUCER_ID_OFFSET: usize = 43;
pub const PRODUCER_EPOCH_OFFSET: usize = 51;
pub const BASE_SEQUENCE_OFFSET: usize = 53;
pub const RECORD_COUNT_OFFSET: usize = 57;

/// The magic of the batches that are written.
pub const CURRENT_MAGIC: i8 = 2;

pub const NO_TIMESTAMP: i64 = -1;
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;
pub const NO_PARTITION_LEADER_EPOCH: i32 = -1;

/// What is wrong with the bytes of a batch or of a record in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the batch ends before its header does")]
    Truncated,
    #[error("the batch claims {0} bytes, less than its header")]
    Length(i32),
    #[error("the batch has magic {0}")]
    Magic(i8),
    #[error("the batch claims {0} records")]
    RecordCount(i32),
    #[error("the batch's last offset delta is {0}")]
    LastOffsetDelta(i32),
    #[error("the batch's CRC does not match its bytes")]
    Crc,
    #[error("the batch's compression id {0} is unknown")]
    UnknownCodec(i16),
    #[error(transparent)]
    Compression(#[from] CompressionError),
    #[error("record {index} of the batch is broken: {fault}")]
    Record { index: i32, fault: RecordFault },
    #[error("record {index} of the batch has the offset delta {delta}")]
    OffsetDelta { index: i32, delta: i32 },
    #[error("{0} bytes are left behind the last record of the batch")]
    TrailingBytes(usize),
    #[error("a message of compressed messages is empty or wraps another such one")]
    LegacyWrapper,
    #[error("a control record's key or value is broken")]
    ControlRecord,
    /// From here on: sound bytes that a client may not produce.
    #[error("the batch counts from offset {0}, not from 0")]
    BaseOffset(i64),
    #[error("the batch claims {count} records and the last offset delta {last_offset_delta}")]
    CountMismatch { count: i32, last_offset_delta: i32 },
    #[error("clients may not write control batches")]
    ControlBatch,
    #[error("the batch has a producer id and the sequence {0}")]
    Sequence(i32),
    #[error("the batch claims {count} records, more than its {size} bytes can hold")]
    TooFewBytes { count: i32, size: usize },
    /// From here on: what [`BatchBuilder`] refuses.
    #[error("the offset {0} is not behind the last one or too far from the first")]
    OffsetOrder(i64),
    #[error("the batch would be larger than its format allows")]
    TooLarge,
}
