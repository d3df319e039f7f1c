//! Whether values may be set: a broker's file, and what clients ask to change (AlterConfigs) of all
//! but brokers, for which see [`super::dynamic`].

use super::key::{ConfigKey, ConfigKind};
use super::value::ConfigValue;
use super::{BrokerConfigLayers, ConfigError, ConfigMap, describe, names, table};

/// Checks every value of a broker's file that has a key of the table.
///
/// # Errors
/// Kafka's words for the first value that is wrong.
pub fn broker_file(file: &ConfigMap) -> Result<(), ConfigError> {
    for (name, value) in file {
        if let Some(key) = names::broker_key(name) {
            ConfigValue::parse_as(key, name, value)?;
        }
    }
    Ok(())
}

/// A key of topics and its value.
///
/// # Errors
/// What Kafka says of such a value, or that there is no such key.
pub fn topic_value(name: &str, value: &str) -> Result<(), ConfigError> {
    let key = table::find(ConfigKind::Topic, name)
        .ok_or_else(|| ConfigError(format!("Unknown topic config name: {name}")))?;
    ConfigValue::parse(key, value).map(|_| ())
}

/// All of a topic's own values together.
///
/// # Errors
/// What Kafka says of the first value that is wrong, or of two that contradict each other.
pub fn topic(overrides: &ConfigMap, layers: &BrokerConfigLayers<'_>) -> Result<(), ConfigError> {
    for (name, value) in overrides {
        topic_value(name, value)?;
    }
    let number = |name| match topic_key_value(name, overrides, layers) {
        Some(ConfigValue::Number(number)) => number,
        _ => 0,
    };
    let (least, most) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if least > most {
        return Err(ConfigError(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > \
             max.compaction.lag.ms ({most})"
        )));
    }
    let is_remote = topic_key_value("remote.storage.enable", overrides, layers)
        == Some(ConfigValue::Boolean(true));
    if is_remote && !layers.effective().boolean("remote.log.storage.system.enable") {
        return Err(ConfigError(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage."
                .to_owned(),
        ));
    }
    Ok(())
}

/// A topic's value in force, parsed.
pub(super) fn topic_key_value(
    name: &str,
    overrides: &ConfigMap,
    layers: &BrokerConfigLayers<'_>,
) -> Option<ConfigValue> {
    let key = table::find(ConfigKind::Topic, name)?;
    let text = overrides.get(name).cloned().or_else(|| describe::inherited(key, layers))?;
    let parsed = ConfigValue::parse(key, &text);
    parsed.or_else(|_| ConfigValue::parse(key, key.default_text().unwrap_or_default())).ok()
}

/// A group's own value, which must lie between the broker's bounds.
///
/// # Errors
/// What Kafka says of such a value, or that there is no such key.
pub fn group(name: &str, value: &str, layers: &BrokerConfigLayers<'_>) -> Result<(), ConfigError> {
    let key = table::find(ConfigKind::Group, name)
        .ok_or_else(|| ConfigError(format!("Unknown group config name: {name}")))?;
    let ConfigValue::Number(number) = ConfigValue::parse(key, value)? else { return Ok(()) };
    let Some((least, most)) = bounds(key) else { return Ok(()) };
    let bound = |name: &str| layers.effective().optional_number(name);
    if bound(&least).is_some_and(|least| number < least) {
        let sentence = format!("{name} must be greater than or equal to {least}");
        return Err(ConfigError(sentence));
    }
    if bound(&most).is_some_and(|most| number > most) {
        return Err(ConfigError(format!("{name} must be less than or equal to {most}")));
    }
    Ok(())
}

/// `group.consumer.session.timeout.ms` has its bounds in `group.consumer.min.session.timeout.ms` and
/// `group.consumer.max.…`; one that does not exist bounds nothing.
fn bounds(key: &ConfigKey) -> Option<(String, String)> {
    let rest = key.synonyms.first()?.name.strip_prefix("group.")?;
    let (protocol, rest) = rest.split_once('.')?;
    let least = format!("group.{protocol}.min.{rest}");
    let most = match rest {
        "num.standby.replicas" => format!("group.{protocol}.max.standby.replicas"),
        rest => format!("group.{protocol}.max.{rest}"),
    };
    Some((least, most))
}

/// A value of a subscription to clients' metrics.
///
/// # Errors
/// What Kafka says of such a value, or that there is no such key.
pub fn client_metrics(name: &str, value: &str) -> Result<(), ConfigError> {
    let key = table::find(ConfigKind::ClientMetrics, name)
        .ok_or_else(|| ConfigError(format!("Unknown client metrics configuration: {name}")))?;
    match ConfigValue::parse(key, value)? {
        ConfigValue::Number(interval) if !(100..=3_600_000).contains(&interval) => {
            Err(ConfigError(format!(
                "Invalid value {value} for {name}, interval must be between 100 and 3600000 \
                 (1 hour)"
            )))
        }
        ConfigValue::List(patterns) if name == "match" => {
            match patterns.iter().find(|pattern| !is_selector(pattern)) {
                None => Ok(()),
                Some(pattern) => {
                    Err(ConfigError(format!("Illegal client matching pattern: {pattern}")))
                }
            }
        }
        _ => Ok(()),
    }
}

const SELECTORS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

fn is_selector(text: &str) -> bool {
    let Some((selector, pattern)) = text.split_once('=') else { return false };
    let closes = pattern.matches('[').count() == pattern.matches(']').count();
    SELECTORS.contains(&selector.trim()) && !pattern.trim().is_empty() && closes
}
