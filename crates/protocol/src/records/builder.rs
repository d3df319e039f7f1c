//! Making a batch, record by record, right where its bytes will lie.

use super::header::AttributeParts;
use super::{
    BatchError, BatchHeader, HEADER_LENGTH, LOG_OVERHEAD, NO_PARTITION_LEADER_EPOCH,
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType, refresh_crc,
    varint,
};
use crate::compression::{Codec, Codecs, Compression, CompressionError};

/// What a batch says beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    pub base_offset: i64,
    pub partition_leader_epoch: i32,
    /// With [`TimestampType::LogAppendTime`] the time of the append, in milliseconds; it becomes the
    /// batch's max timestamp.
    pub log_append_time_ms: Option<i64>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub is_transactional: bool,
    pub is_control: bool,
    /// When compaction may drop tombstones and markers (KIP-534).
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            log_append_time_ms: None,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            is_transactional: false,
            is_control: false,
            delete_horizon_ms: None,
        }
    }
}

/// A record to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since the epoch, or -1.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

impl NewRecord<'_> {
    /// Bytes behind the record's own length.
    fn body_size(&self, timestamp_delta: i64, offset_delta: i32) -> usize {
        let mut size = 1 + varint::size_i64(timestamp_delta) + varint::size_i32(offset_delta);
        size += nullable_size(self.key) + nullable_size(self.value);
        size += varint::size_i32(self.headers.len() as i32);
        for (key, value) in self.headers {
            size += nullable_size(Some(key)) + nullable_size(*value);
        }
        size
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::size_i32(bytes.len() as i32) + bytes.len())
}

fn write_nullable(bytes: Option<&[u8]>, output: &mut Vec<u8>) {
    match bytes {
        None => varint::write_i32(-1, output),
        Some(bytes) => {
            varint::write_i32(bytes.len() as i32, output);
            output.extend_from_slice(bytes);
        }
    }
}

/// Collects records; the header is written at the end, in front of them.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    record_count: i32,
    /// -1 before the first record.
    last_offset_delta: i32,
}

impl BatchBuilder {
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        Self {
            options,
            bytes: vec![0; HEADER_LENGTH],
            base_timestamp: options.delete_horizon_ms,
            max_timestamp: NO_TIMESTAMP,
            record_count: 0,
            last_offset_delta: -1,
        }
    }

    /// The same, with room for so many bytes of records.
    #[must_use]
    pub fn with_room(options: BatchOptions, bytes: usize) -> Self {
        let mut builder = Self::new(options);
        builder.bytes.reserve_exact(bytes);
        builder
    }

    /// Appends a record at the next offset and returns that offset.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] when the batch would outgrow the 2 GiB that its format can say.
    pub fn append(&mut self, record: &NewRecord<'_>) -> Result<i64, BatchError> {
        let offset = self.next_offset();
        self.append_at(offset, record)?;
        Ok(offset)
    }

    /// Appends a record at an offset of its own, as compaction leaves them.
    ///
    /// # Errors
    /// [`BatchError::OffsetOrder`] unless the offset is behind the last one and within 2^31 of the
    /// base; [`BatchError::TooLarge`] as for [`BatchBuilder::append`].
    pub fn append_at(&mut self, offset: i64, record: &NewRecord<'_>) -> Result<(), BatchError> {
        let offset_delta = offset
            .checked_sub(self.options.base_offset)
            .and_then(|delta| i32::try_from(delta).ok())
            .filter(|delta| *delta > self.last_offset_delta)
            .ok_or(BatchError::OffsetOrder(offset))?;
        let base_timestamp = *self.base_timestamp.get_or_insert(record.timestamp_ms);
        // Wrapping as Java's: the reader's sum wraps back.
        let timestamp_delta = record.timestamp_ms.wrapping_sub(base_timestamp);
        let size = record.body_size(timestamp_delta, offset_delta);
        if self.bytes.len().saturating_add(size).saturating_add(5) > i32::MAX as usize {
            return Err(BatchError::TooLarge);
        }
        let output = &mut self.bytes;
        varint::write_i32(size as i32, output);
        output.push(0);
        varint::write_i64(timestamp_delta, output);
        varint::write_i32(offset_delta, output);
        write_nullable(record.key, output);
        write_nullable(record.value, output);
        varint::write_i32(record.headers.len() as i32, output);
        for (key, value) in record.headers {
            write_nullable(Some(key), output);
            write_nullable(*value, output);
        }
        self.record_count += 1;
        self.last_offset_delta = offset_delta;
        self.max_timestamp = self.max_timestamp.max(record.timestamp_ms);
        Ok(())
    }

    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.options.base_offset.saturating_add(i64::from(self.last_offset_delta) + 1)
    }

    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes of the batch as it is now, not compressed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The batch, not compressed.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        self.finish(Codec::None, &mut bytes);
        bytes
    }

    /// The batch with its records compressed.
    ///
    /// # Errors
    /// The codec failed: [`CompressionError::Failed`].
    pub fn build_compressed(
        mut self,
        compression: Compression,
        codecs: &mut Codecs,
    ) -> Result<Vec<u8>, CompressionError> {
        if compression.codec == Codec::None {
            return Ok(self.build());
        }
        let records = std::mem::take(&mut self.bytes);
        let mut bytes = vec![0; HEADER_LENGTH];
        let body = records.get(HEADER_LENGTH..).unwrap_or_default();
        codecs.compress(compression, body, &mut bytes)?;
        self.finish(compression.codec, &mut bytes);
        Ok(bytes)
    }

    fn finish(&self, codec: Codec, bytes: &mut [u8]) {
        let options = &self.options;
        let attributes = AttributeParts {
            codec_id: codec.id(),
            timestamp_type: match options.log_append_time_ms {
                Some(_) => TimestampType::LogAppendTime,
                None => TimestampType::CreateTime,
            },
            is_transactional: options.is_transactional,
            is_control: options.is_control,
            has_delete_horizon: options.delete_horizon_ms.is_some(),
        };
        let header = BatchHeader {
            base_offset: options.base_offset,
            batch_length: (bytes.len() - LOG_OVERHEAD) as i32,
            partition_leader_epoch: options.partition_leader_epoch,
            crc: 0,
            attributes: attributes.bits(),
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: options.log_append_time_ms.unwrap_or(self.max_timestamp),
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.record_count,
        };
        if let Some(place) = bytes.first_chunk_mut() {
            *place = header.to_bytes();
        }
        refresh_crc(bytes);
    }
}
