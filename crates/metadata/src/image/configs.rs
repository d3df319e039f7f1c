//! Dynamic configurations, by resource.

use std::collections::BTreeMap;

use strom_protocol::config_record::ConfigRecord;

use super::Delta;

/// Kafka's resource types, by their codes in records and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceType {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
    Other(i8),
}

impl ResourceType {
    #[must_use]
    pub fn from_code(code: i8) -> Self {
        match code {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            other => Self::Other(other),
        }
    }

    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
            Self::Other(code) => code,
        }
    }
}

/// What a configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    pub kind: ResourceType,
    /// Empty: the default of all of the kind.
    pub name: String,
}

impl ConfigResource {
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self { kind: ResourceType::Topic, name: name.to_owned() }
    }

    /// What all brokers have that have nothing of their own.
    #[must_use]
    pub fn cluster() -> Self {
        Self { kind: ResourceType::Broker, name: String::new() }
    }

    #[must_use]
    pub fn broker(id: i32) -> Self {
        Self { kind: ResourceType::Broker, name: id.to_string() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configs {
    by_resource: BTreeMap<ConfigResource, BTreeMap<String, String>>,
}

impl Configs {
    /// Keys and values of a resource, in the order of the keys.
    #[must_use]
    pub fn of(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        self.by_resource.get(resource)
    }

    #[must_use]
    pub fn value(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.by_resource.get(resource)?.get(key).map(String::as_str)
    }

    /// Resources that have a configuration.
    pub fn resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.by_resource.keys()
    }

    pub(super) fn replay(&mut self, record: &ConfigRecord<'_>, delta: &mut Delta) {
        let resource = ConfigResource {
            kind: ResourceType::from_code(record.resource_type),
            name: record.resource_name.to_owned(),
        };
        let values = self.by_resource.entry(resource.clone()).or_default();
        match record.value {
            Some(value) => {
                values.insert(record.name.to_owned(), value.to_owned());
            }
            None => {
                values.remove(record.name);
            }
        }
        if values.is_empty() {
            self.by_resource.remove(&resource);
        }
        delta.configs.insert(resource);
    }

    /// All resources with their keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeMap<String, String>)> {
        self.by_resource.iter()
    }

    pub(super) fn remove_resource(&mut self, resource: &ConfigResource) {
        self.by_resource.remove(resource);
    }
}
