//! Messages of magic 0 and 1, read only: segments written before Kafka 0.11 hold them.
//!
//! `i64 offset | i32 size | u32 crc | i8 magic | i8 attributes | [i64 timestamp, magic 1] |
//! i32 key length, key | i32 value length, value`, the CRC (the IEEE one) over magic to end.
//! A compressed message holds a set of messages as its value and the offset of the last of them;
//! inside, magic 0 counts offsets absolutely, magic 1 from 0.

use super::{BatchError, LOG_OVERHEAD, NO_TIMESTAMP, TimestampType, entry_size};
use crate::compression::{Codec, Codecs};

const CODEC_MASK: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;
const CHECKED_FROM: usize = LOG_OVERHEAD + 4;

/// One message where it lies: a record, or a wrapper around compressed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Of the last record when it is a wrapper.
    pub offset: i64,
    pub crc: u32,
    /// 0 or 1.
    pub magic: i8,
    pub attributes: u8,
    /// Milliseconds, the largest of a wrapper's records; -1 in magic 0.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// All of it, offset and size included.
    pub bytes: &'a [u8],
}

/// A record of an old message set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyRecord<'a> {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads the message at the start of `bytes`, which must hold all of it.
    ///
    /// # Errors
    /// Another magic, too few bytes, or lengths that do not fill the message exactly.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, BatchError> {
        let size = entry_size(bytes).ok_or(BatchError::Truncated)??;
        let whole = bytes.get(..size).ok_or(BatchError::Truncated)?;
        let mut rest = whole;
        let offset = i64::from_be_bytes(take(&mut rest)?);
        let _size: [u8; 4] = take(&mut rest)?;
        let crc = u32::from_be_bytes(take(&mut rest)?);
        let magic = i8::from_be_bytes(take(&mut rest)?);
        let [attributes] = take(&mut rest)?;
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => i64::from_be_bytes(take(&mut rest)?),
            _ => return Err(BatchError::Magic(magic)),
        };
        let key = take_nullable(&mut rest)?;
        let value = take_nullable(&mut rest)?;
        if !rest.is_empty() {
            return Err(BatchError::TrailingBytes(rest.len()));
        }
        Ok(Message { offset, crc, magic, attributes, timestamp, key, value, bytes: whole })
    }

    #[must_use]
    pub fn verify_crc(&self) -> bool {
        let checked = self.bytes.get(CHECKED_FROM..).unwrap_or_default();
        crc_fast::crc32_iso_hdlc(checked) == self.crc
    }

    /// # Errors
    /// An id that no codec has.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        let id = i16::from(self.attributes & CODEC_MASK);
        Codec::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic > 0 && self.attributes & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Gives `visit` the record that the message is, or the records that it wraps, in order.
    ///
    /// # Errors
    /// A wrapper without value or records, one inside another, an unknown codec, broken or too many
    /// bytes (`limit`). Some records may have been visited before.
    pub fn for_each_record(
        &self,
        codecs: &mut Codecs,
        limit: usize,
        visit: &mut dyn FnMut(LegacyRecord<'_>),
    ) -> Result<(), BatchError> {
        let codec = self.codec()?;
        if codec == Codec::None {
            let Message { offset, timestamp, key, value, .. } = *self;
            visit(LegacyRecord { offset, timestamp, key, value });
            return Ok(());
        }
        let value = self.value.ok_or(BatchError::LegacyWrapper)?;
        let inner = if self.magic == 0 {
            codecs.decompress_magic0(codec, value, limit)?
        } else {
            codecs.decompress(codec, value, limit)?
        };
        let shift = self.offset_shift(&inner)?;
        for message in (Messages { bytes: &inner }) {
            let message = message?;
            visit(LegacyRecord {
                offset: message.offset.saturating_add(shift),
                timestamp: match self.timestamp_type() {
                    TimestampType::CreateTime => message.timestamp,
                    TimestampType::LogAppendTime => self.timestamp,
                },
                key: message.key,
                value: message.value,
            });
        }
        Ok(())
    }

    /// What to add to the offsets inside; checks what is inside on the way.
    fn offset_shift(&self, inner: &[u8]) -> Result<i64, BatchError> {
        let mut last = None;
        for message in (Messages { bytes: inner }) {
            let message = message?;
            if message.magic != self.magic || message.codec()? != Codec::None {
                return Err(BatchError::LegacyWrapper);
            }
            last = Some(message.offset);
        }
        let last = last.ok_or(BatchError::LegacyWrapper)?;
        Ok(if self.magic == 0 { 0 } else { self.offset.saturating_sub(last) })
    }
}

/// The messages of a decompressed set, which must be whole.
struct Messages<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let message = Message::parse(self.bytes);
        let walked = message.as_ref().map_or(self.bytes.len(), |message| message.bytes.len());
        self.bytes = self.bytes.get(walked..).unwrap_or_default();
        Some(message)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BatchError> {
    let (taken, behind) = rest.split_first_chunk().ok_or(BatchError::Truncated)?;
    *rest = behind;
    Ok(*taken)
}

fn take_nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    let length = i32::from_be_bytes(take(rest)?);
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| BatchError::Length(length))?;
    let (taken, behind) = rest.split_at_checked(length).ok_or(BatchError::Truncated)?;
    *rest = behind;
    Ok(Some(taken))
}
