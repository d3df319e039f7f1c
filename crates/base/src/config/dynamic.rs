//! What clients may set of a broker while it runs (KIP-226), and Kafka's words where they may not.

use super::effective::Effective;
use super::key::{ConfigKey, UpdateMode};
use super::value::ConfigValue;
use super::{BrokerConfigLayers, ConfigError, ConfigMap, names};

/// Sizes of Kafka's thread pools, which may at most double or halve at once. This node has none of
/// them, but tools that manage both should hear the same.
const THREADS: [&str; 5] = [
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

/// Checks all that is going to be set for a broker, or for all of them, over the layers in force.
///
/// # Errors
/// What Kafka says of such values.
pub fn check(
    values: &ConfigMap,
    is_for_all: bool,
    layers: &BrokerConfigLayers<'_>,
) -> Result<(), ConfigError> {
    check_each(values, is_for_all)?;
    let changed = match is_for_all {
        true => BrokerConfigLayers { dynamic_default: Some(values), ..*layers },
        false => BrokerConfigLayers { dynamic_broker: Some(values), ..*layers },
    };
    let (before, after) = (layers.effective(), changed.effective());
    retention(after)?;
    folders(values, after)?;
    threads(values, before, after).and_then(|()| local_retention(after)).map_err(
        |ConfigError(why)| {
            ConfigError(format!(
                "Invalid value org.apache.kafka.common.config.ConfigException: {why} for \
                 configuration Invalid dynamic configuration"
            ))
        },
    )
}

/// Those values that count. The others, which only another version can have let pass, count for
/// nothing.
#[must_use]
pub fn allowed(values: &ConfigMap, is_for_all: bool) -> ConfigMap {
    let each = values.iter().map(|(name, value)| (name.clone(), value.clone()));
    each.filter(|value| check_each(&ConfigMap::from([value.clone()]), is_for_all).is_ok()).collect()
}

/// Whether the keys may be set, and each value is one.
fn check_each(values: &ConfigMap, is_for_all: bool) -> Result<(), ConfigError> {
    const STATIC: &str = "Cannot update these configs dynamically";
    refuse(values, STATIC, |_, key| !key.is_dynamic())?;
    if is_for_all {
        let why = "Cannot update these configs at default cluster level, broker id must be \
                   specified";
        refuse(values, why, |_, key| key.update_mode == UpdateMode::PerBroker)?;
    }
    let why = "These security configs can be dynamically updated only per-listener using the \
               listener prefix";
    refuse(values, why, |name, key| name == key.name && is_of_a_listener(name))?;
    // Sockets are bound once; Kafka opens and closes them as this changes.
    refuse(values, STATIC, |name, _| name == "listeners")?;
    for (name, value) in values {
        if let Some(key) = names::broker_key(name) {
            // Kafka names the general key, also where one of a listener was set.
            ConfigValue::parse(key, value)?;
        }
    }
    overrides(values)
}

fn refuse(
    values: &ConfigMap,
    why: &str,
    is_wrong: impl Fn(&str, &ConfigKey) -> bool,
) -> Result<(), ConfigError> {
    // What is not known may be a plug-in's.
    let known = values.keys().filter_map(|name| Some((name, names::broker_key(name)?)));
    let wrong: Vec<&str> =
        known.filter(|(name, key)| is_wrong(name, key)).map(|(name, _)| name.as_str()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(ConfigError(format!("{why}: [{}]", wrong.join(", "))))
}

/// Secrets of TLS that can change only for one listener.
fn is_of_a_listener(name: &str) -> bool {
    name.starts_with("ssl.keystore.")
        || name.starts_with("ssl.truststore.")
        || name == "ssl.key.password"
}

/// How long records are kept is not nothing.
///
/// # Errors
/// Kafka's words.
pub(super) fn retention(values: Effective<'_>) -> Result<(), ConfigError> {
    if retention_ms(values) != 0 {
        return Ok(());
    }
    let why = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1";
    Err(ConfigError(format!("requirement failed: {why}")))
}

/// The first of the three keys that is set; -1 for ever.
fn retention_ms(values: Effective<'_>) -> i64 {
    let minutes = || Some(values.optional_number("log.retention.minutes")?.saturating_mul(60_000));
    let hours = || values.long("log.retention.hours").saturating_mul(3_600_000);
    let given = values.optional_number("log.retention.ms").or_else(minutes);
    given.unwrap_or_else(hours).max(-1)
}

fn folders(values: &ConfigMap, after: Effective<'_>) -> Result<(), ConfigError> {
    const KEY: &str = "cordoned.log.dirs";
    if !values.contains_key(KEY) {
        return Ok(());
    }
    let (dirs, dir) = (after.list("log.dirs"), after.list("log.dir"));
    let known = if dirs.is_empty() { dir } else { dirs };
    let missing: Vec<String> =
        after.list(KEY).into_iter().filter(|it| it != "*" && !known.contains(it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ConfigError(format!(
        "requirement failed: All entries in {KEY} must be present in log.dirs or log.dir. Missing \
         entries : {}",
        missing.join(", ")
    )))
}

fn overrides(values: &ConfigMap) -> Result<(), ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text = values.get(KEY).map(String::as_str).unwrap_or_default();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let why = match entry.rsplit_once(':') {
            None => format!("begin 0, end -1, length {}", entry.len()),
            Some((_, limit)) if limit.trim().parse::<i32>().is_err() => {
                format!("For input string: \"{}\"", limit.trim())
            }
            Some(_) => continue,
        };
        let sentence = format!("Error parsing configuration property '{KEY}': {why}");
        return Err(ConfigError(sentence));
    }
    Ok(())
}

fn threads(
    values: &ConfigMap,
    before: Effective<'_>,
    after: Effective<'_>,
) -> Result<(), ConfigError> {
    for name in THREADS.into_iter().filter(|name| values.contains_key(*name)) {
        let (old, new) = (before.long(name), after.long(name));
        let start = format!("Dynamic thread count update validation failed for {name}={new}");
        if new < old / 2 {
            let why = format!("value should be at least half the current value {old}");
            return Err(ConfigError(format!("{start}, {why}")));
        }
        if new > old.saturating_mul(2) {
            let why = format!("value should not be greater than double the current value {old}");
            return Err(ConfigError(format!("{start}, {why}")));
        }
    }
    let (old, new) = (before.long("log.cleaner.threads"), after.long("log.cleaner.threads"));
    let start = "Log cleaner threads cannot be";
    if new < old / 2 {
        let why = format!("{start} reduced to less than half the current value {old}");
        return Err(ConfigError(why));
    }
    if new > old.saturating_mul(2) {
        let why = format!("{start} increased to more than double the current value {old}");
        return Err(ConfigError(why));
    }
    Ok(())
}

/// What stays local of a tiered log is not more than all of it.
fn local_retention(after: Effective<'_>) -> Result<(), ConfigError> {
    let pairs = [
        ("log.local.retention.ms", "log.retention.ms", retention_ms(after)),
        ("log.local.retention.bytes", "log.retention.bytes", after.long("log.retention.bytes")),
    ];
    for (name, whole_name, whole) in pairs {
        let local = after.long(name);
        if whole == -1 || local == -2 {
            continue;
        }
        let why = if local == -1 {
            format!("Value must not be -1 as {whole_name} value is set as {whole}.")
        } else if local > whole {
            format!("Value must not be more than {whole_name} property value: {whole}")
        } else {
            continue;
        };
        return Err(ConfigError::invalid(name, &local.to_string(), &why));
    }
    Ok(())
}
