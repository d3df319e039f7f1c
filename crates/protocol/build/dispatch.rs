//! Enums over all messages of one family, and the functions that choose among them.

use std::path::PathBuf;

use crate::names::snake_case;
use crate::schema::Schema;

/// One variant of a family: its name, its code and the path of its type.
struct Variant {
    name: String,
    code: i16,
    path: String,
}

fn family(schemas: &[Schema], kind: &str, folder: &str, suffix: &str) -> Vec<Variant> {
    let belongs = |it: &&Schema| it.kind == kind && it.folder == folder;
    let mut variants: Vec<Variant> = schemas
        .iter()
        .filter(belongs)
        .map(|schema| Variant {
            name: schema.name.trim_end_matches(suffix).to_owned(),
            code: schema.api_key.unwrap_or_else(|| panic!("{}: no key", schema.name)),
            path: format!("crate::{}::{}", snake_case(&schema.name), schema.name),
        })
        .collect();
    variants.sort_by_key(|variant| variant.code);
    assert!(variants.windows(2).all(|pair| pair[0].code != pair[1].code), "{kind}: codes");
    variants
}

fn lines(variants: &[Variant], line: impl Fn(&Variant) -> String) -> String {
    variants.iter().map(line).collect()
}

fn definition(name: &str, doc: &str, variants: &[Variant]) -> String {
    let fields = lines(variants, |it| format!("    {}({}<'a>),\n", it.name, it.path));
    let conversions =
        lines(variants, |it| format!("from_variant!({name}, {}, {}<'a>);\n", it.name, it.path));
    format!(
        r#"/// {doc}
#[derive(Clone, Debug, PartialEq)]
pub enum {name}<'a> {{
{fields}}}
{conversions}"#
    )
}

/// `Request`: the body of any request.
pub(crate) fn requests(schemas: &[Schema]) -> String {
    let variants = family(schemas, "request", "protocol", "Request");
    let keys =
        lines(&variants, |it| format!("            Self::{0}(_) => ApiKey::{0},\n", it.name));
    let arms = lines(&variants, |it| {
        format!(
            "            ApiKey::{0} => {1}::decode(reader, version).map(Self::{0}),\n",
            it.name, it.path
        )
    });
    format!(
        r#"{}impl<'a> Request<'a> {{
    /// The kind of this request.
    #[must_use]
    pub const fn api_key(&self) -> ApiKey {{
        match self {{
{keys}        }}
    }}
    /// Reads the body of a request; what follows it stays in the reader.
    pub fn decode(
        api_key: ApiKey,
        version: i16,
        reader: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {{
        match api_key {{
{arms}        }}
    }}
}}
"#,
        definition("Request", "The body of a request of any kind.", &variants)
    )
}

/// `MetadataRecord`: any record of `__cluster_metadata`, without its frame.
pub(crate) fn metadata_records(schemas: &[Schema]) -> String {
    let variants = family(schemas, "metadata", "metadata", "Record");
    let doc = "A record of `__cluster_metadata`, without its frame.";
    coded_enum("MetadataRecord", doc, &variants)
}

/// The keys and values of the three coordinators' topics.
pub(crate) fn coordinator_records(schemas: &[Schema]) -> String {
    let mut text = String::new();
    for (folder, prefix, topic) in [
        ("group-coordinator", "GroupRecord", "__consumer_offsets"),
        ("transaction-coordinator", "TransactionRecord", "__transaction_state"),
        ("share-coordinator", "ShareRecord", "__share_group_state"),
    ] {
        for (half, kind) in [("Key", "coordinator-key"), ("Value", "coordinator-value")] {
            let variants = family(schemas, kind, folder, half);
            let doc = format!("The {} of a record of `{topic}`.", half.to_lowercase());
            text.push_str(&coded_enum(&format!("{prefix}{half}"), &doc, &variants));
        }
    }
    text
}

/// An enum whose variants are told apart by a record type beside the body.
fn coded_enum(name: &str, doc: &str, variants: &[Variant]) -> String {
    let types = lines(variants, |it| format!("            Self::{}(_) => {},\n", it.name, it.code));
    let highest = lines(variants, |it| {
        format!("            Self::{}(_) => *{}::VERSIONS.end(),\n", it.name, it.path)
    });
    let decode = lines(variants, |it| {
        format!(
            "            {} => {}::decode(reader, version).map(Self::{}),\n",
            it.code, it.path, it.name
        )
    });
    let encode = lines(variants, |it| {
        format!("            Self::{}(message) => message.encode(writer, version),\n", it.name)
    });
    format!(
        r#"{}impl<'a> {name}<'a> {{
    /// The number that stands for this kind of record.
    #[must_use]
    pub const fn record_type(&self) -> i16 {{
        match self {{
{types}        }}
    }}
    /// The highest version of this kind of record.
    #[must_use]
    pub const fn highest_version(&self) -> i16 {{
        match self {{
{highest}        }}
    }}
    fn decode_body(
        record_type: i16,
        version: i16,
        reader: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {{
        match record_type {{
{decode}            _ => Err(reader.error(DecodeReason::UnknownRecordType {{ record_type }})),
        }}
    }}
    fn encode_body(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{
        match self {{
{encode}        }}
    }}
}}
"#,
        definition(name, doc, variants)
    )
}

/// An array with one call of the macro `entry!(module::Type)` per message, for tests to include.
pub(crate) fn every_message(schemas: &[Schema]) -> String {
    let entry =
        |schema: &Schema| format!("entry!({}::{}),\n", snake_case(&schema.name), schema.name);
    format!(
        r#"[
{}]
"#,
        schemas.iter().map(entry).collect::<String>()
    )
}

/// The texts of all schema files, with the folder of each: for whoever interprets them.
pub(crate) fn every_schema(files: &[(String, PathBuf)]) -> String {
    let entry =
        |(folder, file): &(String, PathBuf)| format!("({folder:?}, include_str!({file:?})),\n");
    format!("[\n{}]\n", files.iter().map(entry).collect::<String>())
}
