//! How keys and values are read: as text, or as the records of one of Kafka's own topics.

use super::schema::Schema;
use super::schema_json;
use strom_protocol::records::{ControlType, EndTransactionMarker, Record, control_type};
use strom_protocol::{DecodeError, Reader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    Text,
    ClusterMetadata,
    Offsets,
    Transactions,
    ShareGroups,
}

/// A record's key and value, printable.
type Printable = (Option<String>, Option<String>);

impl Decoder {
    pub(super) fn parse(self, record: &Record<'_>) -> Printable {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Decoder::Text => (record.key.map(text), record.value.map(text)),
            Decoder::ClusterMetadata => (record.key.map(text), record.value.map(metadata)),
            Decoder::Offsets => coordinator(record, |name| {
                !name.starts_with("TransactionLog")
                    && !name.starts_with("ShareSnapshot")
                    && !name.starts_with("ShareUpdate")
            }),
            Decoder::Transactions => coordinator(record, |name| name.starts_with("TransactionLog")),
            Decoder::ShareGroups => coordinator(record, |name| {
                name.starts_with("ShareSnapshot") || name.starts_with("ShareUpdate")
            }),
        }
    }
}

fn metadata(bytes: &[u8]) -> String {
    match metadata_json(bytes) {
        Ok(Some(text)) => text,
        Ok(None) => "Error: the record's type is unknown, skipping.".to_owned(),
        Err(error) => format!("Error {error}, skipping."),
    }
}

fn metadata_json(bytes: &[u8]) -> Result<Option<String>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let _frame_version = reader.read_uvarint()?;
    let record_type = reader.read_uvarint()?;
    let version = i16::try_from(reader.read_uvarint()?).unwrap_or(i16::MAX);
    let known = i16::try_from(record_type).ok().and_then(Schema::of_metadata);
    let Some(schema) = known else { return Ok(None) };
    let data = schema_json::read(schema, version, &mut reader)?;
    let name = upper_snake_case(&schema.name);
    Ok(Some(format!("{{\"type\":\"{name}\",\"version\":{version},\"data\":{data}}}")))
}

fn coordinator(record: &Record<'_>, belongs: fn(&str) -> bool) -> Printable {
    let Some(key) = record.key else { return (None, None) };
    let record_type = key.first_chunk().map_or(-1, |bytes| i16::from_be_bytes(*bytes));
    // A key has one version: what looks like one is the record type.
    let body = key.get(2..).unwrap_or_default();
    let data = Schema::of_coordinator("coordinator-key", record_type, belongs)
        .and_then(|schema| schema_json::read(schema, 0, &mut Reader::new(body)).ok())
        .unwrap_or_else(|| "\"unknown\"".to_owned());
    let key = format!("{{\"type\":\"{record_type}\",\"data\":{data}}}");
    let Some(value) = record.value else { return (Some(key), Some("<DELETE>".to_owned())) };
    let version = value.first_chunk().map_or(-1, |bytes| i16::from_be_bytes(*bytes));
    let body = value.get(2..).unwrap_or_default();
    let data = Schema::of_coordinator("coordinator-value", record_type, belongs)
        .and_then(|schema| schema_json::read(schema, version, &mut Reader::new(body)).ok())
        .unwrap_or_else(|| "\"unknown\"".to_owned());
    (Some(key), Some(format!("{{\"version\":\"{version}\",\"data\":{data}}}")))
}

/// What a control record says.
pub(super) fn control(record: &Record<'_>) -> String {
    let kind = match control_type(record) {
        Ok(Some(kind)) => kind,
        Ok(None) => return " controlType: UNKNOWN".to_owned(),
        Err(error) => return format!(" controlType: unreadable ({error})"),
    };
    let (label, schema) = match kind {
        ControlType::Abort | ControlType::Commit => return end_of_transaction(record),
        ControlType::LeaderChange => (" LeaderChange: ", "LeaderChangeMessage"),
        ControlType::SnapshotHeader => (" SnapshotHeader ", "SnapshotHeaderRecord"),
        ControlType::SnapshotFooter => (" SnapshotFooter ", "SnapshotFooterRecord"),
        ControlType::KraftVersion => (" KRaftVersion ", "KRaftVersionRecord"),
        ControlType::KraftVoters => (" KRaftVoters ", "VotersRecord"),
    };
    // These messages carry their own version in their first field.
    let value = record.value.unwrap_or_default();
    let version = value.first_chunk().map_or(0, |bytes| i16::from_be_bytes(*bytes));
    let text = Schema::named(schema)
        .and_then(|schema| schema_json::read(schema, version, &mut Reader::new(value)).ok());
    format!("{label}{}", text.as_deref().unwrap_or("\"unreadable\""))
}

fn end_of_transaction(record: &Record<'_>) -> String {
    match EndTransactionMarker::read(record) {
        Ok(Some(marker)) => {
            let kind = if marker.is_commit { "COMMIT" } else { "ABORT" };
            format!(" endTxnMarker: {kind} coordinatorEpoch: {}", marker.coordinator_epoch)
        }
        _ => " endTxnMarker: unreadable".to_owned(),
    }
}

/// `NoOpRecord` is `NO_OP_RECORD`.
fn upper_snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}
