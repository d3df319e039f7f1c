//! Kafka's message schemas as read from JSON: what the files say, checked, nothing generated yet.
//!
//! Samples of messages are written through this module too, by interpreting the schemas.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// An inclusive range of versions; empty when `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub low: i16,
    pub high: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self { low: 1, high: 0 };

    /// Reads `"3-7"`, `"0+"`, `"2"` or `"none"`.
    pub(crate) fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse::<i16>().expect("a version number");
        if text == "none" {
            Self::NONE
        } else if let Some(low) = text.strip_suffix('+') {
            Self { low: number(low), high: i16::MAX }
        } else if let Some((low, high)) = text.split_once('-') {
            Self { low: number(low), high: number(high) }
        } else {
            Self { low: number(text), high: number(text) }
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        self.low <= version && version <= self.high
    }

    pub(crate) fn intersect(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.low <= other.low && other.high <= self.high)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    Text,
    Bytes,
    Records,
    Struct(String),
    Array(Box<FieldType>),
}

impl FieldType {
    fn parse(text: &str) -> Self {
        if let Some(element) = text.strip_prefix("[]") {
            return Self::Array(Box::new(Self::parse(element)));
        }
        match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(char::is_uppercase) => Self::Struct(name.to_owned()),
            other => panic!("unknown field type {other}"),
        }
    }

    /// The struct that the field, or each of its elements, is.
    pub(crate) fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub name: String,
    pub kind: FieldType,
    pub versions: Versions,
    /// The versions in which the field may be null.
    pub nullable: Versions,
    /// The tag, for a field that travels in the tagged section (in all its versions).
    pub tag: Option<u32>,
    /// The field's own flexible versions; only the client id of the request header has them.
    pub flexible: Option<Versions>,
    /// The default as text, `"null"` for null; none when the schema leaves it to the type.
    pub default: Option<String>,
    pub ignorable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub name: String,
    /// The versions in which the struct can occur at all.
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub name: String,
    /// The folder under `schema/`: protocol, metadata, group-coordinator, …
    pub folder: String,
    /// request, response, header, data, metadata, coordinator-key, coordinator-value.
    pub kind: String,
    pub api_key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    pub latest_version_is_unstable: bool,
    /// The message itself first, then its nested and common structs.
    pub(crate) structs: Vec<Struct>,
}

impl Schema {
    pub(crate) fn find(&self, name: &str) -> &Struct {
        let found = self.structs.iter().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("{} has no struct {name}", self.name))
    }

    fn parse(folder: &str, json: &Value) -> Self {
        let name = text(json, "name").expect("a schema has a name");
        let versions = Versions::parse(&text(json, "validVersions").expect("validVersions"));
        let flexible = text(json, "flexibleVersions").unwrap_or_else(|| "none".to_owned());
        let mut schema = Self {
            name: name.clone(),
            folder: folder.to_owned(),
            kind: text(json, "type").expect("a schema has a type"),
            api_key: json.get("apiKey").and_then(Value::as_i64).map(|key| key as i16),
            versions,
            flexible: Versions::parse(&flexible),
            latest_version_is_unstable: is_true(json, "latestVersionUnstable"),
            structs: Vec::new(),
        };
        schema.add_struct(name, versions, json);
        for common in list(json, "commonStructs") {
            let name = text(common, "name").expect("a common struct has a name");
            let own = text(common, "versions").map_or(versions, |text| Versions::parse(&text));
            schema.add_struct(name, own.intersect(versions), common);
        }
        schema
    }

    fn add_struct(&mut self, name: String, versions: Versions, json: &Value) {
        let position = self.structs.len();
        assert!(self.structs.iter().all(|it| it.name != name), "{name} is there twice");
        self.structs.push(Struct { name, versions, fields: Vec::new() });
        for field_json in list(json, "fields") {
            let field = parse_field(field_json);
            if let (Some(nested), Some(_)) = (field.kind.struct_name(), field_json.get("fields")) {
                let within = field.versions.intersect(versions);
                self.add_struct(nested.to_owned(), within, field_json);
            }
            self.structs[position].fields.push(field);
        }
    }
}

fn parse_field(json: &Value) -> Field {
    let tagged = text(json, "taggedVersions").map(|text| Versions::parse(&text));
    let versions = text(json, "versions").map(|text| Versions::parse(&text)).or(tagged);
    let field = Field {
        name: text(json, "name").expect("a field has a name"),
        kind: FieldType::parse(&text(json, "type").expect("a field has a type")),
        versions: versions.expect("a field has versions"),
        nullable: text(json, "nullableVersions").map_or(Versions::NONE, |v| Versions::parse(&v)),
        tag: json.get("tag").and_then(Value::as_u64).map(|tag| tag as u32),
        flexible: text(json, "flexibleVersions").map(|text| Versions::parse(&text)),
        // A literal null says nothing, unlike the text "null": so Kafka's generator reads it.
        default: json.get("default").filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        ignorable: is_true(json, "ignorable"),
    };
    assert_eq!(field.tag.is_some(), tagged.is_some(), "{}: tag and versions", field.name);
    assert!(
        tagged.is_none_or(|tagged| tagged == field.versions),
        "{}: not always tagged",
        field.name
    );
    field
}

fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn is_true(json: &Value, key: &str) -> bool {
    json.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn list<'j>(json: &'j Value, key: &str) -> &'j [Value] {
    json.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Every schema file with the name of its folder, sorted by both.
pub(crate) fn files(root: &Path) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for folder in sorted_entries(root) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.extend(sorted_entries(&folder).into_iter().map(|file| (name.clone(), file)));
    }
    files
}

/// Reads schemas from (folder, text of the file), but for those without a valid version.
pub(crate) fn read_texts<'t>(texts: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<Schema> {
    let schemas = texts.map(|(folder, text)| {
        let json = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Schema::parse(folder, &json)
    });
    schemas.filter(|schema| !schema.versions.is_empty()).collect()
}

/// Reads every schema that has a valid version, sorted by folder and name.
pub(crate) fn read_all(root: &Path) -> Vec<Schema> {
    let read = |file: &Path| fs::read_to_string(file).expect("a schema file can be read");
    let texts: Vec<_> =
        files(root).into_iter().map(|(folder, file)| (folder, read(&file))).collect();
    read_texts(texts.iter().map(|(folder, text)| (folder.as_str(), text.as_str())))
}

fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
