//! The configuration of brokers, topics, groups and client metrics: Kafka's keys, from one table.
//!
//! [`table`] is read from the files beside it and serves everything else: parsing and validation
//! ([`value`]), what a resource's configuration is and where it comes from ([`layers`], [`describe`]),
//! which names a file may use ([`names`]), and the typed views that the node runs on
//! ([`NodeSettings`], [`TopicSettings`]).

use std::collections::BTreeMap;

use thiserror::Error;

pub mod key;
pub mod limits;
pub mod table;
pub mod value;

pub mod check;
pub mod describe;
pub mod dynamic;
pub mod effective;
pub mod layers;
pub mod names;

pub mod listeners;
pub mod node_settings;
pub mod topic_settings;

pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use key::{ConfigKey, ConfigKind, UpdateMode, ValueType};
pub use layers::BrokerConfigLayers;
pub use listeners::{Listener, SecurityProtocol};
pub use node_settings::NodeSettings;
pub use topic_settings::TopicSettings;
pub use value::ConfigValue;

/// Keys and their values as text, as a file or a `ConfigRecord` gives them.
pub type ConfigMap = BTreeMap<String, String>;

/// What is wrong with a configuration, in one sentence; for values, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    /// Kafka's `ConfigException` of a name, a value and a reason.
    pub(crate) fn invalid(name: &str, value: &str, reason: &str) -> Self {
        Self(format!("Invalid value {value} for configuration {name}: {reason}"))
    }
}

/// Gives `node.id` and its older name `broker.id` each other's value where only one is given, as Kafka
/// does to a file before anything reads it.
pub fn complete_ids(file: &mut ConfigMap) {
    for (given, missing) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let Some(id) = file.get(given).filter(|_| !file.contains_key(missing)) {
            file.insert(missing.to_owned(), id.clone());
        }
    }
}

/// What a node runs with that is given no file: alone, on this machine, its data beside it.
/// The controller's listener has a name but no address: nobody else calls it.
#[must_use]
pub fn standalone() -> ConfigMap {
    [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("controller.listener.names", "CONTROLLER"),
        ("log.dirs", "./strom-data"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}
