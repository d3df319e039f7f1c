//! What a value may be, beyond its type, and Kafka's words for a value that may not.

use super::ConfigError;
use super::value::ConfigValue;

/// A validator of Kafka, from its short form in the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Limits {
    Anything,
    /// `1..`, `..9` or `1..9`, both ends included, as written in messages.
    Range {
        least: Option<&'static str>,
        most: Option<&'static str>,
    },
    /// `1..9|-1`: the levels of gzip.
    GzipLevel,
    /// `one-of:a|b`
    OneOf(Vec<&'static str>),
    /// `one-of-any-case:A|B`
    OneOfAnyCase(Vec<&'static str>),
    /// `auto-or:0..64`: `auto`, or a number, both ends included.
    AutoOr {
        least: u32,
        most: u32,
    },
    NonEmpty,
    /// `any`, `some`, `any:a|b` or `some:a|b`: a list, which may be empty or not, of some elements.
    List {
        may_be_empty: bool,
        elements: Vec<&'static str>,
    },
    /// `id@host:port`, …
    Voters,
    /// `host:port`, …
    Servers,
    /// `*` or `partition:broker`, …
    Replicas,
    /// `latest`, `earliest` or `by_duration:` and an ISO 8601 duration.
    OffsetReset,
}

impl Limits {
    pub(super) fn read(text: &'static str) -> Option<Self> {
        let choices = |text: &'static str| text.split('|').collect::<Vec<_>>();
        let list = |may_be_empty, elements| Self::List { may_be_empty, elements };
        Some(match text {
            "" => Self::Anything,
            "1..9|-1" => Self::GzipLevel,
            "non-empty" => Self::NonEmpty,
            "any" => list(true, Vec::new()),
            "some" => list(false, Vec::new()),
            "voters" => Self::Voters,
            "servers" => Self::Servers,
            "replicas" => Self::Replicas,
            "reset" => Self::OffsetReset,
            _ => match text.split_once(':') {
                Some(("one-of", text)) => Self::OneOf(choices(text)),
                Some(("one-of-any-case", text)) => Self::OneOfAnyCase(choices(text)),
                Some(("auto-or", text)) => {
                    let (least, most) = text.split_once("..")?;
                    Self::AutoOr { least: least.parse().ok()?, most: most.parse().ok()? }
                }
                Some(("any", text)) => list(true, choices(text)),
                Some(("some", text)) => list(false, choices(text)),
                _ => {
                    let (least, most) = text.split_once("..")?;
                    let end = |text: &'static str| Some(text).filter(|text| !text.is_empty());
                    Self::Range { least: end(least), most: end(most) }
                }
            },
        })
    }

    /// # Errors
    /// What Kafka says of such a value.
    pub(super) fn check(&self, name: &str, value: &ConfigValue) -> Result<(), ConfigError> {
        let invalid = |reason: &str| Err(ConfigError::invalid(name, &value.to_string(), reason));
        match (self, value) {
            (Self::Range { least, most }, value) => {
                let Some(number) = value.as_double() else { return Ok(()) };
                match (bound(*least), bound(*most)) {
                    (Some((text, least)), _) if number < least => {
                        invalid(&format!("Value must be at least {text}"))
                    }
                    (_, Some((text, most))) if number > most => {
                        invalid(&format!("Value must be no more than {text}"))
                    }
                    _ => Ok(()),
                }
            }
            (Self::GzipLevel, ConfigValue::Number(level)) => match level {
                -1 | 1..=9 => Ok(()),
                _ => invalid("Value must be between 1 and 9 or equal to -1"),
            },
            (Self::OneOf(choices), ConfigValue::Text(text)) if !choices.contains(&&**text) => {
                invalid(&format!("String must be one of: {}", choices.join(", ")))
            }
            (Self::OneOfAnyCase(choices), ConfigValue::Text(text)) => {
                if choices.iter().any(|choice| choice.eq_ignore_ascii_case(text)) {
                    return Ok(());
                }
                let choices = choices.join(", ");
                invalid(&format!("String must be one of (case insensitive): {choices}"))
            }
            (Self::AutoOr { least, most }, ConfigValue::Text(text)) if text != "auto" => {
                match text.parse::<u32>() {
                    Ok(number) if (*least..=*most).contains(&number) => Ok(()),
                    _ => invalid(&format!("Value must be auto or a number from {least} to {most}")),
                }
            }
            (Self::NonEmpty, ConfigValue::Text(text)) if text.is_empty() => {
                invalid("String must be non-empty")
            }
            (Self::OffsetReset, ConfigValue::Text(text)) if !is_offset_reset(text) => {
                invalid(&format!(
                    "Invalid value `{text}` for configuration {name}. The value must be either \
                     'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
                ))
            }
            (limits, ConfigValue::List(elements)) => limits.check_list(name, elements),
            _ => Ok(()),
        }
    }

    fn check_list(&self, name: &str, elements: &[String]) -> Result<(), ConfigError> {
        match self {
            Self::List { may_be_empty, elements: choices } => {
                check_elements(name, elements, *may_be_empty, choices)
            }
            Self::Voters => match elements.iter().find(|voter| !is_voter(voter)) {
                None => Ok(()),
                Some(_) => Err(ConfigError(format!(
                    "Invalid configuration value for {name}. Each entry should be in the form \
                     `{{id}}@{{host}}:{{port}}`."
                ))),
            },
            Self::Servers => match elements.iter().find(|server| !is_server(server)) {
                None => Ok(()),
                Some(server) => Err(ConfigError(format!(
                    "Failed to parse host name from {server} for the configuration {name}. Each \
                     entry should be in the form \"{{host}}:{{port}}\""
                ))),
            },
            Self::Replicas if !are_replicas(elements) => {
                let reason = format!(
                    "{name} must be the literal '*' or a list of replicas in the following \
                     format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                );
                Err(ConfigError::invalid(name, &format!("[{}]", elements.join(", ")), &reason))
            }
            _ => Ok(()),
        }
    }
}

fn bound(text: Option<&'static str>) -> Option<(&'static str, f64)> {
    let text = text?;
    Some((text, text.parse().ok()?))
}

fn check_elements(
    name: &str,
    elements: &[String],
    may_be_empty: bool,
    choices: &[&str],
) -> Result<(), ConfigError> {
    if elements.is_empty() && !may_be_empty {
        let valid = match choices {
            [] => "any non-empty value".to_owned(),
            choices => format!("[{}]", choices.join(", ")),
        };
        let sentence = "must not be empty. Valid values include:";
        return Err(ConfigError(format!("Configuration '{name}' {sentence} {valid}")));
    }
    for element in elements {
        if element.is_empty() {
            return Err(ConfigError(format!("Configuration '{name}' values must not be empty.")));
        }
        if !choices.is_empty() && !choices.contains(&element.as_str()) {
            let reason = format!("String must be one of: {}", choices.join(", "));
            return Err(ConfigError::invalid(name, element, &reason));
        }
    }
    Ok(())
}

fn is_voter(text: &str) -> bool {
    let Some((id, address)) = text.split_once('@') else { return false };
    id.parse::<i32>().is_ok() && is_server(address)
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    !host.is_empty() && port.parse::<u16>().is_ok()
}

fn are_replicas(elements: &[String]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let is_replica = |text: &String| match text.split_once(':') {
        Some((partition, broker)) => is_number(partition) && is_number(broker),
        None => text.is_empty(),
    };
    matches!(elements, [all] if all == "*") || elements.iter().all(is_replica)
}

fn is_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => matches!(text, "latest" | "earliest"),
    }
}

/// `PnDTnHnMn.nS` without a sign, as `java.time.Duration.parse` takes it.
fn is_duration(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let has_parts = |text: &str, units: &str| {
        let mut units = units.chars();
        let mut rest = text;
        while let Some(end) = rest.find(|it: char| !it.is_ascii_digit() && it != '.') {
            let (number, tail) = rest.split_at(end);
            let Some(unit) = tail.chars().next() else { return false };
            let is_whole = !number.contains('.') || unit == 'S';
            if number.parse::<f64>().is_err() || !is_whole || !units.any(|it| it == unit) {
                return false;
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        rest.is_empty()
    };
    has_parts(days, "D")
        && time.is_none_or(|time| !time.is_empty() && has_parts(time, "HMS"))
        && (!days.is_empty() || time.is_some())
}
