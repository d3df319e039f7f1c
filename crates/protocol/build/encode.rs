//! The encoding half of a struct: fields in schema order, then the tagged section in tag order.

use crate::condition::{
    Condition, Statements, flexible_declaration, flexible_name, live_fields, occurs,
};
use crate::decode::primitive;
use crate::names::snake_case;
use crate::schema::{Field, FieldType, Schema, Struct};
use crate::types::{is_set, shape};

/// The body of `fn write(&self, writer, version) -> Result<(), EncodeError>`.
pub(crate) fn write_body(schema: &Schema, item: &Struct) -> String {
    let within = occurs(schema, item);
    let mut statements = Statements::default();
    for field in live_fields(schema, item) {
        let condition = Condition::new(field.versions, within);
        let code =
            if field.tag.is_none() { write_statement(schema, item, field) } else { String::new() };
        let absent = if field.ignorable { String::new() } else { refuse(schema, item, field) };
        if field.tag.is_none() {
            statements.push(condition, &code, &absent);
        } else if let Condition::When(test) = condition
            && !absent.is_empty()
        {
            statements.push(Condition::When(format!("!({test})")), &absent, "");
        }
    }
    let tagged = match Condition::new(schema.flexible, within) {
        Condition::Never => "self.unknown_tagged_fields.refuse(version)?;\n".into(),
        Condition::Always => write_tagged(schema, item),
        Condition::When(_) => format!(
            r#"if flexible {{
{}}} else {{
self.unknown_tagged_fields.refuse(version)?;
}}
"#,
            write_tagged(schema, item)
        ),
    };
    let code = statements.render() + &tagged;
    let flexible = flexible_declaration(schema, item, &code);
    format!("{flexible}{code}Ok(())\n")
}

/// A statement that fails when a field that the version does not know holds a value.
fn refuse(schema: &Schema, item: &Struct, field: &Field) -> String {
    let place = snake_case(&field.name);
    let present = field.versions.intersect(occurs(schema, item));
    let test = is_set(field, &shape(field, present), &format!("self.{place}"));
    format!("EncodeError::refuse_field({test}, {place:?}, version)?;\n")
}

fn write_tagged(schema: &Schema, item: &Struct) -> String {
    let within = occurs(schema, item).intersect(schema.flexible);
    let mut tagged: Vec<&Field> =
        live_fields(schema, item).filter(|field| field.tag.is_some()).collect();
    tagged.sort_by_key(|field| field.tag);
    if tagged.is_empty() {
        return "writer.write_unknown_tagged_fields(&self.unknown_tagged_fields);\n".into();
    }
    let mut declarations = String::new();
    let mut count = Vec::new();
    let mut statements = Statements::default();
    for field in tagged {
        let tag = field.tag.unwrap_or_default();
        let place = snake_case(&field.name);
        let present = field.versions.intersect(occurs(schema, item));
        let condition = Condition::new(field.versions, within);
        let mut test = is_set(field, &shape(field, present), &format!("self.{place}"));
        if let Condition::When(versions) = &condition {
            test = format!("{versions} && {test}");
        }
        declarations.push_str(&format!("let has_{tag} = {test};\n"));
        count.push(format!("u32::from(has_{tag})"));
        let write = write_statement(schema, item, field);
        let code = format!(
            r#"tags.up_to(writer, {tag});
if has_{tag} {{
let start = writer.begin_tag({tag});
{write}writer.end_tag(start);
}}
"#
        );
        statements.push(condition, &code, "");
    }
    format!(
        r#"{declarations}let count = {};
let mut tags = writer.begin_tagged_fields(count, &self.unknown_tagged_fields);
{}tags.rest(writer);
"#,
        count.join(" + "),
        statements.render()
    )
}

/// A statement that writes the field in a version in which it is present.
fn write_statement(schema: &Schema, item: &Struct, field: &Field) -> String {
    let place = snake_case(&field.name);
    let present = field.versions.intersect(occurs(schema, item));
    let is_optional = shape(field, present).is_optional;
    let flexible = match (field.flexible.is_some(), field.tag.is_some()) {
        (true, _) => "false",
        (_, true) => "true",
        _ => flexible_name(schema, item),
    };
    let value = format!("self.{place}");
    let guard = match Condition::new(field.nullable, present) {
        Condition::Always => String::new(),
        _ if !is_optional => String::new(),
        other => {
            let allowed = other.expression();
            let is_null = format!("{value}.is_none()");
            let test = match other {
                Condition::Never => is_null,
                _ => format!("{is_null} && !({allowed})"),
            };
            format!("EncodeError::refuse_null({test}, {place:?})?;\n")
        }
    };
    let nullable = if is_optional { "nullable_" } else { "" };
    let borrow = if is_optional { format!("{value}.as_deref()") } else { format!("&{value}") };
    let write = match &field.kind {
        FieldType::Text => format!("writer.write_{nullable}string({value}, {flexible})?"),
        FieldType::Bytes => format!("writer.write_{nullable}bytes({value}, {flexible})?"),
        FieldType::Records => format!("writer.write_nullable_records({value}, {flexible})?"),
        FieldType::Array(element) => write_array(element, nullable, &borrow, flexible),
        FieldType::Struct(_) if is_optional && field.tag.is_some() => {
            format!("writer.write_tagged_nullable({value}.as_ref(), version)?")
        }
        FieldType::Struct(_) if is_optional => {
            format!("writer.write_nullable({value}.as_ref(), version)?")
        }
        FieldType::Struct(_) => format!("{value}.write(writer, version)?"),
        kind => format!("writer.write_{}({value})", primitive(kind)),
    };
    format!("{guard}{write};\n")
}

fn write_array(element: &FieldType, nullable: &str, value: &str, flexible: &str) -> String {
    let method = match element {
        FieldType::Struct(_) => {
            return format!("writer.write_{nullable}structs({value}, {flexible}, version)?");
        }
        FieldType::Text => "strings",
        FieldType::Uuid => "uuids",
        FieldType::Int8 => "i8s",
        FieldType::Int16 => "i16s",
        FieldType::Int32 => "i32s",
        FieldType::Int64 => "i64s",
        other => panic!("arrays of {other:?} are not known"),
    };
    format!("writer.write_{nullable}{method}({value}, {flexible})?")
}
