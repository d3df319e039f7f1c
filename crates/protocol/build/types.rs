//! From a field of a schema to its Rust type, its default, and the test for the default.

use crate::schema::{Field, FieldType, Schema, Struct, Versions};

/// How a field looks in Rust.
pub(crate) struct Shape {
    /// The type as written in the struct.
    pub rust_type: String,
    /// The default value; none when it is `Default::default()` of the type.
    pub default: Option<String>,
    /// True where the type is an `Option` (records are one in every version).
    pub is_optional: bool,
}

/// The shape of `field`, which occurs in a struct with these versions.
pub(crate) fn shape(field: &Field, within: Versions) -> Shape {
    let is_records = field.kind == FieldType::Records;
    let is_optional = is_records || !field.nullable.intersect(within).is_empty();
    let bare = bare_type(&field.kind);
    let rust_type = if is_optional { format!("Option<{bare}>") } else { bare };
    let is_null = is_records || field.default.as_deref() == Some("null");
    assert!(!is_null || is_optional, "{}: null is the default but not allowed", field.name);
    let value = bare_default(field);
    let default = match (is_optional, is_null, value) {
        (true, true, _) => None,
        (true, false, value) => {
            Some(format!("Some({})", value.unwrap_or("Default::default()".into())))
        }
        (false, _, value) => value,
    };
    Shape { rust_type, default, is_optional }
}

fn bare_type(kind: &FieldType) -> String {
    match kind {
        FieldType::Bool => "bool".into(),
        FieldType::Int8 => "i8".into(),
        FieldType::Int16 => "i16".into(),
        FieldType::Uint16 => "u16".into(),
        FieldType::Int32 => "i32".into(),
        FieldType::Uint32 => "u32".into(),
        FieldType::Int64 => "i64".into(),
        FieldType::Float64 => "f64".into(),
        FieldType::Uuid => "Uuid".into(),
        FieldType::Text => "&'a str".into(),
        FieldType::Bytes => "&'a [u8]".into(),
        FieldType::Records => "Records<'a>".into(),
        FieldType::Struct(name) => format!("{name}<'a>"),
        FieldType::Array(element) => format!("Vec<{}>", bare_type(element)),
    }
}

/// The default of the value inside an `Option`, none where it is the type's own.
fn bare_default(field: &Field) -> Option<String> {
    let text = field.default.as_deref().unwrap_or_default();
    match &field.kind {
        FieldType::Bool => (text == "true").then(|| "true".into()),
        FieldType::Float64 => (!text.is_empty()).then(|| format!("{text}f64")),
        FieldType::Text if text != "null" => (!text.is_empty()).then(|| format!("{text:?}")),
        FieldType::Int8
        | FieldType::Int16
        | FieldType::Uint16
        | FieldType::Int32
        | FieldType::Uint32
        | FieldType::Int64 => integer(text).filter(|value| *value != 0).map(|it| it.to_string()),
        _ => {
            assert!(text.is_empty() || text == "null", "{}: default {text}", field.name);
            None
        }
    }
}

fn integer(text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let value = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(value.unwrap_or_else(|_| panic!("{text} is no number")))
}

/// A condition that is true when the field does not hold its default.
pub(crate) fn is_set(field: &Field, shape: &Shape, place: &str) -> String {
    let Some(default) = &shape.default else {
        return match &field.kind {
            _ if shape.is_optional => format!("{place}.is_some()"),
            FieldType::Bool => place.to_owned(),
            FieldType::Text | FieldType::Bytes | FieldType::Array(_) => {
                format!("!{place}.is_empty()")
            }
            FieldType::Uuid => format!("!{place}.is_zero()"),
            FieldType::Float64 => format!("{place} != 0.0"),
            FieldType::Struct(name) => format!("{place} != {name}::default()"),
            _ => format!("{place} != 0"),
        };
    };
    match &field.kind {
        FieldType::Bool => format!("!{place}"),
        FieldType::Array(_) | FieldType::Bytes => {
            format!("{place}.as_ref().is_none_or(|it| !it.is_empty())")
        }
        FieldType::Text if shape.is_optional => format!("{place} != {default}"),
        _ => format!("{place} != {default}"),
    }
}

/// The least number of bytes that a value of the struct takes on the wire in any version.
pub(crate) fn minimum_size(schema: &Schema, item: &Struct) -> usize {
    let versions = item.versions.intersect(schema.versions);
    (versions.low..=versions.high).map(|version| size_at(schema, item, version)).min().unwrap_or(0)
}

fn size_at(schema: &Schema, item: &Struct, version: i16) -> usize {
    let is_inline = |field: &&Field| field.tag.is_none() && field.versions.contains(version);
    let flexible = schema.flexible.contains(version);
    let fields = item.fields.iter().filter(is_inline);
    let sizes = fields.map(|field| match &field.kind {
        FieldType::Bool | FieldType::Int8 => 1,
        FieldType::Int16 | FieldType::Uint16 => 2,
        FieldType::Int32 | FieldType::Uint32 => 4,
        FieldType::Int64 | FieldType::Float64 => 8,
        FieldType::Uuid => 16,
        FieldType::Text if flexible && field.flexible.is_none() => 1,
        FieldType::Text => 2,
        FieldType::Bytes | FieldType::Records | FieldType::Array(_) if flexible => 1,
        FieldType::Bytes | FieldType::Records | FieldType::Array(_) => 4,
        FieldType::Struct(_) if field.nullable.contains(version) => 1,
        FieldType::Struct(name) => size_at(schema, schema.find(name), version),
    });
    sizes.sum::<usize>() + usize::from(flexible)
}
