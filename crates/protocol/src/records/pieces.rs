//! Records in a body that comes in pieces: their keys and values are passed over, never held.
//!
//! Finds the same faults as [`super::Record::read`], which wants the body whole.

use super::{BatchError, RecordFault};

/// What there is to see of a record without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RecordOutline {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub has_key: bool,
}

/// The field that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Length,
    Attributes,
    Timestamp,
    OffsetDelta,
    KeyLength,
    ValueLength,
    HeaderCount,
    HeaderKeyLength,
    HeaderValueLength,
}

/// A variable-length number of which some bytes have come.
#[derive(Clone, Copy, Debug, Default)]
struct Number {
    value: u64,
    bytes: u32,
}

/// Where in which record the pieces have led.
#[derive(Clone, Debug)]
pub(super) struct PieceWalk {
    count: i32,
    index: i32,
    field: Field,
    number: Number,
    /// Bytes of the record that are not spoken for yet.
    left: usize,
    /// Bytes to pass over.
    skipped: usize,
    headers: usize,
    outline: RecordOutline,
}

impl PieceWalk {
    /// Through a body that is said to hold `count` records.
    pub(super) fn new(count: i32) -> Self {
        Self {
            count,
            index: 0,
            field: Field::Length,
            number: Number::default(),
            left: 0,
            skipped: 0,
            headers: 0,
            outline: RecordOutline::default(),
        }
    }

    /// Shows `visit` the records that this piece completes up to their last length. False when
    /// `visit` has seen enough.
    pub(super) fn take(
        &mut self,
        mut piece: &[u8],
        visit: &mut dyn FnMut(RecordOutline) -> bool,
    ) -> Result<bool, BatchError> {
        loop {
            let passed = self.skipped.min(piece.len());
            self.skipped -= passed;
            piece = piece.get(passed..).unwrap_or_default();
            let Some((byte, rest)) = piece.split_first() else { return Ok(true) };
            if self.field == Field::Length && self.index >= self.count {
                return Err(BatchError::TrailingBytes(piece.len()));
            }
            piece = rest;
            let is_whole = self.take_byte(*byte).map_err(|fault| self.broken(fault))?;
            if is_whole && !visit(self.outline) {
                return Ok(false);
            }
        }
    }

    /// The body is at its end.
    pub(super) fn finish(&self) -> Result<(), BatchError> {
        let is_between = self.field == Field::Length && self.number.bytes == 0 && self.skipped == 0;
        if is_between && self.index >= self.count {
            return Ok(());
        }
        Err(self.broken(RecordFault::CutOff))
    }

    fn broken(&self, fault: RecordFault) -> BatchError {
        BatchError::Record { index: self.index, fault }
    }

    /// True when all fields of a record have come.
    fn take_byte(&mut self, byte: u8) -> Result<bool, RecordFault> {
        if self.field != Field::Length {
            self.left = self.left.checked_sub(1).ok_or(RecordFault::CutOff)?;
        }
        if self.field == Field::Attributes {
            self.field = Field::Timestamp;
            return Ok(false);
        }
        let most = if self.field == Field::Timestamp { 10 } else { 5 };
        let Some(raw) = self.number.take(byte, most)? else { return Ok(false) };
        self.take_number(raw)
    }

    fn take_number(&mut self, raw: u64) -> Result<bool, RecordFault> {
        let signed = (raw >> 1) as i64 ^ -((raw & 1) as i64);
        if self.field == Field::Timestamp {
            self.outline.timestamp_delta = signed;
            self.field = Field::OffsetDelta;
            return Ok(false);
        }
        let value = u32::try_from(raw).map(|_| signed as i32).map_err(|_| RecordFault::CutOff)?;
        match self.field {
            Field::Length => {
                self.left = usize::try_from(value).map_err(|_| RecordFault::Length)?;
                self.field = Field::Attributes;
            }
            Field::OffsetDelta => {
                self.outline.offset_delta = value;
                self.field = Field::KeyLength;
            }
            Field::KeyLength => {
                self.outline.has_key = self.pass_over(value)?;
                self.field = Field::ValueLength;
            }
            Field::ValueLength => {
                self.pass_over(value)?;
                self.field = Field::HeaderCount;
            }
            Field::HeaderCount => {
                self.headers = usize::try_from(value).map_err(|_| RecordFault::HeaderCount)?;
                // Each has two lengths.
                if self.headers > self.left / 2 {
                    return Err(RecordFault::HeaderCount);
                }
                return self.next_header();
            }
            Field::HeaderKeyLength => {
                if !self.pass_over(value)? {
                    return Err(RecordFault::Length);
                }
                self.field = Field::HeaderValueLength;
            }
            Field::HeaderValueLength => {
                self.pass_over(value)?;
                self.headers -= 1;
                return self.next_header();
            }
            Field::Attributes | Field::Timestamp => {}
        }
        Ok(false)
    }

    fn next_header(&mut self) -> Result<bool, RecordFault> {
        if self.headers > 0 {
            self.field = Field::HeaderKeyLength;
            return Ok(false);
        }
        if self.left > 0 {
            return Err(RecordFault::TrailingBytes);
        }
        self.field = Field::Length;
        self.index += 1;
        Ok(true)
    }

    /// False for null.
    fn pass_over(&mut self, length: i32) -> Result<bool, RecordFault> {
        if length == -1 {
            return Ok(false);
        }
        let length = usize::try_from(length).map_err(|_| RecordFault::Length)?;
        self.left = self.left.checked_sub(length).ok_or(RecordFault::Length)?;
        self.skipped = length;
        Ok(true)
    }
}

impl Number {
    /// The number when this was its last byte.
    fn take(&mut self, byte: u8, most: u32) -> Result<Option<u64>, RecordFault> {
        self.value |= u64::from(byte & 0x7f).wrapping_shl(7 * self.bytes);
        self.bytes += 1;
        if byte & 0x80 == 0 {
            return Ok(Some(std::mem::take(self).value));
        }
        if self.bytes >= most { Err(RecordFault::CutOff) } else { Ok(None) }
    }
}
