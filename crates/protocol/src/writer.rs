//! Writes Kafka's primitives into a buffer that may have holes for records kept elsewhere.

mod arrays;

use strom_base::Uuid;

use crate::error::EncodeError;
use crate::message::Records;

/// A place in [`Writer::bytes`] where `length` bytes belong that the sender adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The hole lies before the byte at this index of [`Writer::bytes`].
    pub position: usize,
    pub length: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
    /// In the order of their positions.
    pub holes: Vec<Hole>,
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that appends to `bytes`: a buffer used again, or one that begins with a header.
    #[must_use]
    pub fn appending_to(bytes: Vec<u8>) -> Self {
        Self { bytes, holes: Vec::new() }
    }

    /// The length of the message with its holes filled.
    #[must_use]
    pub fn total_length(&self) -> usize {
        let holes = self.holes.iter().map(|hole| hole.length as usize);
        self.bytes.len().saturating_add(holes.sum())
    }

    pub fn write_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn write_bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub fn write_i8(&mut self, value: i8) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_i16(&mut self, value: i16) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_u16(&mut self, value: u16) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_i32(&mut self, value: i32) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_u32(&mut self, value: u32) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_i64(&mut self, value: i64) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_f64(&mut self, value: f64) {
        self.write_slice(&value.to_be_bytes());
    }

    pub fn write_uuid(&mut self, value: Uuid) {
        self.write_slice(&value.0);
    }

    /// An unsigned number in 1 to 5 bytes, 7 bits each, lowest first.
    pub fn write_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A length of at most `i32::MAX`: plus 1 in the compact form.
    pub(crate) fn write_length(
        &mut self,
        length: usize,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        let Ok(narrow) = i32::try_from(length) else {
            return Err(EncodeError::TooLong { length });
        };
        if flexible {
            self.write_uvarint(narrow as u32 + 1);
        } else {
            self.write_i32(narrow);
        }
        Ok(())
    }

    fn write_null(&mut self, flexible: bool) {
        if flexible {
            self.write_uvarint(0);
        } else {
            self.write_i32(-1);
        }
    }

    /// A string of at most 32767 bytes, in the compact form in flexible versions.
    #[inline(never)]
    pub fn write_string(&mut self, text: &str, flexible: bool) -> Result<(), EncodeError> {
        let Ok(length) = i16::try_from(text.len()) else {
            return Err(EncodeError::TooLong { length: text.len() });
        };
        if flexible {
            self.write_uvarint(length as u32 + 1);
        } else {
            self.write_i16(length);
        }
        self.write_slice(text.as_bytes());
        Ok(())
    }

    pub fn write_nullable_string(
        &mut self,
        text: Option<&str>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        match text {
            Some(text) => return self.write_string(text, flexible),
            None if flexible => self.write_uvarint(0),
            None => self.write_i16(-1),
        }
        Ok(())
    }

    #[inline(never)]
    pub fn write_bytes(&mut self, bytes: &[u8], flexible: bool) -> Result<(), EncodeError> {
        self.write_length(bytes.len(), flexible)?;
        self.write_slice(bytes);
        Ok(())
    }

    pub fn write_nullable_bytes(
        &mut self,
        bytes: Option<&[u8]>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        match bytes {
            Some(bytes) => return self.write_bytes(bytes, flexible),
            None => self.write_null(flexible),
        }
        Ok(())
    }

    pub(crate) fn write_nullable_records(
        &mut self,
        records: Option<Records<'_>>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        match records {
            None => self.write_null(flexible),
            Some(Records::Inline(bytes)) => self.write_bytes(bytes, flexible)?,
            Some(Records::External { length }) => {
                self.write_length(length as usize, flexible)?;
                self.holes.push(Hole { position: self.bytes.len(), length });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_kept_elsewhere_leave_a_hole() {
        let mut writer = Writer::appending_to(vec![7]);
        let external = Some(Records::External { length: 300 });
        writer.write_nullable_records(external, true).expect("writes");
        writer.write_nullable_records(Some(Records::Inline(b"ab")), false).expect("writes");
        writer.write_nullable_records(None, true).expect("writes");
        assert_eq!(writer.bytes, [7, 0xad, 0x02, 0, 0, 0, 2, b'a', b'b', 0]);
        assert_eq!(writer.holes, [Hole { position: 3, length: 300 }]);
        assert_eq!(writer.total_length(), 310);
    }

    #[test]
    fn a_string_longer_than_kafkas_bound_is_refused() {
        let text = "a".repeat(32_768);
        let error = Err(EncodeError::TooLong { length: 32_768 });
        assert_eq!(Writer::new().write_string(&text, true), error);
        assert_eq!(Writer::new().write_string(&text[1..], true), Ok(()));
    }
}
