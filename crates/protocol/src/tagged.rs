//! Tagged fields (KIP-482): those a schema knows, and those it does not and passes on.

use crate::error::{DecodeError, DecodeReason};
use crate::reader::Reader;
use crate::writer::Writer;

/// Tagged fields that the schema does not know, borrowed as they came in and written back so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UnknownTaggedFields<'a> {
    /// From the first unknown field to the end of the last one. A known field that came in
    /// between is in here too: whoever writes skips the tags that the struct itself writes.
    raw: &'a [u8],
    /// How many unknown fields are in `raw`.
    count: u32,
}

impl<'a> UnknownTaggedFields<'a> {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn refuse(&self, version: i16) -> Result<(), crate::EncodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(crate::EncodeError::UnsupportedTaggedFields { version })
        }
    }

    /// Copies the fields with `low <= tag < high` to the writer.
    fn write_range(&self, writer: &mut Writer, low: u32, high: Option<u32>) {
        let mut reader = Reader::new(self.raw);
        while let Ok((tag, entry)) = reader.read_raw_tagged_field() {
            if tag >= low && high.is_none_or(|high| tag < high) {
                writer.bytes.extend_from_slice(entry);
            }
        }
    }
}

/// The tagged section of a struct while it is read.
pub(crate) struct TaggedReader<'a> {
    fields_left: u32,
    /// The rest of the frame from the current field on.
    entry: &'a [u8],
    /// The size of the current field, and what is left of the frame after it.
    size: u32,
    remaining_after: usize,
    /// The rest of the frame from the first unknown field on, and what is left after the last.
    unknown_from: Option<&'a [u8]>,
    remaining_after_unknown: usize,
    unknown_count: u32,
}

impl<'a> TaggedReader<'a> {
    pub(crate) fn unknown(&self) -> UnknownTaggedFields<'a> {
        let Some(from) = self.unknown_from else { return UnknownTaggedFields::default() };
        let length = from.len().saturating_sub(self.remaining_after_unknown);
        UnknownTaggedFields {
            raw: from.get(..length).unwrap_or_default(),
            count: self.unknown_count,
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn begin_tagged_fields(&mut self) -> Result<TaggedReader<'a>, DecodeError> {
        let count = self.read_uvarint()?;
        // A field takes at least its tag and its size.
        if count as usize > self.remaining() / 2 {
            return Err(self.error(DecodeReason::ArrayTooLong { count }));
        }
        Ok(TaggedReader {
            fields_left: count,
            entry: &[],
            size: 0,
            remaining_after: 0,
            unknown_from: None,
            remaining_after_unknown: 0,
            unknown_count: 0,
        })
    }

    /// Enters the next field and gives its tag.
    pub(crate) fn next_tag(
        &mut self,
        fields: &mut TaggedReader<'a>,
    ) -> Result<Option<u32>, DecodeError> {
        let Some(left) = fields.fields_left.checked_sub(1) else { return Ok(None) };
        fields.fields_left = left;
        fields.entry = self.rest();
        let tag = self.read_uvarint()?;
        fields.size = self.read_uvarint()?;
        let Some(after) = self.remaining().checked_sub(fields.size as usize) else {
            let missing = fields.size.saturating_sub(self.remaining() as u32);
            return Err(self.error(DecodeReason::Truncated { missing }));
        };
        fields.remaining_after = after;
        Ok(Some(tag))
    }

    /// Passes over a field that the schema does not know, and remembers it.
    pub(crate) fn skip_tag(&mut self, fields: &mut TaggedReader<'a>) -> Result<(), DecodeError> {
        self.read_slice(fields.size as usize)?;
        fields.unknown_from.get_or_insert(fields.entry);
        fields.remaining_after_unknown = fields.remaining_after;
        fields.unknown_count += 1;
        Ok(())
    }

    /// Checks that the field took exactly its size.
    pub(crate) fn end_tag(&self, fields: &TaggedReader<'a>) -> Result<(), DecodeError> {
        if self.remaining() == fields.remaining_after {
            Ok(())
        } else {
            Err(self.error(DecodeReason::TaggedFieldSize { size: fields.size }))
        }
    }

    /// The tagged section of a struct that knows no tag.
    pub(crate) fn read_unknown_tagged_fields(
        &mut self,
    ) -> Result<UnknownTaggedFields<'a>, DecodeError> {
        let mut fields = self.begin_tagged_fields()?;
        while self.next_tag(&mut fields)?.is_some() {
            self.skip_tag(&mut fields)?;
        }
        Ok(fields.unknown())
    }

    fn read_raw_tagged_field(&mut self) -> Result<(u32, &'a [u8]), DecodeError> {
        let entry = self.rest();
        let tag = self.read_uvarint()?;
        let size = self.read_uvarint()?;
        self.read_slice(size as usize)?;
        let length = entry.len().saturating_sub(self.remaining());
        Ok((tag, entry.get(..length).unwrap_or_default()))
    }
}

/// The tagged section of a struct while it is written: known fields and, between them by tag,
/// the unknown ones.
pub(crate) struct TaggedWriter<'a> {
    unknown: UnknownTaggedFields<'a>,
    /// Unknown fields below this tag are written.
    next: u32,
}

impl TaggedWriter<'_> {
    /// Writes the unknown fields that come before the known `tag`.
    pub(crate) fn up_to(&mut self, writer: &mut Writer, tag: u32) {
        if !self.unknown.is_empty() {
            self.unknown.write_range(writer, self.next, Some(tag));
        }
        self.next = tag + 1;
    }

    /// Writes the unknown fields that come after all known ones.
    pub(crate) fn rest(self, writer: &mut Writer) {
        if !self.unknown.is_empty() {
            self.unknown.write_range(writer, self.next, None);
        }
    }
}

impl Writer {
    /// Begins a section with `known` fields of the struct and the unknown ones.
    pub(crate) fn begin_tagged_fields<'u>(
        &mut self,
        known: u32,
        unknown: &UnknownTaggedFields<'u>,
    ) -> TaggedWriter<'u> {
        self.write_uvarint(known.saturating_add(unknown.count));
        TaggedWriter { unknown: *unknown, next: 0 }
    }

    /// Begins a known field; the answer goes to [`Writer::end_tag`].
    pub(crate) fn begin_tag(&mut self, tag: u32) -> usize {
        self.write_uvarint(tag);
        self.bytes.push(0);
        self.bytes.len()
    }

    /// Puts the size of the field that began at `start` before it.
    pub(crate) fn end_tag(&mut self, start: usize) {
        let size = u32::try_from(self.bytes.len().saturating_sub(start)).unwrap_or(u32::MAX);
        let place = start.saturating_sub(1);
        match (u8::try_from(size), self.bytes.get_mut(place)) {
            (Ok(size), Some(byte)) if size < 0x80 => *byte = size,
            _ => {
                let mut prefix = Writer::new();
                prefix.write_uvarint(size);
                self.bytes.splice(place..start, prefix.bytes);
            }
        }
    }

    /// The tagged section of a struct that knows no tag.
    pub(crate) fn write_unknown_tagged_fields(&mut self, unknown: &UnknownTaggedFields<'_>) {
        self.write_uvarint(unknown.count);
        self.bytes.extend_from_slice(unknown.raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::fetch_request::FetchRequest;

    /// The end of a Fetch request: cluster id (tag 0) and replica state (tag 1) are known.
    const TAGS: &[u8] = &[3, 0, 3, 2 + 1, b'i', b'd', 5, 1, 0xaa, 9, 0];

    #[test]
    fn unknown_fields_stay_in_tag_order_around_known_ones() {
        let mut request = FetchRequest { cluster_id: Some("id"), ..FetchRequest::default() };
        let plain = request.to_bytes(15).expect("encodes");
        let mut bytes = plain.strip_suffix(&TAGS[1..6]).expect("one field").to_vec();
        *bytes.last_mut().expect("a count") = 3;
        bytes.extend_from_slice(&TAGS[1..]);
        let read = FetchRequest::from_bytes(&bytes, 15).expect("decodes");
        assert_eq!(read.cluster_id, Some("id"));
        assert_eq!(read.unknown_tagged_fields.count(), 2);
        assert_eq!(read.to_bytes(15), Ok(bytes.clone()));
        request.unknown_tagged_fields = read.unknown_tagged_fields;
        assert_eq!(request, read);
        assert!(request.to_bytes(11).is_err(), "version 11 has no tagged fields");
    }

    #[test]
    fn a_known_field_between_unknown_ones_is_written_once() {
        let bytes = [3, 1, 1, 0xaa, 2, 1, 0xbb, 3, 1, 0xcc];
        let mut reader = Reader::new(&bytes);
        let mut fields = reader.begin_tagged_fields().expect("a section");
        while let Some(tag) = reader.next_tag(&mut fields).expect("a tag") {
            if tag == 2 {
                reader.read_i8().expect("a byte");
            } else {
                reader.skip_tag(&mut fields).expect("a field");
            }
            reader.end_tag(&fields).expect("its size");
        }
        let mut writer = Writer::new();
        let mut tags = writer.begin_tagged_fields(1, &fields.unknown());
        tags.up_to(&mut writer, 2);
        let start = writer.begin_tag(2);
        writer.write_slice(&[0xbb; 200]);
        writer.end_tag(start);
        tags.rest(&mut writer);
        assert_eq!(writer.bytes[..7], [3, 1, 1, 0xaa, 2, 0xc8, 0x01]);
        assert_eq!(writer.bytes[7..], [&[0xbb; 200][..], &[3, 1, 0xcc]].concat());
    }

    #[test]
    fn a_tagged_field_that_does_not_fill_its_size_is_refused() {
        let request = FetchRequest { cluster_id: Some("id"), ..FetchRequest::default() };
        let mut bytes = request.to_bytes(15).expect("encodes");
        let size = bytes.len() - 4;
        assert_eq!(bytes[size], 3);
        bytes[size] = 4;
        bytes.push(0);
        let error = FetchRequest::from_bytes(&bytes, 15).expect_err("fails");
        assert_eq!(error.reason, DecodeReason::TaggedFieldSize { size: 4 });
    }
}
