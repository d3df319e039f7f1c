//! A resource's configuration as DescribeConfigs shows it: values, where they come from, and what would
//! count without them (KIP-226, KIP-569).

use super::key::{ConfigKey, ConfigKind};
use super::value::ConfigValue;
use super::{BrokerConfigLayers, ConfigMap, names, table};

/// Where a value comes from, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

impl ConfigSource {
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// A value that counts, or would count without those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: String,
    /// `None` where it is secret.
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// One key of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None` for null and for what is secret.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
    /// The strongest first.
    pub synonyms: Vec<ConfigSynonym>,
    /// [`super::ValueType::code`]; 0 for a key that Kafka does not know.
    pub type_code: i8,
    pub documentation: Option<&'static str>,
}

/// Which keys of a resource are asked for; `None`: all.
pub type NameFilter<'a> = Option<&'a [&'a str]>;

fn is_asked(filter: NameFilter<'_>, name: &str) -> bool {
    filter.is_none_or(|names| names.contains(&name))
}

/// The keys of one broker: those of the table, and whatever else was set.
#[must_use]
pub fn describe_broker(
    layers: &BrokerConfigLayers<'_>,
    filter: NameFilter<'_>,
) -> Vec<ConfigEntry> {
    let set = [Some(layers.file), layers.dynamic_broker, layers.dynamic_default];
    let set = set.into_iter().flatten().flat_map(|layer| layer.keys().map(String::as_str));
    let shown = table::keys(ConfigKind::Broker).iter().filter(|key| !key.is_hidden);
    let mut names: Vec<&str> = shown.map(|key| key.name).chain(set).collect();
    names.sort_unstable();
    names.dedup();
    let asked = names.into_iter().filter(|name| is_asked(filter, name));
    asked.map(|name| broker_entry(name, layers.text(name), layers)).collect()
}

/// What was set for all brokers together.
#[must_use]
pub fn describe_broker_default(
    dynamic_default: &ConfigMap,
    filter: NameFilter<'_>,
) -> Vec<ConfigEntry> {
    let file = ConfigMap::new();
    let dynamic_default = Some(dynamic_default);
    let layers = BrokerConfigLayers { file: &file, dynamic_broker: None, dynamic_default };
    let set = dynamic_default.into_iter().flatten();
    let asked = set.filter(|(name, _)| is_asked(filter, name));
    let entries = asked.map(|(name, value)| {
        let mut entry = broker_entry(name, Some(value), &layers);
        entry.synonyms.retain(|it| it.source == ConfigSource::DynamicDefaultBroker);
        entry
    });
    entries.collect()
}

fn broker_entry(name: &str, value: Option<&str>, layers: &BrokerConfigLayers<'_>) -> ConfigEntry {
    // A key that is not known may hold anything, also a secret.
    let key = names::broker_key(name);
    let is_sensitive = key.is_none_or(ConfigKey::is_sensitive);
    let synonyms = layers.synonyms(name, is_sensitive);
    let is_exact = key.is_some_and(|key| key.name == name);
    ConfigEntry {
        name: name.to_owned(),
        value: value.filter(|_| !is_sensitive).map(|text| shown(key, text)),
        source: synonyms.first().map_or(ConfigSource::Default, |strongest| strongest.source),
        is_sensitive,
        is_read_only: !key.is_some_and(|key| is_exact && key.is_dynamic()),
        synonyms,
        type_code: key.map_or(0, |key| key.value_type.code()),
        documentation: key.map(|key| key.documentation),
    }
}

/// As Kafka writes it once it is parsed.
fn shown(key: Option<&ConfigKey>, text: &str) -> String {
    let parsed = key.and_then(|key| ConfigValue::parse(key, text).ok());
    parsed.map_or_else(|| text.to_owned(), |value| value.to_string())
}

/// The keys of a topic with these values of its own.
#[must_use]
pub fn describe_topic(
    layers: &BrokerConfigLayers<'_>,
    overrides: &ConfigMap,
    filter: NameFilter<'_>,
) -> Vec<ConfigEntry> {
    entries(ConfigKind::Topic, filter, |key| {
        let value = overrides.get(key.name).cloned().or_else(|| inherited(key, layers));
        let of_broker =
            key.synonyms.first().map(|first| layers.synonyms(first.name, key.is_sensitive()));
        let own = overrides.contains_key(key.name).then_some(ConfigSource::Topic);
        entry(key, value, own, of_broker.unwrap_or_default())
    })
}

/// The keys of a group with these values of its own.
#[must_use]
pub fn describe_group(
    layers: &BrokerConfigLayers<'_>,
    overrides: &ConfigMap,
    filter: NameFilter<'_>,
) -> Vec<ConfigEntry> {
    entries(ConfigKind::Group, filter, |key| {
        let value = overrides.get(key.name).cloned().or_else(|| inherited(key, layers));
        let weaker = match key.synonyms.first() {
            Some(first) => layers.synonyms(first.name, key.is_sensitive()),
            None => key.default_text().map(|text| default_of(key, text)).into_iter().collect(),
        };
        let own = overrides.contains_key(key.name).then_some(ConfigSource::Group);
        entry(key, value, own, weaker)
    })
}

/// The keys of a subscription to clients' metrics with these values of its own.
#[must_use]
pub fn describe_client_metrics(overrides: &ConfigMap, filter: NameFilter<'_>) -> Vec<ConfigEntry> {
    entries(ConfigKind::ClientMetrics, filter, |key| {
        let default = key.default_text().map(str::to_owned);
        let value = overrides.get(key.name).cloned().or(default);
        let own = overrides.contains_key(key.name).then_some(ConfigSource::ClientMetrics);
        entry(key, value, own, Vec::new())
    })
}

fn entries(
    kind: ConfigKind,
    filter: NameFilter<'_>,
    make: impl Fn(&'static ConfigKey) -> ConfigEntry,
) -> Vec<ConfigEntry> {
    let shown = table::keys(kind).iter().filter(|key| !key.is_hidden);
    shown.filter(|key| is_asked(filter, key.name)).map(make).collect()
}

fn entry(
    key: &'static ConfigKey,
    value: Option<String>,
    own: Option<ConfigSource>,
    weaker: Vec<ConfigSynonym>,
) -> ConfigEntry {
    let value = value.map(|text| shown(Some(key), &text));
    let own =
        own.map(|source| ConfigSynonym { name: key.name.to_owned(), value: value.clone(), source });
    let synonyms: Vec<ConfigSynonym> = own.into_iter().chain(weaker).collect();
    ConfigEntry {
        name: key.name.to_owned(),
        value,
        source: synonyms.first().map_or(ConfigSource::Default, |strongest| strongest.source),
        is_sensitive: key.is_sensitive(),
        is_read_only: false,
        synonyms,
        type_code: key.value_type.code(),
        documentation: Some(key.documentation),
    }
}

fn default_of(key: &ConfigKey, text: &str) -> ConfigSynonym {
    let (name, value) = (key.name.to_owned(), Some(text.to_owned()));
    ConfigSynonym { name, value, source: ConfigSource::Default }
}

/// What a topic's or group's key is without a value of its own, before parsing.
#[must_use]
pub fn inherited(key: &ConfigKey, layers: &BrokerConfigLayers<'_>) -> Option<String> {
    let value = layers.first_of(&key.synonyms);
    let value = value.or_else(|| key.default_text().map(str::to_owned))?;
    // Whatever is negative means forever, as -1 does; see `log.retention.ms`.
    let is_forever = key.name == "retention.ms" && value.starts_with('-');
    Some(if is_forever { "-1".to_owned() } else { value })
}
