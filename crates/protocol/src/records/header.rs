//! The header of a record batch: read as a value, three fields of it changed in place.

use super::{
    ATTRIBUTES_OFFSET, BASE_OFFSET_OFFSET, BASE_SEQUENCE_OFFSET, BASE_TIMESTAMP_OFFSET, BatchError,
    CRC_OFFSET, CURRENT_MAGIC, HEADER_LENGTH, LAST_OFFSET_DELTA_OFFSET, LENGTH_OFFSET,
    LOG_OVERHEAD, MAGIC_OFFSET, MAX_TIMESTAMP_OFFSET, NO_PRODUCER_ID,
    PARTITION_LEADER_EPOCH_OFFSET, PRODUCER_EPOCH_OFFSET, PRODUCER_ID_OFFSET, RECORD_COUNT_OFFSET,
};

/// Bits of the attributes.
pub(super) const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Whose clock a batch's timestamps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's, one per record.
    #[default]
    CreateTime,
    /// The broker's at the append: the batch's max timestamp holds for all its records.
    LogAppendTime,
}

/// The first [`HEADER_LENGTH`] bytes of a batch of magic 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes after the length field; at least those of the rest of the header.
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    /// CRC-32C of the bytes from the attributes to the end.
    pub crc: u32,
    pub attributes: i16,
    /// Never negative. Kept by compaction, so it may be more than the records say.
    pub last_offset_delta: i32,
    /// What timestamp deltas count from; with a delete horizon, that horizon.
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    /// Never negative; 0 is a batch that compaction emptied.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the body.
    ///
    /// # Errors
    /// Too few bytes, another magic, or a length, count or last offset delta that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let magic = i8::from_be_bytes(field(bytes, MAGIC_OFFSET)?);
        if magic != CURRENT_MAGIC {
            return Err(BatchError::Magic(magic));
        }
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(field(bytes, BASE_OFFSET_OFFSET)?),
            batch_length: i32::from_be_bytes(field(bytes, LENGTH_OFFSET)?),
            partition_leader_epoch: i32::from_be_bytes(field(
                bytes,
                PARTITION_LEADER_EPOCH_OFFSET,
            )?),
            crc: u32::from_be_bytes(field(bytes, CRC_OFFSET)?),
            attributes: i16::from_be_bytes(field(bytes, ATTRIBUTES_OFFSET)?),
            last_offset_delta: i32::from_be_bytes(field(bytes, LAST_OFFSET_DELTA_OFFSET)?),
            base_timestamp: i64::from_be_bytes(field(bytes, BASE_TIMESTAMP_OFFSET)?),
            max_timestamp: i64::from_be_bytes(field(bytes, MAX_TIMESTAMP_OFFSET)?),
            producer_id: i64::from_be_bytes(field(bytes, PRODUCER_ID_OFFSET)?),
            producer_epoch: i16::from_be_bytes(field(bytes, PRODUCER_EPOCH_OFFSET)?),
            base_sequence: i32::from_be_bytes(field(bytes, BASE_SEQUENCE_OFFSET)?),
            record_count: i32::from_be_bytes(field(bytes, RECORD_COUNT_OFFSET)?),
        };
        header.plausible()
    }

    fn plausible(self) -> Result<BatchHeader, BatchError> {
        if self.batch_length < (HEADER_LENGTH - LOG_OVERHEAD) as i32 {
            return Err(BatchError::Length(self.batch_length));
        }
        if self.last_offset_delta < 0 {
            return Err(BatchError::LastOffsetDelta(self.last_offset_delta));
        }
        if self.record_count < 0 {
            return Err(BatchError::RecordCount(self.record_count));
        }
        Ok(self)
    }

    /// Bytes of the whole batch, header included; at least [`HEADER_LENGTH`].
    #[must_use]
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + self.batch_length as usize
    }

    /// Saturates for a base offset no log can have.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The compression id, 0 to 7, of which 5 to 7 mean nothing: see `compression::Codec`.
    #[must_use]
    pub fn codec_id(&self) -> i16 {
        self.attributes & CODEC_MASK
    }

    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// When tombstones and markers of the batch may go (KIP-534); its base timestamp holds it.
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The sequence of the last record: sequences wrap from `i32::MAX` to 0.
    /// -1 when the batch has no sequence.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last % (i64::from(i32::MAX) + 1)) as i32
    }

    /// The header's 61 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        put(&mut bytes, BASE_OFFSET_OFFSET, self.base_offset.to_be_bytes());
        put(&mut bytes, LENGTH_OFFSET, self.batch_length.to_be_bytes());
        put(&mut bytes, PARTITION_LEADER_EPOCH_OFFSET, self.partition_leader_epoch.to_be_bytes());
        put(&mut bytes, MAGIC_OFFSET, CURRENT_MAGIC.to_be_bytes());
        put(&mut bytes, CRC_OFFSET, self.crc.to_be_bytes());
        put(&mut bytes, ATTRIBUTES_OFFSET, self.attributes.to_be_bytes());
        put(&mut bytes, LAST_OFFSET_DELTA_OFFSET, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, BASE_TIMESTAMP_OFFSET, self.base_timestamp.to_be_bytes());
        put(&mut bytes, MAX_TIMESTAMP_OFFSET, self.max_timestamp.to_be_bytes());
        put(&mut bytes, PRODUCER_ID_OFFSET, self.producer_id.to_be_bytes());
        put(&mut bytes, PRODUCER_EPOCH_OFFSET, self.producer_epoch.to_be_bytes());
        put(&mut bytes, BASE_SEQUENCE_OFFSET, self.base_sequence.to_be_bytes());
        put(&mut bytes, RECORD_COUNT_OFFSET, self.record_count.to_be_bytes());
        bytes
    }
}

/// Attributes from their parts.
pub(super) struct AttributeParts {
    pub(super) codec_id: i16,
    pub(super) timestamp_type: TimestampType,
    pub(super) is_transactional: bool,
    pub(super) is_control: bool,
    pub(super) has_delete_horizon: bool,
}

impl AttributeParts {
    pub(super) fn bits(&self) -> i16 {
        let flag = |set: bool, bit: i16| if set { bit } else { 0 };
        (self.codec_id & CODEC_MASK)
            | flag(self.timestamp_type == TimestampType::LogAppendTime, LOG_APPEND_TIME)
            | flag(self.is_transactional, TRANSACTIONAL)
            | flag(self.is_control, CONTROL)
            | flag(self.has_delete_horizon, DELETE_HORIZON)
    }
}

fn field<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], BatchError> {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().ok_or(BatchError::Truncated)
}

fn put<const N: usize>(bytes: &mut [u8], offset: usize, value: [u8; N]) {
    if let Some(slot) = bytes.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
        *slot = value;
    }
}

/// CRC-32C (Castagnoli), of batches and of producer snapshots.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// CRC-32C of a whole batch: of everything from its attributes on.
#[must_use]
pub fn crc_of(batch: &[u8]) -> u32 {
    crc32c(batch.get(ATTRIBUTES_OFFSET..).unwrap_or_default())
}

/// Whether the CRC in the header of exactly one batch matches its bytes.
#[must_use]
pub fn verify_crc(batch: &[u8]) -> bool {
    field(batch, CRC_OFFSET).is_ok_and(|crc| u32::from_be_bytes(crc) == crc_of(batch))
}

/// Writes the CRC after a change behind it. The setters here need a batch that was parsed; they
/// leave anything shorter alone.
pub fn refresh_crc(batch: &mut [u8]) {
    put(batch, CRC_OFFSET, crc_of(batch).to_be_bytes());
}

/// The CRC does not cover the base offset.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    put(batch, BASE_OFFSET_OFFSET, base_offset.to_be_bytes());
}

/// The CRC does not cover the leader epoch.
pub fn set_partition_leader_epoch(batch: &mut [u8], epoch: i32) {
    put(batch, PARTITION_LEADER_EPOCH_OFFSET, epoch.to_be_bytes());
}

/// The largest timestamp that a batch tells, without a look at the rest of it.
#[must_use]
pub fn max_timestamp_of(batch: &[u8]) -> Option<i64> {
    field(batch, MAX_TIMESTAMP_OFFSET).ok().map(i64::from_be_bytes)
}

/// Sets the kind of timestamps and the largest one, and the CRC if that changed anything.
pub fn set_max_timestamp(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp: i64) {
    let (Ok(attributes), Ok(old)) =
        (field(batch, ATTRIBUTES_OFFSET), field(batch, MAX_TIMESTAMP_OFFSET))
    else {
        return;
    };
    let attributes = i16::from_be_bytes(attributes);
    let wanted = match timestamp_type {
        TimestampType::CreateTime => attributes & !LOG_APPEND_TIME,
        TimestampType::LogAppendTime => attributes | LOG_APPEND_TIME,
    };
    if wanted == attributes && old == max_timestamp.to_be_bytes() {
        return;
    }
    put(batch, ATTRIBUTES_OFFSET, wanted.to_be_bytes());
    put(batch, MAX_TIMESTAMP_OFFSET, max_timestamp.to_be_bytes());
    refresh_crc(batch);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BatchHeader {
        BatchHeader {
            base_offset: 7,
            batch_length: 49,
            partition_leader_epoch: 3,
            crc: 0,
            attributes: 0x33,
            last_offset_delta: 4,
            base_timestamp: 1000,
            max_timestamp: 2000,
            producer_id: 9,
            producer_epoch: 1,
            base_sequence: i32::MAX - 1,
            record_count: 5,
        }
    }

    #[test]
    fn a_header_survives_its_bytes() {
        let header = sample();
        assert_eq!(BatchHeader::parse(&header.to_bytes()), Ok(header));
        assert_eq!(header.last_offset(), 11);
        assert_eq!(header.codec_id(), 3);
        assert!(header.is_transactional() && header.is_control());
        assert_eq!(header.last_sequence(), 2, "sequences wrap to 0 after i32::MAX");
        assert_eq!(header.size(), HEADER_LENGTH);
        assert_eq!(header.delete_horizon_ms(), None);
        let compacted = BatchHeader { attributes: header.attributes | 0x40, ..header };
        assert_eq!(compacted.delete_horizon_ms(), Some(1000));
    }

    #[test]
    fn the_setters_keep_the_crc_right() {
        let mut batch = sample().to_bytes().to_vec();
        refresh_crc(&mut batch);
        assert!(verify_crc(&batch));
        set_base_offset(&mut batch, 100);
        set_partition_leader_epoch(&mut batch, 8);
        set_max_timestamp(&mut batch, TimestampType::LogAppendTime, 5000);
        assert!(verify_crc(&batch));
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!((header.base_offset, header.partition_leader_epoch), (100, 8));
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(header.max_timestamp, 5000);
    }

    #[test]
    fn impossible_headers_are_refused() {
        let parse = |change: fn(&mut BatchHeader)| {
            let mut header = sample();
            change(&mut header);
            BatchHeader::parse(&header.to_bytes())
        };
        assert_eq!(parse(|h| h.batch_length = 48), Err(BatchError::Length(48)));
        assert_eq!(parse(|h| h.record_count = -1), Err(BatchError::RecordCount(-1)));
        assert_eq!(parse(|h| h.last_offset_delta = -2), Err(BatchError::LastOffsetDelta(-2)));
        assert_eq!(BatchHeader::parse(&sample().to_bytes()[..60]), Err(BatchError::Truncated));
        let mut old = sample().to_bytes();
        old[MAGIC_OFFSET] = 1;
        assert_eq!(BatchHeader::parse(&old), Err(BatchError::Magic(1)));
    }
    #[test]
    fn the_kind_of_timestamps_changes_and_no_other_attribute() {
        for attributes in [0x33, 0x33 | LOG_APPEND_TIME, 0, LOG_APPEND_TIME] {
            for wanted in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
                let mut batch = BatchHeader { attributes, ..sample() }.to_bytes().to_vec();
                refresh_crc(&mut batch);
                set_max_timestamp(&mut batch, wanted, 3000);
                assert!(verify_crc(&batch));
                let header = BatchHeader::parse(&batch).unwrap();
                assert_eq!((header.timestamp_type(), header.max_timestamp), (wanted, 3000));
                let others = |attributes: i16| attributes & !LOG_APPEND_TIME;
                assert_eq!(others(header.attributes), others(attributes));
                let before = batch.clone();
                set_max_timestamp(&mut batch, wanted, 3000);
                assert_eq!(batch, before);
            }
        }
    }
}
