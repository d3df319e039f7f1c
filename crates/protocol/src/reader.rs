//! Reads Kafka's primitives from a frame: borrowed, bounds-checked, within a budget.
//!
//! Two bounds keep memory in proportion to what was received: an array's count must fit the
//! bytes that are left, and all arrays together must fit the budget.

mod arrays;

use std::ops::RangeInclusive;

use strom_base::Uuid;

use crate::error::{DecodeError, DecodeReason};
use crate::message::Records;

/// Bytes of memory for arrays per byte of the frame. Requests of real clients need 3 to 15: most
/// the ones with many short names.
const BUDGET_PER_BYTE: usize = 24;
/// Bytes of memory for arrays whatever the frame's size.
const BUDGET_FLOOR: usize = 4096;
/// Memory for all arrays of a request, whatever its size …
const REQUEST_BUDGET: usize = 16 << 20;
/// … of which each element takes this much at least: its part of the answer takes more.
const REQUEST_ELEMENT: usize = 24;
/// Kafka's bound on strings, in the compact form too.
const MAX_STRING_LENGTH: i32 = i16::MAX as i32;

#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    /// Bytes of memory that arrays may still take.
    budget: usize,
    /// What an element of an array is charged at least.
    least_charge: usize,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let budget = bytes.len().saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET_FLOOR);
        Self::with_budget(bytes, budget)
    }

    /// Of what a stranger sent. Whatever a request's size, it names no more than 700,000 things, far
    /// more than any client does: an answer about each of them stays in bounds.
    #[must_use]
    pub fn for_request(bytes: &'a [u8]) -> Self {
        let reader = Self::new(bytes);
        let budget = reader.budget.min(REQUEST_BUDGET);
        Self { budget, least_charge: REQUEST_ELEMENT, ..reader }
    }

    /// A reader whose values take at most `budget` bytes of memory for arrays.
    #[must_use]
    pub fn with_budget(bytes: &'a [u8], budget: usize) -> Self {
        Self { rest: bytes, length: bytes.len(), budget, least_charge: 0 }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not yet read, without reading them.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.length.saturating_sub(self.rest.len())
    }

    /// Fails if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(DecodeReason::TrailingBytes { count: narrow(self.rest.len()) }))
    }

    /// An error at the present position.
    #[cold]
    #[must_use]
    pub fn error(&self, reason: DecodeReason) -> DecodeError {
        DecodeError { position: narrow(self.position()), reason }
    }

    #[cold]
    fn truncated(&self, wanted: usize) -> DecodeError {
        let missing = narrow(wanted.saturating_sub(self.rest.len()));
        self.error(DecodeReason::Truncated { missing })
    }

    pub(crate) fn check_version(
        &self,
        versions: RangeInclusive<i16>,
        version: i16,
    ) -> Result<(), DecodeError> {
        if versions.contains(&version) {
            return Ok(());
        }
        Err(self.error(DecodeReason::UnsupportedVersion { version }))
    }

    fn read_chunk<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((chunk, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(N));
        };
        self.rest = rest;
        Ok(*chunk)
    }

    /// The next `length` bytes as they are.
    pub fn read_slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((slice, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated(length));
        };
        self.rest = rest;
        Ok(slice)
    }

    /// One byte; anything but 0 is true.
    pub fn read_bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.read_i8()? != 0)
    }

    pub fn read_i8(&mut self) -> Result<i8, DecodeError> {
        self.read_chunk().map(i8::from_be_bytes)
    }

    pub fn read_i16(&mut self) -> Result<i16, DecodeError> {
        self.read_chunk().map(i16::from_be_bytes)
    }

    pub fn read_u16(&mut self) -> Result<u16, DecodeError> {
        self.read_chunk().map(u16::from_be_bytes)
    }

    pub fn read_i32(&mut self) -> Result<i32, DecodeError> {
        self.read_chunk().map(i32::from_be_bytes)
    }

    pub fn read_u32(&mut self) -> Result<u32, DecodeError> {
        self.read_chunk().map(u32::from_be_bytes)
    }

    pub fn read_i64(&mut self) -> Result<i64, DecodeError> {
        self.read_chunk().map(i64::from_be_bytes)
    }

    pub fn read_f64(&mut self) -> Result<f64, DecodeError> {
        self.read_chunk().map(f64::from_be_bytes)
    }

    pub fn read_uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.read_chunk().map(Uuid)
    }

    /// An unsigned number of 1 to 5 bytes, 7 bits each, lowest first.
    pub fn read_uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.read_chunk()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeReason::LongVarint))
    }

    /// A length in either form: none for null, an error for anything else below 0.
    fn read_length(&mut self, length: i32) -> Result<Option<usize>, DecodeError> {
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(DecodeReason::Length { length })),
        }
    }

    /// The compact form holds the length plus 1, and 0 for null.
    fn read_compact_length(&mut self) -> Result<i32, DecodeError> {
        let raw = self.read_uvarint()?;
        i32::try_from(i64::from(raw) - 1)
            .map_err(|_| self.error(DecodeReason::Length { length: i32::MAX }))
    }

    /// A string of at most 32767 bytes, in the compact form in flexible versions.
    #[inline(never)]
    pub fn read_nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, DecodeError> {
        let length =
            if flexible { self.read_compact_length()? } else { i32::from(self.read_i16()?) };
        if length > MAX_STRING_LENGTH {
            return Err(self.error(DecodeReason::Length { length }));
        }
        let Some(length) = self.read_length(length)? else { return Ok(None) };
        let start = self.clone();
        match std::str::from_utf8(self.read_slice(length)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(start.error(DecodeReason::InvalidUtf8)),
        }
    }

    pub fn read_string(&mut self, flexible: bool) -> Result<&'a str, DecodeError> {
        let string = self.read_nullable_string(flexible)?;
        self.not_null(string)
    }

    #[inline(never)]
    pub fn read_nullable_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = if flexible { self.read_compact_length()? } else { self.read_i32()? };
        let Some(length) = self.read_length(length)? else { return Ok(None) };
        self.read_slice(length).map(Some)
    }

    pub fn read_bytes(&mut self, flexible: bool) -> Result<&'a [u8], DecodeError> {
        let bytes = self.read_nullable_bytes(flexible)?;
        self.not_null(bytes)
    }

    pub(crate) fn read_nullable_records(
        &mut self,
        flexible: bool,
    ) -> Result<Option<Records<'a>>, DecodeError> {
        Ok(self.read_nullable_bytes(flexible)?.map(Records::Inline))
    }

    pub(crate) fn not_null<T>(&self, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| self.error(DecodeReason::Null))
    }

    pub(crate) fn null_only_if<T>(
        &self,
        allowed: bool,
        value: Option<T>,
    ) -> Result<Option<T>, DecodeError> {
        if allowed || value.is_some() { Ok(value) } else { Err(self.error(DecodeReason::Null)) }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T>(result: Result<T, DecodeError>) -> Option<DecodeReason> {
        result.err().map(|error| error.reason)
    }

    #[test]
    fn variable_length_numbers_end_after_their_last_byte() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x80, 0x01], 128),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], u32::MAX),
        ] {
            assert_eq!(Reader::new(bytes).read_uvarint(), Ok(value));
        }
    }

    #[test]
    fn an_over_long_number_is_refused() {
        for last in [0x10, 0x80] {
            let bytes = [0xff, 0xff, 0xff, 0xff, last, 0x00];
            let error = reason(Reader::new(&bytes).read_uvarint());
            assert_eq!(error, Some(DecodeReason::LongVarint));
        }
    }

    #[test]
    fn a_length_below_null_is_refused() {
        let error = reason(Reader::new(&[0xff, 0xfe]).read_nullable_string(false));
        assert_eq!(error, Some(DecodeReason::Length { length: -2 }));
        assert_eq!(Reader::new(&[0xff, 0xff]).read_nullable_string(false), Ok(None));
        assert_eq!(Reader::new(&[0]).read_nullable_string(true), Ok(None));
    }

    #[test]
    fn null_is_refused_where_a_value_must_be() {
        let error = Reader::new(&[0xff, 0xff]).read_string(false);
        assert_eq!(error, Err(DecodeError { position: 2, reason: DecodeReason::Null }));
    }

    #[test]
    fn a_string_must_be_utf8_and_not_too_long() {
        let error = reason(Reader::new(&[2, 0xff]).read_string(true));
        assert_eq!(error, Some(DecodeReason::InvalidUtf8));
        let mut long = vec![0x81, 0x80, 0x02];
        long.resize(40_000, b'a');
        let error = reason(Reader::new(&long).read_string(true));
        assert_eq!(error, Some(DecodeReason::Length { length: 32_768 }));
    }

    #[test]
    fn an_error_says_where_it_is() {
        let mut reader = Reader::new(&[0, 1, 2]);
        assert_eq!(reader.read_i16(), Ok(1));
        let error = reader.read_i32().map(drop);
        let reason = DecodeReason::Truncated { missing: 3 };
        assert_eq!(error, Err(DecodeError { position: 2, reason }));
        let reason = DecodeReason::TrailingBytes { count: 1 };
        assert_eq!(reader.finish(), Err(DecodeError { position: 2, reason }));
    }
}
