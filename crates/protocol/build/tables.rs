//! The enums made from tables: error codes and api keys.

use std::collections::BTreeMap;

use crate::names::camel_case;
use crate::schema::{Schema, Versions};

/// `ErrorCode` with its facts, from the lines `code, name, retriable, exception`.
pub(crate) fn error_codes(table: &str) -> String {
    let mut variants = String::new();
    let mut codes = String::new();
    let mut facts = String::new();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [code, name, retriable, ..] = columns[..] else { panic!("errors.tsv: {line}") };
        let variant = camel_case(name);
        variants.push_str(&format!(
            r#"    /// `{name}`.
    {variant} = {code},
"#
        ));
        codes.push_str(&format!("            {code} => Some(Self::{variant}),\n"));
        facts.push_str(&format!("            Self::{variant} => ({name:?}, {retriable}),\n"));
    }
    format!(
        r#"/// What went wrong, as every response says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum ErrorCode {{
{variants}}}
impl ErrorCode {{
    const fn known(code: i16) -> Option<Self> {{
        match code {{
{codes}            _ => None,
        }}
    }}
    const fn facts(self) -> (&'static str, bool) {{
        match self {{
{facts}        }}
    }}
}}
"#
    )
}

/// `ApiKey` with its facts, from the request schemas and the versions that Kafka's listeners offer.
pub(crate) fn api_keys(schemas: &[Schema], table: &str) -> String {
    let offered = offered_versions(table);
    let mut requests: Vec<&Schema> = schemas.iter().filter(|it| it.kind == "request").collect();
    requests.sort_by_key(|it| it.api_key);
    let mut variants = String::new();
    let mut all = String::new();
    let mut codes = String::new();
    let mut facts = String::new();
    for request in requests {
        let name = request.name.trim_end_matches("Request");
        let code = request.api_key.expect("a request has an api key");
        check_response(schemas, request);
        let flexible = request.flexible.intersect(request.versions);
        let flexible_from = (!flexible.is_empty()).then_some(flexible.low);
        let unstable = i16::from(request.latest_version_is_unstable);
        variants.push_str(&format!("    {name} = {code},\n"));
        all.push_str(&format!("        Self::{name},\n"));
        codes.push_str(&format!("            {code} => Some(Self::{name}),\n"));
        facts.push_str(&format!(
            "            Self::{name} => &Facts {{ name: {name:?}, lowest: {}, highest: {}, \
             latest_stable: {}, flexible_from: {flexible_from:?}, \
             broker: {:?}, controller: {:?} }},\n",
            request.versions.low,
            request.versions.high,
            request.versions.high - unstable,
            offered.get(&("broker", code)),
            offered.get(&("controller", code)),
        ));
    }
    format!(
        r#"/// The kind of a request, as its header says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum ApiKey {{
{variants}}}
impl ApiKey {{
    /// Every api key, in the order of the codes.
    pub const ALL: &'static [Self] = &[
{all}    ];
    /// The api key with this code; none for a removed or unknown one.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {{
        match code {{
{codes}            _ => None,
        }}
    }}
    const fn facts(self) -> &'static Facts {{
        match self {{
{facts}        }}
    }}
}}
"#
    )
}

fn check_response(schemas: &[Schema], request: &Schema) {
    let name = request.name.replace("Request", "Response");
    let response = schemas.iter().find(|it| it.name == name);
    let response = response.unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(response.versions, request.versions, "{name}: other versions than its request");
    let flexible = |schema: &Schema| -> Versions { schema.flexible.intersect(schema.versions) };
    assert_eq!(
        flexible(response),
        flexible(request),
        "{name}: flexible otherwise than its request"
    );
}

fn offered_versions(table: &str) -> BTreeMap<(&str, i16), (i16, i16)> {
    let mut offered = BTreeMap::new();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [listener, code, _, low, high] = columns[..] else { panic!("api-versions: {line}") };
        let number = |text: &str| text.parse::<i16>().expect("a number");
        offered.insert((listener, number(code)), (number(low), number(high)));
    }
    offered
}
