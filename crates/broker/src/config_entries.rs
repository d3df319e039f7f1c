//! Configurations as clients see them: every key of a resource with its value, where the value comes
//! from, and what would apply without it (KIP-226).

use std::collections::BTreeMap;

use strom_metadata::image::{ConfigResource, ResourceType};

use crate::Broker;
use crate::settings::config_table::{self, ConfigKey, ValueType};
use crate::settings::topic_keys;

/// Where a value comes from, by Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    ClientMetrics = 7,
    Group = 8,
}

impl Source {
    pub(crate) fn code(self) -> i8 {
        self as i8
    }
}

/// A value that applies, or would apply without the stronger ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synonym {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// `None` is null, and what is secret.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
    pub(crate) value_type: ValueType,
    pub(crate) is_read_only: bool,
    pub(crate) is_sensitive: bool,
    /// The strongest first.
    pub(crate) synonyms: Vec<Synonym>,
}

impl Entry {
    /// `value` is what is in force; its source is that of the strongest synonym.
    fn new(key: &ConfigKey, value: Option<String>, synonyms: Vec<Synonym>) -> Self {
        let is_sensitive = key.value_type == ValueType::Password;
        Self {
            name: key.name,
            value: value.filter(|_| !is_sensitive),
            source: synonyms.first().map_or(Source::Default, |strongest| strongest.source),
            value_type: key.value_type,
            is_read_only: !key.is_dynamic,
            is_sensitive,
            synonyms: if is_sensitive { Vec::new() } else { synonyms },
        }
    }
}

type Values = BTreeMap<String, String>;

fn synonym(name: &'static str, value: &str, source: Source) -> Synonym {
    Synonym { name, value: value.to_owned(), source }
}

impl Broker {
    /// All keys of a topic.
    pub(crate) fn topic_entries(&self, own: Option<&Values>) -> Vec<Entry> {
        let keys = config_table::keys(ResourceType::Topic);
        keys.filter_map(|key| self.topic_entry(&key, own)).collect()
    }

    fn topic_entry(&self, key: &ConfigKey, own: Option<&Values>) -> Option<Entry> {
        let known = topic_keys::find(key.name)?;
        let properties = &self.settings.properties;
        let mut synonyms = Vec::new();
        if let Some(value) = own.and_then(|own| own.get(key.name)) {
            synonyms.push(synonym(key.name, value, Source::Topic));
        }
        for (name, _) in known.synonyms {
            if let Some(value) = properties.get(*name) {
                synonyms.push(synonym(name, value, Source::StaticBroker));
            }
        }
        for (name, _) in known.synonyms {
            let broker_key = config_table::find(ResourceType::Broker, name);
            if let Some(value) = broker_key.and_then(|it| it.default) {
                synonyms.push(synonym(name, value, Source::Default));
            }
        }
        Some(Entry::new(key, Some(known.value(properties, own)), synonyms))
    }

    /// What a topic will have that is created with these.
    pub(crate) fn new_topic_entries(&self, configs: &[(String, String)]) -> Vec<Entry> {
        let own: Values = configs.iter().cloned().collect();
        self.topic_entries(Some(&own))
    }

    /// All keys of this node.
    pub(crate) fn broker_entries(&self) -> Vec<Entry> {
        let configs = &self.metadata.image().configs;
        let of = |name: String| configs.of(&ConfigResource { kind: ResourceType::Broker, name });
        let layers = [
            (of(self.identity.node_id.to_string()), Source::DynamicBroker),
            (of(String::new()), Source::DynamicDefaultBroker),
            (Some(&self.settings.properties), Source::StaticBroker),
        ];
        let keys = config_table::keys(ResourceType::Broker);
        keys.map(|key| {
            let set = layers.iter().filter_map(|(values, source)| {
                Some(synonym(key.name, values.as_ref()?.get(key.name)?, *source))
            });
            let default = key.default.map(|value| synonym(key.name, value, Source::Default));
            let synonyms: Vec<_> = set.chain(default).collect();
            let value = synonyms.first().map(|strongest| strongest.value.clone());
            Entry::new(&key, value, synonyms)
        })
        .collect()
    }

    /// What was set for all brokers together, and nothing else.
    pub(crate) fn broker_default_entries(&self) -> Vec<Entry> {
        let all = ConfigResource { kind: ResourceType::Broker, name: String::new() };
        let own = self.metadata.image().configs.of(&all);
        let set = own.into_iter().flatten().filter_map(|(name, value)| {
            let key = config_table::find(ResourceType::Broker, name)?;
            let synonyms = vec![synonym(key.name, value, Source::DynamicDefaultBroker)];
            Some(Entry::new(&key, Some(value.clone()), synonyms))
        });
        set.collect()
    }

    /// All keys of a group, or of a subscription to client metrics.
    pub(crate) fn own_entries(&self, resource: &ConfigResource, source: Source) -> Vec<Entry> {
        let own = self.metadata.image().configs.of(resource);
        let keys = config_table::keys(resource.kind);
        keys.map(|key| {
            let set = own.and_then(|own| own.get(key.name));
            let set = set.map(|value| synonym(key.name, value, source));
            let default = key.default.map(|value| synonym(key.name, value, Source::Default));
            let synonyms: Vec<_> = set.into_iter().chain(default).collect();
            let value = synonyms.first().map(|strongest| strongest.value.clone());
            Entry::new(&key, value, synonyms)
        })
        .collect()
    }
}
