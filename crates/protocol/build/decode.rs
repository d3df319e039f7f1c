//! The decoding half of a struct: from the reader to fields, in schema order.

use crate::condition::{
    Condition, Statements, flexible_declaration, flexible_name, live_fields, occurs,
};
use crate::names::snake_case;
use crate::schema::{Field, FieldType, Schema, Struct};
use crate::types::shape;

/// The body of `fn read(reader, version) -> Result<Self, DecodeError>`.
pub(crate) fn read_body(schema: &Schema, item: &Struct) -> String {
    let within = occurs(schema, item);
    let mut statements = Statements::default();
    for field in live_fields(schema, item).filter(|field| field.tag.is_none()) {
        let place = snake_case(&field.name);
        let code = format!("value.{place} = {};\n", read_expression(schema, item, field));
        statements.push(Condition::new(field.versions, within), &code, "");
    }
    let tagged = match Condition::new(schema.flexible, within) {
        Condition::Never => String::new(),
        Condition::Always => read_tagged(schema, item),
        Condition::When(_) => format!(
            r#"if flexible {{
{}}}
"#,
            read_tagged(schema, item)
        ),
    };
    let code = statements.render() + &tagged;
    if code.is_empty() {
        return "Ok(Self::default())\n".into();
    }
    let flexible = flexible_declaration(schema, item, &code);
    format!(
        r#"{flexible}let mut value = Self::default();
{code}Ok(value)
"#
    )
}

fn read_tagged(schema: &Schema, item: &Struct) -> String {
    let within = occurs(schema, item).intersect(schema.flexible);
    let mut arms = String::new();
    for field in live_fields(schema, item) {
        let Some(tag) = field.tag else { continue };
        let guard = match Condition::new(field.versions, within) {
            Condition::When(test) => format!(" if {test}"),
            _ => String::new(),
        };
        let place = snake_case(&field.name);
        let read = read_expression(schema, item, field);
        arms.push_str(&format!("{tag}{guard} => value.{place} = {read},\n"));
    }
    if arms.is_empty() {
        return "value.unknown_tagged_fields = reader.read_unknown_tagged_fields()?;\n".into();
    }
    format!(
        r#"let mut tags = reader.begin_tagged_fields()?;
while let Some(tag) = reader.next_tag(&mut tags)? {{
match tag {{
{arms}_ => reader.skip_tag(&mut tags)?,
}}
reader.end_tag(&tags)?;
}}
value.unknown_tagged_fields = tags.unknown();
"#
    )
}

/// An expression that reads the field in a version in which it is present.
fn read_expression(schema: &Schema, item: &Struct, field: &Field) -> String {
    let present = field.versions.intersect(occurs(schema, item));
    let is_optional = shape(field, present).is_optional;
    let flexible = match (field.flexible.is_some(), field.tag.is_some()) {
        (true, _) => "false",
        (_, true) => "true",
        _ => flexible_name(schema, item),
    };
    let nullable = match &field.kind {
        FieldType::Text => format!("reader.read_nullable_string({flexible})?"),
        FieldType::Bytes => format!("reader.read_nullable_bytes({flexible})?"),
        FieldType::Records => format!("reader.read_nullable_records({flexible})?"),
        FieldType::Array(element) => read_array(element, flexible),
        FieldType::Struct(name) if is_optional && field.tag.is_some() => {
            format!("reader.read_tagged_nullable::<{name}>(version)?")
        }
        FieldType::Struct(name) if is_optional => {
            format!("reader.read_nullable::<{name}>(version)?")
        }
        FieldType::Struct(name) => return format!("{name}::read(reader, version)?"),
        kind => return format!("reader.read_{}()?", primitive(kind)),
    };
    match Condition::new(field.nullable, present) {
        Condition::Always => nullable,
        Condition::When(test) => {
            format!("{{ let read = {nullable}; reader.null_only_if({test}, read)? }}")
        }
        Condition::Never if is_optional => {
            format!("{{ let read = {nullable}; reader.null_only_if(false, read)? }}")
        }
        Condition::Never if nullable.contains("read_nullable_") => {
            nullable.replace("read_nullable_", "read_")
        }
        Condition::Never => format!("{{ let read = {nullable}; reader.not_null(read)? }}"),
    }
}

fn read_array(element: &FieldType, flexible: &str) -> String {
    match element {
        FieldType::Struct(name) => format!("reader.read_structs::<{name}>({flexible}, version)?"),
        FieldType::Text => format!("reader.read_strings({flexible})?"),
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => {
            format!("reader.read_{}s({flexible})?", primitive(element))
        }
        FieldType::Uuid => format!("reader.read_uuids({flexible})?"),
        other => panic!("arrays of {other:?} are not known"),
    }
}

/// The name of the reader's and writer's method for a type of fixed size.
pub(crate) fn primitive(kind: &FieldType) -> &'static str {
    match kind {
        FieldType::Bool => "bool",
        FieldType::Int8 => "i8",
        FieldType::Int16 => "i16",
        FieldType::Uint16 => "u16",
        FieldType::Int32 => "i32",
        FieldType::Uint32 => "u32",
        FieldType::Int64 => "i64",
        FieldType::Float64 => "f64",
        FieldType::Uuid => "uuid",
        other => panic!("{other:?} has no fixed size"),
    }
}
