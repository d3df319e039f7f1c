//! The schemas of persisted records, read from the JSON that the messages are generated from.

use serde_json::Value;
use std::sync::LazyLock;

include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

/// An inclusive range of versions; empty when `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    low: i16,
    high: i16,
}

impl Versions {
    fn parse(text: &str) -> Versions {
        let number = |text: &str| text.trim().parse().unwrap_or(i16::MAX);
        if text == "none" || text.is_empty() {
            Versions { low: 1, high: 0 }
        } else if let Some(low) = text.strip_suffix('+') {
            Versions { low: number(low), high: i16::MAX }
        } else if let Some((low, high)) = text.split_once('-') {
            Versions { low: number(low), high: number(high) }
        } else {
            Versions { low: number(text), high: number(text) }
        }
    }

    pub(super) fn contains(self, version: i16) -> bool {
        self.low <= version && version <= self.high
    }
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    /// As Kafka writes it in JSON: `resourceName`.
    pub(super) json_name: String,
    /// `string`, `[]int32`, `[]EndPoint`, …
    pub(super) kind: String,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    pub(super) tagged: Versions,
    pub(super) tag: Option<u32>,
    /// Of a struct that is declared in place.
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) name: String,
    /// `metadata`, `coordinator-key`, `coordinator-value`, `data`.
    kind: String,
    /// The record type.
    api_key: Option<i64>,
    pub(super) versions: Versions,
    pub(super) flexible: Versions,
    pub(super) fields: Vec<Field>,
    structs: Vec<(String, Vec<Field>)>,
}

static SCHEMAS: LazyLock<Vec<Schema>> =
    LazyLock::new(|| SCHEMA_FILES.iter().filter_map(|text| parse(text)).collect());

impl Schema {
    pub(super) fn named(name: &str) -> Option<&'static Schema> {
        SCHEMAS.iter().find(|schema| schema.name == name)
    }

    /// The metadata record of that type.
    pub(super) fn of_metadata(record_type: i16) -> Option<&'static Schema> {
        Schema::of("metadata", record_type, |_| true)
    }

    /// The key or value of a coordinator's record; types are counted per coordinator.
    pub(super) fn of_coordinator(
        kind: &str,
        record_type: i16,
        belongs: fn(&str) -> bool,
    ) -> Option<&'static Schema> {
        Schema::of(kind, record_type, belongs)
    }

    fn of(kind: &str, record_type: i16, belongs: fn(&str) -> bool) -> Option<&'static Schema> {
        SCHEMAS.iter().find(|schema| {
            schema.kind == kind
                && schema.api_key == Some(i64::from(record_type))
                && belongs(&schema.name)
        })
    }

    pub(super) fn structure<'a>(&'a self, field: &'a Field, name: &str) -> &'a [Field] {
        if !field.fields.is_empty() {
            return &field.fields;
        }
        let common = self.structs.iter().find(|(known, _)| known == name);
        common.map_or(&[], |(_, fields)| fields)
    }
}

fn parse(text: &str) -> Option<Schema> {
    let value: Value = serde_json::from_str(text).ok()?;
    let structs = value["commonStructs"].as_array().map_or(&[][..], Vec::as_slice);
    Some(Schema {
        name: value["name"].as_str()?.to_owned(),
        kind: value["type"].as_str()?.to_owned(),
        api_key: value["apiKey"].as_i64(),
        versions: versions(&value["validVersions"]),
        flexible: versions(&value["flexibleVersions"]),
        fields: fields(&value["fields"]),
        structs: structs
            .iter()
            .filter_map(|item| Some((item["name"].as_str()?.to_owned(), fields(&item["fields"]))))
            .collect(),
    })
}

fn versions(value: &Value) -> Versions {
    Versions::parse(value.as_str().unwrap_or_default())
}

fn fields(value: &Value) -> Vec<Field> {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    list.iter()
        .filter_map(|field| {
            Some(Field {
                json_name: json_name(field["name"].as_str()?),
                kind: field["type"].as_str()?.to_owned(),
                versions: versions(&field["versions"]),
                nullable: versions(&field["nullableVersions"]),
                tagged: versions(&field["taggedVersions"]),
                tag: field["tag"].as_u64().and_then(|tag| u32::try_from(tag).ok()),
                fields: fields(&field["fields"]),
            })
        })
        .collect()
}

fn json_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_readable() {
        assert_eq!(SCHEMAS.len(), SCHEMA_FILES.len());
        let topic = Schema::of_metadata(2).unwrap();
        assert_eq!(topic.name, "TopicRecord");
        assert!(topic.versions.contains(0) && topic.flexible.contains(0));
        let is_group = |name: &str| name == "OffsetCommitKey";
        assert!(Schema::of_coordinator("coordinator-key", 1, is_group).is_some());
    }
}
