//! From a record's bytes to Kafka's JSON of it, led by the schema.
//!
//! Fields come in the schema's order; a tagged field that was not written is left out.

use super::base64;
use super::schema::{Field, Schema};
use std::collections::BTreeMap;
use strom_protocol::{DecodeError, DecodeReason, Reader};

/// # Errors
/// When the bytes are not of that schema and version.
pub(super) fn read(
    schema: &Schema,
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<String, DecodeError> {
    if !schema.versions.contains(version) {
        return Err(reader.error(DecodeReason::UnsupportedVersion { version }));
    }
    Walk { schema, version, flexible: schema.flexible.contains(version) }
        .structure(&schema.fields, reader)
}

struct Walk<'a> {
    schema: &'a Schema,
    version: i16,
    flexible: bool,
}

impl Walk<'_> {
    fn structure(&self, fields: &[Field], reader: &mut Reader<'_>) -> Result<String, DecodeError> {
        let mut values: BTreeMap<usize, String> = BTreeMap::new();
        for (index, field) in fields.iter().enumerate() {
            if field.versions.contains(self.version) && !field.tagged.contains(self.version) {
                values.insert(index, self.value(field, reader)?);
            }
        }
        if self.flexible {
            for _ in 0..reader.read_uvarint()? {
                let tag = reader.read_uvarint()?;
                let size = reader.read_uvarint()?;
                let bytes = reader.read_slice(size as usize)?;
                let known = fields.iter().position(|field| {
                    field.tag == Some(tag) && field.tagged.contains(self.version)
                });
                if let Some(index) = known {
                    let mut inner = Reader::new(bytes);
                    if let Some(field) = fields.get(index) {
                        values.insert(index, self.value(field, &mut inner)?);
                    }
                }
            }
        }
        let mut text = String::from("{");
        for (index, value) in values {
            let name = fields.get(index).map_or("", |field| &field.json_name);
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&format!("\"{name}\":{value}"));
        }
        text.push('}');
        Ok(text)
    }

    fn value(&self, field: &Field, reader: &mut Reader<'_>) -> Result<String, DecodeError> {
        let Some(element) = field.kind.strip_prefix("[]") else {
            return self.single(field, &field.kind, reader);
        };
        let count = if self.flexible {
            i64::from(reader.read_uvarint()?) - 1
        } else {
            i64::from(reader.read_i32()?)
        };
        if count < 0 {
            return Ok("null".to_owned());
        }
        let mut elements = Vec::new();
        // Every element takes at least a byte, or the reader ends the walk.
        for _ in 0..count {
            if reader.remaining() == 0 {
                return Err(reader.error(DecodeReason::Truncated { missing: 1 }));
            }
            elements.push(self.single(field, element, reader)?);
        }
        Ok(format!("[{}]", elements.join(",")))
    }

    fn single(
        &self,
        field: &Field,
        kind: &str,
        reader: &mut Reader<'_>,
    ) -> Result<String, DecodeError> {
        Ok(match kind {
            "bool" => reader.read_bool()?.to_string(),
            "int8" => reader.read_i8()?.to_string(),
            "int16" => reader.read_i16()?.to_string(),
            "uint16" => reader.read_u16()?.to_string(),
            "int32" => reader.read_i32()?.to_string(),
            "uint32" => reader.read_u32()?.to_string(),
            "int64" => reader.read_i64()?.to_string(),
            "float64" => format!("{:?}", reader.read_f64()?),
            "uuid" => quoted(&reader.read_uuid()?.to_string()),
            "string" => match reader.read_nullable_string(self.flexible)? {
                Some(text) => quoted(text),
                None => "null".to_owned(),
            },
            "bytes" | "records" => match reader.read_nullable_bytes(self.flexible)? {
                Some(bytes) => self.bytes(field, bytes),
                None => "null".to_owned(),
            },
            name => {
                // A struct that may be null has a mark in front.
                let nullable = !field.kind.starts_with("[]");
                if nullable && field.nullable.contains(self.version) && reader.read_i8()? < 0 {
                    return Ok("null".to_owned());
                }
                self.structure(self.schema.structure(field, name), reader)?
            }
        })
    }

    /// A consumer group's member holds two messages of the consumer protocol as bytes.
    fn bytes(&self, field: &Field, bytes: &[u8]) -> String {
        let embedded = match (self.schema.name.as_str(), field.json_name.as_str()) {
            ("GroupMetadataValue", "subscription") => "ConsumerProtocolSubscription",
            ("GroupMetadataValue", "assignment") => "ConsumerProtocolAssignment",
            _ => return quoted(&base64::encode(bytes)),
        };
        consumer_protocol(embedded, bytes).unwrap_or_else(|| quoted(&base64::encode(bytes)))
    }
}

fn consumer_protocol(name: &str, bytes: &[u8]) -> Option<String> {
    let schema = Schema::named(name)?;
    let mut reader = Reader::new(bytes);
    let version = reader.read_i16().ok()?;
    let text = read(schema, version, &mut reader).ok()?;
    (reader.remaining() == 0).then_some(text)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::Message;
    use strom_protocol::metadata_record::MetadataRecord;
    use strom_protocol::topic_record::TopicRecord;

    #[test]
    fn a_record_is_printed_as_kafkas_json() {
        let record = TopicRecord { name: "a\"b", ..Default::default() };
        let bytes = record.to_bytes(0).unwrap();
        let schema = Schema::named("TopicRecord").unwrap();
        let text = read(schema, 0, &mut Reader::new(&bytes)).unwrap();
        assert_eq!(text, r#"{"name":"a\"b","topicId":"AAAAAAAAAAAAAAAAAAAAAA"}"#);
        assert!(read(schema, 9, &mut Reader::new(&bytes)).is_err());
        assert!(MetadataRecord::decode(&bytes).is_err());
    }

    #[test]
    fn a_count_beyond_the_bytes_ends_the_walk() {
        let schema = Schema::named("LeaderChangeMessage").unwrap();
        let bytes = [0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(read(schema, 0, &mut Reader::new(&bytes)).is_err());
    }
}
