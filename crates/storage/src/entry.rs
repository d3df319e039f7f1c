//! What the log needs to know of a batch, of any magic.
//!
//! Batches of magic 2 are all that is written; segments of old brokers may hold messages of magic 0
//! and 1, which are indexed, validated and served as they are.

use strom_protocol::records::{self, BatchError, BatchHeader, HEADER_LENGTH};

/// A batch or an old message by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchEntry {
    /// For an old compressed message, which tells its last offset only: that one.
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) size: usize,
    /// -1: none.
    pub(crate) max_timestamp: i64,
    /// `None` for magic 0 and 1.
    pub(crate) header: Option<BatchHeader>,
}

/// Enough bytes for [`BatchEntry::parse`], whatever the magic.
pub(crate) const PARSE_LENGTH: usize = HEADER_LENGTH;
/// Offset, length, CRC, magic, attributes, key length, value length.
const LEGACY_LENGTH_MIN: usize = 26;
const LEGACY_CRC_OFFSET: usize = 12;
const LEGACY_CHECKED_FROM: usize = 16;
const LEGACY_TIMESTAMP_OFFSET: usize = 18;

impl BatchEntry {
    /// Reads the header at the start of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<BatchEntry, BatchError> {
        match BatchHeader::parse(bytes) {
            Ok(header) => Ok(BatchEntry::from(header)),
            Err(BatchError::Magic(magic @ 0..=1)) => parse_legacy(bytes, magic),
            Err(error) => Err(error),
        }
    }

    /// Whether the checksum of exactly this batch matches its bytes.
    pub(crate) fn is_intact(&self, batch: &[u8]) -> bool {
        if self.header.is_some() {
            return records::verify_crc(batch);
        }
        let stored = batch.get(LEGACY_CRC_OFFSET..).and_then(|rest| rest.first_chunk::<4>());
        let checked = batch.get(LEGACY_CHECKED_FROM..).unwrap_or_default();
        stored.is_some_and(|crc| u32::from_be_bytes(*crc) == legacy_crc(checked))
    }
}

impl From<BatchHeader> for BatchEntry {
    fn from(header: BatchHeader) -> BatchEntry {
        BatchEntry {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            size: header.size(),
            max_timestamp: header.max_timestamp,
            header: Some(header),
        }
    }
}

fn parse_legacy(bytes: &[u8], magic: i8) -> Result<BatchEntry, BatchError> {
    let size = records::entry_size(bytes).ok_or(BatchError::Truncated)??;
    let timestamp_length = if magic == 1 { 8 } else { 0 };
    if size < LEGACY_LENGTH_MIN + timestamp_length {
        return Err(BatchError::Length(size as i32));
    }
    let offset = i64::from_be_bytes(*bytes.first_chunk().ok_or(BatchError::Truncated)?);
    let max_timestamp = if magic == 1 {
        let field = bytes.get(LEGACY_TIMESTAMP_OFFSET..).and_then(|rest| rest.first_chunk());
        i64::from_be_bytes(*field.ok_or(BatchError::Truncated)?)
    } else {
        records::NO_TIMESTAMP
    };
    Ok(BatchEntry { base_offset: offset, last_offset: offset, size, max_timestamp, header: None })
}

fn legacy_crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iso_hdlc(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages without a key at offset 7; the checksums were counted by zlib.
    fn old_messages() -> [Vec<u8>; 2] {
        let message = |length: u8, crc: u32, magic: u8, timestamp: &[u8]| {
            let offset_and_length = [[0, 0, 0, 0, 0, 0, 0, 7].as_slice(), &[0, 0, 0, length]];
            let body = [&[magic, 0], timestamp, &[0xff; 4], &[0, 0, 0, 3], b"old"].concat();
            [offset_and_length.concat(), crc.to_be_bytes().to_vec(), body].concat()
        };
        [message(17, 0x49a5_aa88, 0, &[]), message(25, 0xe831_6bfa, 1, &1234_i64.to_be_bytes())]
    }

    #[test]
    fn an_old_message_is_read_and_whatever_changes_behind_its_checksum_is_noticed() {
        for (bytes, max_timestamp) in old_messages().into_iter().zip([-1, 1234]) {
            let entry = BatchEntry::parse(&bytes).unwrap();
            let size = bytes.len();
            let offset = 7;
            let expected = BatchEntry {
                base_offset: offset,
                last_offset: offset,
                size,
                max_timestamp,
                header: None,
            };
            assert_eq!(entry, expected);
            assert!(entry.is_intact(&bytes));
            for at in LEGACY_CRC_OFFSET..size {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert!(!entry.is_intact(&damaged), "byte {at}");
            }
        }
    }

    #[test]
    fn an_old_message_too_short_for_its_fields_is_refused() {
        for bytes in old_messages() {
            let mut short = bytes.clone();
            short[11] -= 4;
            assert!(matches!(BatchEntry::parse(&short), Err(BatchError::Length(_))));
            assert_eq!(BatchEntry::parse(&bytes[..16]), Err(BatchError::Truncated));
        }
    }
}
