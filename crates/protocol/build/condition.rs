//! Versions turned into Rust conditions, as short as the versions in force allow.

use crate::schema::{Field, Schema, Struct, Versions};

/// A condition on the local variable `version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    Never,
    When(String),
}

impl Condition {
    /// Is the version, known to be in `within`, also in `versions`?
    pub(crate) fn new(versions: Versions, within: Versions) -> Self {
        if versions.covers(within) {
            return Self::Always;
        }
        let both = versions.intersect(within);
        if both.is_empty() {
            return Self::Never;
        }
        Self::When(match (both.low > within.low, both.high < within.high) {
            (true, true) if both.low == both.high => format!("version == {}", both.low),
            (true, true) => format!("({}..={}).contains(&version)", both.low, both.high),
            (true, false) => format!("version >= {}", both.low),
            _ => format!("version <= {}", both.high),
        })
    }

    /// As an expression of type bool.
    pub(crate) fn expression(&self) -> String {
        match self {
            Self::Always => "true".into(),
            Self::Never => "false".into(),
            Self::When(text) => text.clone(),
        }
    }
}

/// The versions in which the struct occurs in a valid message.
pub(crate) fn occurs(schema: &Schema, item: &Struct) -> Versions {
    item.versions.intersect(schema.versions)
}

/// The fields of the struct that exist in a valid version.
pub(crate) fn live_fields<'s>(
    schema: &Schema,
    item: &'s Struct,
) -> impl Iterator<Item = &'s Field> {
    let within = occurs(schema, item);
    item.fields.iter().filter(move |field| !field.versions.intersect(within).is_empty())
}

/// What `flexible` is called in the code of this struct: a literal or the local variable.
pub(crate) fn flexible_name(schema: &Schema, item: &Struct) -> &'static str {
    match Condition::new(schema.flexible, occurs(schema, item)) {
        Condition::Always => "true",
        Condition::Never => "false",
        Condition::When(_) => "flexible",
    }
}

/// The statement that declares `flexible`, where the struct's code needs it.
pub(crate) fn flexible_declaration(schema: &Schema, item: &Struct, code: &str) -> String {
    match Condition::new(schema.flexible, occurs(schema, item)) {
        Condition::When(text) if code.contains("flexible") => format!("let flexible = {text};\n"),
        _ => String::new(),
    }
}

/// Statements of neighbouring fields gathered under one `if`.
#[derive(Default)]
pub(crate) struct Statements {
    groups: Vec<(Condition, String, String)>,
}

impl Statements {
    /// `code` runs when the condition holds, `otherwise` when it does not.
    pub(crate) fn push(&mut self, condition: Condition, code: &str, otherwise: &str) {
        if let Some((last, then, not)) = self.groups.last_mut()
            && *last == condition
        {
            then.push_str(code);
            not.push_str(otherwise);
        } else {
            self.groups.push((condition, code.to_owned(), otherwise.to_owned()));
        }
    }

    pub(crate) fn render(self) -> String {
        let mut text = String::new();
        for (condition, then, not) in self.groups {
            match condition {
                Condition::Always => text.push_str(&then),
                Condition::Never => text.push_str(&not),
                Condition::When(test) if not.is_empty() => {
                    text.push_str(&format!("if {test} {{\n{then}}}\n"));
                }
                Condition::When(test) => {
                    text.push_str(&format!("if {test} {{\n{then}}} else {{\n{not}}}\n"));
                }
            }
        }
        text
    }
}
