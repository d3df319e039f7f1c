//! The records in a decompressed body, borrowed from it.
//!
//! `varint length | i8 attributes | varint64 timestamp delta | varint offset delta | varint key length,
//! key | varint value length, value | varint header count, { varint length, key, varint length, value }*`,
//! with length -1 for null.

use std::borrow::Cow;

use super::pieces::{PieceWalk, RecordOutline};
use super::{BatchError, BatchHeader, HEADER_LENGTH, TimestampType, varint};
use crate::compression::{Codec, Codecs};

/// The least bytes of a record: its length, attributes, deltas, null key, null value, no headers.
pub(super) const LEAST_RECORD: usize = 7;

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("it is cut off")]
    CutOff,
    #[error("a length in it is negative or beyond its end")]
    Length,
    #[error("its header count is impossible")]
    HeaderCount,
    #[error("it holds bytes behind its last header")]
    TrailingBytes,
}

/// One record. Its offset and timestamp come with the batch's header: see [`BatchHeader::offset_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: RawHeaders<'a>,
}

/// A record's headers, already checked: the iterator gives out exactly [`RawHeaders::len`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RawHeaders<'a> {
    bytes: &'a [u8],
    left: usize,
}

/// The key is text in Kafka, yet nothing has checked that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

impl RawHeaders<'_> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for RawHeaders<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.left = self.left.checked_sub(1)?;
        read_header(&mut self.bytes).ok()
    }
}

fn read_header<'a>(bytes: &mut &'a [u8]) -> Result<RecordHeader<'a>, RecordFault> {
    let key = read_nullable(bytes)?.ok_or(RecordFault::Length)?;
    Ok(RecordHeader { key, value: read_nullable(bytes)? })
}

fn read_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    let length = varint::read_i32(bytes).ok_or(RecordFault::CutOff)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| RecordFault::Length)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(RecordFault::Length)?;
    *bytes = rest;
    Ok(Some(taken))
}

impl<'a> Record<'a> {
    /// Reads one record, whole, off the front of a body.
    ///
    /// # Errors
    /// A record whose parts do not fill it exactly.
    pub fn read(body: &mut &'a [u8]) -> Result<Record<'a>, RecordFault> {
        let length = varint::read_i32(body).ok_or(RecordFault::CutOff)?;
        let length = usize::try_from(length).map_err(|_| RecordFault::Length)?;
        let (mut record, rest) = body.split_at_checked(length).ok_or(RecordFault::CutOff)?;
        *body = rest;
        // The attributes of a record mean nothing yet.
        let (_attributes, behind) = record.split_first().ok_or(RecordFault::CutOff)?;
        record = behind;
        let timestamp_delta = varint::read_i64(&mut record).ok_or(RecordFault::CutOff)?;
        let offset_delta = varint::read_i32(&mut record).ok_or(RecordFault::CutOff)?;
        let key = read_nullable(&mut record)?;
        let value = read_nullable(&mut record)?;
        let headers = read_headers(record)?;
        Ok(Record { offset_delta, timestamp_delta, key, value, headers })
    }
}

/// Checks that the headers fill `record` exactly.
fn read_headers(mut record: &[u8]) -> Result<RawHeaders<'_>, RecordFault> {
    let count = varint::read_i32(&mut record).ok_or(RecordFault::CutOff)?;
    let left = usize::try_from(count).map_err(|_| RecordFault::HeaderCount)?;
    // Each has two lengths.
    if left > record.len() / 2 {
        return Err(RecordFault::HeaderCount);
    }
    let headers = RawHeaders { bytes: record, left };
    for _ in 0..left {
        read_header(&mut record)?;
    }
    if record.is_empty() { Ok(headers) } else { Err(RecordFault::TrailingBytes) }
}

/// Walks the records of a decompressed body; ends after an error.
#[derive(Clone, Debug)]
pub struct RecordIterator<'a> {
    body: &'a [u8],
    count: i32,
    next: i32,
}

impl<'a> RecordIterator<'a> {
    /// Of `body`, which is said to hold `count` records.
    #[must_use]
    pub fn new(body: &'a [u8], count: i32) -> Self {
        Self { body, count, next: 0 }
    }
}

impl<'a> Iterator for RecordIterator<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            let trailing = std::mem::take(&mut self.body).len();
            return (trailing > 0).then_some(Err(BatchError::TrailingBytes(trailing)));
        }
        let index = self.next;
        self.next += 1;
        let record =
            Record::read(&mut self.body).map_err(|fault| BatchError::Record { index, fault });
        if record.is_err() {
            self.next = self.count;
            self.body = &[];
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Never more than the bytes can hold, and one for the error of trailing bytes.
        let claimed = usize::try_from(self.count - self.next).unwrap_or(0);
        (0, Some(claimed.min(self.body.len() / LEAST_RECORD) + 1))
    }
}

/// The decompressed body of one whole batch: borrowed when it is not compressed.
///
/// # Errors
/// An unknown codec, bytes that are none of the codec's, or more than `limit` of them.
pub fn body_of<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    codecs: &mut Codecs,
    limit: usize,
) -> Result<Cow<'a, [u8]>, BatchError> {
    let body = batch.get(HEADER_LENGTH..header.size()).ok_or(BatchError::Truncated)?;
    let codec = header.codec()?;
    if codec == Codec::None {
        return Ok(Cow::Borrowed(body));
    }
    Ok(Cow::Owned(codecs.decompress(codec, body, limit)?))
}

/// Shows `visit` every record of one whole batch, until that says false. Of a compressed body a piece
/// at a time is held.
///
/// # Errors
/// As [`body_of`], and what is wrong with a record, after those before it were visited.
pub fn outline_records(
    header: &BatchHeader,
    batch: &[u8],
    (codecs, limit): (&mut Codecs, usize),
    visit: &mut dyn FnMut(RecordOutline) -> bool,
) -> Result<(), BatchError> {
    let body = batch.get(HEADER_LENGTH..header.size()).ok_or(BatchError::Truncated)?;
    let codec = header.codec()?;
    if codec == Codec::None {
        for record in header.records(body) {
            if !visit(RecordOutline::from(&record?)) {
                break;
            }
        }
        return Ok(());
    }
    let mut walk = PieceWalk::new(header.record_count);
    let mut found = Ok(true);
    codecs.unfold(codec, body, limit, &mut |piece| {
        found = walk.take(piece, visit);
        Ok(found == Ok(true))
    })?;
    if found? { walk.finish() } else { Ok(()) }
}

impl From<&Record<'_>> for RecordOutline {
    fn from(record: &Record<'_>) -> Self {
        Self {
            offset_delta: record.offset_delta,
            timestamp_delta: record.timestamp_delta,
            has_key: record.key.is_some(),
        }
    }
}

impl BatchHeader {
    /// # Errors
    /// An id that no codec has.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        let id = self.codec_id();
        Codec::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    #[must_use]
    pub fn offset_of(&self, record: &Record<'_>) -> i64 {
        self.offset_at(record.offset_delta)
    }

    #[must_use]
    pub fn offset_at(&self, offset_delta: i32) -> i64 {
        self.base_offset.saturating_add(i64::from(offset_delta))
    }

    /// Milliseconds since the epoch, or -1; the batch's own when the broker's clock made it.
    #[must_use]
    pub fn timestamp_of(&self, record: &Record<'_>) -> i64 {
        self.timestamp_at(record.timestamp_delta)
    }

    /// The same for a record's delta.
    #[must_use]
    pub fn timestamp_at(&self, timestamp_delta: i64) -> i64 {
        match self.timestamp_type() {
            TimestampType::LogAppendTime => self.max_timestamp,
            TimestampType::CreateTime => self.base_timestamp.saturating_add(timestamp_delta),
        }
    }

    /// The records of a body that [`body_of`] gave.
    #[must_use]
    pub fn records<'a>(&self, body: &'a [u8]) -> RecordIterator<'a> {
        RecordIterator::new(body, self.record_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_claims_more_than_it_has_is_refused() {
        let read = |mut bytes: &[u8]| Record::read(&mut bytes).map(drop);
        // length 6: attributes, timestamp 0, offset 0, null key, null value, no headers
        assert_eq!(read(&[12, 0, 0, 0, 1, 1, 0]), Ok(()));
        assert_eq!(read(&[12, 0, 0, 0, 1, 1]), Err(RecordFault::CutOff));
        assert_eq!(read(&[1]), Err(RecordFault::Length));
        assert_eq!(read(&[12, 0, 0, 0, 3, 1, 0]), Err(RecordFault::Length));
        assert_eq!(read(&[12, 0, 0, 0, 1, 100, 0]), Err(RecordFault::Length));
        assert_eq!(read(&[12, 0, 0, 0, 1, 1, 1]), Err(RecordFault::HeaderCount));
        assert_eq!(read(&[12, 0, 0, 0, 1, 1, 2]), Err(RecordFault::HeaderCount));
        assert_eq!(read(&[14, 0, 0, 0, 1, 1, 0, 0]), Err(RecordFault::TrailingBytes));
        assert_eq!(read(&[]), Err(RecordFault::CutOff));
        assert_eq!(read(&[0]), Err(RecordFault::CutOff));
    }

    #[test]
    fn a_wrong_count_is_noticed() {
        let body = [12, 0, 0, 0, 1, 1, 0].repeat(2);
        let walk = |count| RecordIterator::new(&body, count).collect::<Result<Vec<_>, _>>();
        assert_eq!(walk(2).map(|records| records.len()), Ok(2));
        assert_eq!(walk(1), Err(BatchError::TrailingBytes(7)));
        let fault = RecordFault::CutOff;
        assert_eq!(walk(3), Err(BatchError::Record { index: 2, fault }));
    }
}
