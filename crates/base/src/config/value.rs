//! Values: from text by type, and back to the text that Kafka shows.

use std::fmt;

use super::ConfigError;
use super::key::{ConfigKey, ValueType};
use super::limits::Limits;

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    Boolean(bool),
    /// SHORT, INT and LONG
    Number(i64),
    Double(f64),
    /// STRING and CLASS
    Text(String),
    List(Vec<String>),
    /// PASSWORD; its text is not shown.
    Secret(String),
}

impl ConfigValue {
    /// Parses a value by its type and checks the key's limits.
    ///
    /// # Errors
    /// What Kafka says of such a value.
    pub fn parse(key: &ConfigKey, text: &str) -> Result<Self, ConfigError> {
        Self::parse_as(key, key.name, text)
    }

    /// The same under another name, such as one with a listener's prefix.
    ///
    /// # Errors
    /// What Kafka says of such a value.
    pub fn parse_as(key: &ConfigKey, name: &str, text: &str) -> Result<Self, ConfigError> {
        let mut value = parse_type(key.value_type, text)
            .map_err(|reason| ConfigError::invalid(name, text, &reason))?;
        if let (ConfigValue::List(elements), Limits::List { .. }) = (&mut value, &key.limits) {
            *elements = each_once(elements);
        }
        key.limits.check(name, &value)?;
        Ok(value)
    }

    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as Java compares with limits")]
            Self::Number(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::Double(value) => out.write_str(&java_double(*value)),
            Self::Text(value) => out.write_str(value),
            Self::List(elements) => out.write_str(&elements.join(",")),
            Self::Secret(_) => out.write_str("[hidden]"),
        }
    }
}

fn parse_type(value_type: ValueType, text: &str) -> Result<ConfigValue, String> {
    // Java's `trim` takes everything up to the blank.
    let trimmed = text.trim_matches(|character| character <= ' ');
    let not_a_number = || format!("Not a number of type {}", value_type.name());
    match value_type {
        ValueType::Boolean if trimmed.eq_ignore_ascii_case("true") => {
            Ok(ConfigValue::Boolean(true))
        }
        ValueType::Boolean if trimmed.eq_ignore_ascii_case("false") => {
            Ok(ConfigValue::Boolean(false))
        }
        ValueType::Boolean => Err("Expected value to be either true or false".to_owned()),
        ValueType::Short | ValueType::Int | ValueType::Long => {
            let number = trimmed.parse::<i64>().map_err(|_| not_a_number())?;
            let fits = match value_type {
                ValueType::Short => i16::try_from(number).is_ok(),
                ValueType::Int => i32::try_from(number).is_ok(),
                _ => true,
            };
            if fits { Ok(ConfigValue::Number(number)) } else { Err(not_a_number()) }
        }
        ValueType::Double => {
            let number = trimmed.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(trimmed);
            let starts_well =
                number.starts_with(|it: char| it.is_ascii_digit() || "+-.".contains(it));
            let is_name = matches!(number, "NaN" | "Infinity" | "+Infinity" | "-Infinity");
            let number = number.parse().ok().filter(|_| starts_well || is_name);
            number.map(ConfigValue::Double).ok_or_else(not_a_number)
        }
        ValueType::String => Ok(ConfigValue::Text(trimmed.to_owned())),
        ValueType::List => Ok(ConfigValue::List(elements(trimmed))),
        ValueType::Class if trimmed.is_empty() => Err(format!("Class {text} could not be found.")),
        ValueType::Class => Ok(ConfigValue::Text(trimmed.to_owned())),
        ValueType::Password => Ok(ConfigValue::Secret(trimmed.to_owned())),
    }
}

fn elements(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|element| element.trim_matches(is_java_space).to_owned()).collect()
}

fn each_once(elements: &[String]) -> Vec<String> {
    let is_first =
        |index: usize, element: &String| !elements.iter().take(index).any(|it| it == element);
    let numbered = elements.iter().enumerate();
    numbered.filter(|(index, element)| is_first(*index, element)).map(|it| it.1.clone()).collect()
}

fn is_java_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// `Double.toString`
fn java_double(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let text = value.to_string();
        if text.contains('.') { text } else { format!("{text}.0") }
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        format!("{digits}{point}E{exponent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_as_in_java() {
        let shown: Vec<String> =
            [0.5, 0.0, 1.0, 1e7, 12_345_678.9, 1e-4, 0.001, f64::MAX].map(java_double).into();
        let expected = [
            "0.5",
            "0.0",
            "1.0",
            "1.0E7",
            "1.23456789E7",
            "1.0E-4",
            "0.001",
            "1.7976931348623157E308",
        ];
        assert_eq!(shown, expected);
    }
}
