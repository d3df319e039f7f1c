//! One generated module: the structs of one schema file with their two halves.

use crate::condition::{Condition, live_fields, occurs};
use crate::decode::read_body;
use crate::encode::write_body;
use crate::names::snake_case;
use crate::schema::{Schema, Struct, Versions};
use crate::types::{minimum_size, shape};

/// Names of the runtime that generated code uses; no schema may define a struct with one of them.
const RUNTIME: &[&str] = &[
    "Default",
    "DecodeError",
    "EncodeError",
    "Message",
    "Ok",
    "Option",
    "Reader",
    "Records",
    "Result",
    "Some",
    "UnknownTaggedFields",
    "Uuid",
    "Vec",
    "WireStruct",
    "Writer",
];

/// The declaration of the schema's module, for `modules.rs`.
pub(crate) fn declaration(schema: &Schema, name: &str) -> String {
    let what = match schema.kind.as_str() {
        "request" | "response" => format!("api key {}, ", schema.api_key.unwrap_or(-1)),
        _ => String::new(),
    };
    format!(
        r#"/// `{}`: {what}versions {}.
#[allow(clippy::all, reason = "generated: written for short code, not for reading")]
pub mod {name} {{
    use crate::wire::*;
    include!(concat!(env!("OUT_DIR"), "/{name}.rs"));
}}
"#,
        schema.name,
        range_text(schema.versions)
    )
}

fn range_text(versions: Versions) -> String {
    if versions.low == versions.high {
        versions.low.to_string()
    } else {
        format!("{} to {}", versions.low, versions.high)
    }
}

/// The text of the schema's module.
pub(crate) fn render(schema: &Schema) -> String {
    let mut text = String::new();
    for item in &schema.structs {
        assert!(!RUNTIME.contains(&item.name.as_str()), "{} is the runtime's name", item.name);
        text.push_str(&definition(schema, item));
        text.push_str(&halves(schema, item));
    }
    text.push_str(&message(schema));
    text
}

fn definition(schema: &Schema, item: &Struct) -> String {
    let within = occurs(schema, item);
    let mut fields = String::new();
    let mut defaults = String::new();
    let mut all_plain = true;
    for field in live_fields(schema, item) {
        let name = snake_case(&field.name);
        let shape = shape(field, field.versions.intersect(within));
        if !field.versions.covers(within) {
            let present = range_text(field.versions.intersect(within));
            let noun = if present.contains("to") { "versions" } else { "version" };
            fields.push_str(&format!("    /// In {noun} {present}.\n"));
        }
        fields.push_str(&format!("    pub {name}: {},\n", shape.rust_type));
        all_plain &= shape.default.is_none();
        let default = shape.default.unwrap_or_else(|| "Default::default()".into());
        defaults.push_str(&format!("            {name}: {default},\n"));
    }
    let name = &item.name;
    let derived = if all_plain { ", Default" } else { "" };
    let mut text = format!(
        r#"#[derive(Clone, Debug, PartialEq{derived})]
pub struct {name}<'a> {{
{fields}    pub unknown_tagged_fields: UnknownTaggedFields<'a>,
}}
"#
    );
    if !all_plain {
        text.push_str(&format!(
            r#"impl Default for {name}<'_> {{
    fn default() -> Self {{
        Self {{
{defaults}            unknown_tagged_fields: Default::default(),
        }}
    }}
}}
"#
        ));
    }
    text
}

fn halves(schema: &Schema, item: &Struct) -> String {
    let read = read_body(schema, item);
    let write = write_body(schema, item);
    let argument = |body: &str, name: &'static str| {
        if mentions(body, name) { name.to_owned() } else { format!("_{name}") }
    };
    format!(
        r#"impl<'a> WireStruct<'a> for {}<'a> {{
    const MINIMUM_SIZE: usize = {};
    fn read({}: &mut Reader<'a>, {}: i16) -> Result<Self, DecodeError> {{
{read}}}
    fn write(&self, {}: &mut Writer, {}: i16) -> Result<(), EncodeError> {{
{write}}}
}}
"#,
        item.name,
        minimum_size(schema, item).max(1),
        argument(&read, "reader"),
        argument(&read, "version"),
        argument(&write, "writer"),
        argument(&write, "version"),
    )
}

/// Does the variable `name` occur in the code? Fields (after a dot) do not count.
fn mentions(code: &str, name: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    code.split(|letter| !is_letter(letter)).any(|word| word.split('.').next() == Some(name))
}

fn message(schema: &Schema) -> String {
    let flexible = Condition::new(schema.flexible, schema.versions).expression();
    let version = if flexible.contains("version") { "version" } else { "_version" };
    let name = &schema.name;
    format!(
        r#"impl<'a> Message<'a> for {name}<'a> {{
    const NAME: &'static str = {name:?};
    const API_KEY: Option<i16> = {:?};
    const VERSIONS: core::ops::RangeInclusive<i16> = {}..={};
    fn is_flexible({version}: i16) -> bool {{
        {flexible}
    }}
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {{
        reader.check_version(Self::VERSIONS, version)?;
        Self::read(reader, version)
    }}
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{
        EncodeError::refuse_version(Self::VERSIONS, Self::NAME, version)?;
        self.write(writer, version)
    }}
}}
"#,
        schema.api_key, schema.versions.low, schema.versions.high,
    )
}
