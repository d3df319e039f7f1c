//! Writes random valid frames by interpreting a schema: a second, slow encoder that shares no code
//! with the generated one but the schema reader.

use strom_base::Random;

use super::Draw;
use super::schema::{Field, FieldType, Schema, Struct};

struct Sampler<'s, D> {
    schema: &'s Schema,
    version: i16,
    source: &'s mut D,
    /// Write only defaults: to know what a tagged field must not hold.
    plain: bool,
}

/// A message in this version, without a header, as Kafka would write it: tags in order, no tagged
/// field that holds its default.
pub(super) fn message(schema: &Schema, version: i16, source: &mut impl Draw) -> Vec<u8> {
    let mut sampler = Sampler { schema, version, source, plain: false };
    let mut out = Vec::new();
    sampler.write_struct(&schema.structs[0], &mut out);
    out
}

impl<D: Draw> Sampler<'_, D> {
    fn is_flexible(&self) -> bool {
        self.schema.flexible.contains(self.version)
    }

    fn write_struct(&mut self, item: &Struct, out: &mut Vec<u8>) {
        for field in &item.fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.write_field(field, out);
            }
        }
        if self.is_flexible() {
            self.write_tagged(item, out);
        }
    }

    fn write_tagged(&mut self, item: &Struct, out: &mut Vec<u8>) {
        let mut entries: Vec<(u32, Vec<u8>)> = Vec::new();
        // Kafka refuses the tag of a field that the version does not have.
        let mut known: Vec<u32> = item.fields.iter().filter_map(|field| field.tag).collect();
        let version = self.version;
        for field in item.fields.iter().filter(|field| field.versions.contains(version)) {
            let Some(tag) = field.tag else { continue };
            if self.plain || self.source.one_in(2) {
                continue;
            }
            let mut payload = Vec::new();
            self.write_field(field, &mut payload);
            if payload != self.default_payload(field) {
                entries.push((tag, payload));
            }
        }
        if !self.plain && self.source.one_in(3) {
            for _ in 0..=self.source.below(2) {
                let tag = self.source.below(300) as u32 / (1 + self.source.below(40) as u32);
                if !known.contains(&tag) {
                    known.push(tag);
                    entries.push((tag, self.some_bytes()));
                }
            }
        }
        entries.sort();
        write_uvarint(out, entries.len() as u32);
        for (tag, payload) in entries {
            write_uvarint(out, tag);
            write_uvarint(out, payload.len() as u32);
            out.extend_from_slice(&payload);
        }
    }

    fn default_payload(&self, field: &Field) -> Vec<u8> {
        // Nothing is drawn of a default.
        let source = &mut Random::new(0);
        let (schema, version) = (self.schema, self.version);
        let mut plain = Sampler { schema, version, source, plain: true };
        let mut payload = Vec::new();
        plain.write_field(field, &mut payload);
        payload
    }

    fn write_field(&mut self, field: &Field, out: &mut Vec<u8>) {
        let is_records = field.kind == FieldType::Records;
        let may_be_null = field.nullable.contains(self.version);
        let default_is_null = is_records || field.default.as_deref() == Some("null");
        let is_null = if self.plain {
            may_be_null && default_is_null
        } else {
            may_be_null && self.source.one_in(4)
        };
        let compact = self.is_flexible() && field.flexible.is_none();
        match &field.kind {
            FieldType::Struct(_) if may_be_null && field.tag.is_some() => {
                out.push(u8::from(!is_null));
            }
            FieldType::Struct(_) if may_be_null => out.push(if is_null { 0xff } else { 1 }),
            _ => {}
        }
        match &field.kind {
            FieldType::Text if is_null => write_length(out, None, 2, compact),
            FieldType::Bytes | FieldType::Records | FieldType::Array(_) if is_null => {
                write_length(out, None, 4, compact);
            }
            FieldType::Struct(_) if is_null => {}
            FieldType::Text if self.plain => {
                let text = field.default.clone().unwrap_or_default();
                write_length(out, Some(text.len()), 2, compact);
                out.extend_from_slice(text.as_bytes());
            }
            FieldType::Bytes | FieldType::Records | FieldType::Array(_) if self.plain => {
                write_length(out, Some(0), 4, compact);
            }
            FieldType::Array(element) => {
                let count = self.source.below(4) as usize;
                write_length(out, Some(count), 4, compact);
                for _ in 0..count {
                    self.write_value(element, 0, compact, out);
                }
            }
            kind => self.write_value(kind, default_number(field), compact, out),
        }
    }

    /// A value that is not null; numbers are `default` when only defaults are wanted.
    fn write_value(&mut self, kind: &FieldType, default: i64, compact: bool, out: &mut Vec<u8>) {
        let number = if self.plain { default } else { self.some_number() };
        let bytes = number.to_be_bytes();
        match kind {
            FieldType::Bool if self.plain => out.push(bytes[7]),
            FieldType::Bool => out.push(bytes[7] & 1),
            FieldType::Int8 => out.extend_from_slice(&bytes[7..]),
            FieldType::Int16 | FieldType::Uint16 => out.extend_from_slice(&bytes[6..]),
            FieldType::Int32 | FieldType::Uint32 => out.extend_from_slice(&bytes[4..]),
            FieldType::Int64 | FieldType::Float64 => out.extend_from_slice(&bytes),
            FieldType::Uuid if self.plain => out.extend_from_slice(&[0; 16]),
            FieldType::Uuid => out.extend_from_slice(&self.some_uuid()),
            FieldType::Text => {
                let text = self.some_text();
                write_length(out, Some(text.len()), 2, compact);
                out.extend_from_slice(text.as_bytes());
            }
            FieldType::Bytes | FieldType::Records => {
                let bytes = self.some_bytes();
                write_length(out, Some(bytes.len()), 4, compact);
                out.extend_from_slice(&bytes);
            }
            FieldType::Struct(name) => {
                let item = self.schema.find(name).clone();
                self.write_struct(&item, out);
            }
            FieldType::Array(_) => panic!("an array of arrays"),
        }
    }

    fn some_number(&mut self) -> i64 {
        match self.source.below(5) {
            0 => 0,
            1 => -1,
            2 => self.source.below(300) as i64,
            3 => i64::MAX,
            _ => self.source.next_u64() as i64,
        }
    }

    fn some_uuid(&mut self) -> [u8; 16] {
        let halves = (u128::from(self.source.next_u64()), u128::from(self.source.next_u64()));
        (halves.0 << 64 | halves.1).to_be_bytes()
    }

    fn some_text(&mut self) -> String {
        let length = if self.source.one_in(20) { 150 } else { self.source.below(9) };
        let letters = ['a', 'Z', '-', '0', 'é', '€', '😀'];
        (0..length).map(|_| letters[self.source.below(letters.len() as u64) as usize]).collect()
    }

    fn some_bytes(&mut self) -> Vec<u8> {
        let length = if self.source.one_in(20) { 20_000 } else { self.source.below(30) };
        (0..length).map(|_| self.source.next_u64() as u8).collect()
    }
}

fn default_number(field: &Field) -> i64 {
    match field.default.as_deref() {
        Some("true") => 1,
        Some(text) => match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).expect("a hex number"),
            None => text.parse().unwrap_or(0),
        },
        None => 0,
    }
}

/// A length of `width` bytes, or in the compact form; -1 or 0 for null.
fn write_length(out: &mut Vec<u8>, length: Option<usize>, width: usize, compact: bool) {
    match (length, compact) {
        (Some(length), true) => write_uvarint(out, length as u32 + 1),
        (None, true) => out.push(0),
        (Some(length), false) => {
            out.extend_from_slice(&(length as u32).to_be_bytes()[4 - width..]);
        }
        (None, false) => out.extend_from_slice(&[0xff; 4][..width]),
    }
}

fn write_uvarint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
