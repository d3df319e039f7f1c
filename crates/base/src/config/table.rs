//! The table of keys, read once from the files in `table/`.
//!
//! They hold what Apache Kafka 4.3.1 says of its keys, and `strom.tsv` our own, one a line: name, type,
//! default (`\N` null, `\R` required), limits (see [`super::limits`]), importance, update mode, synonyms,
//! documentation.

use std::sync::LazyLock;

use super::key::{ConfigKey, ConfigKind, Default, Importance, Synonym, UpdateMode, ValueType};
use super::limits::Limits;
use crate::IdMap;

const BROKER: [&str; 11] = [
    include_str!("table/node.tsv"),
    include_str!("table/network.tsv"),
    include_str!("table/log.tsv"),
    include_str!("table/replication.tsv"),
    include_str!("table/groups.tsv"),
    include_str!("table/share.tsv"),
    include_str!("table/transactions.tsv"),
    include_str!("table/remote.tsv"),
    include_str!("table/quotas.tsv"),
    include_str!("table/security.tsv"),
    include_str!("table/strom.tsv"),
];

/// The keys of every kind.
struct Table {
    broker: Keys,
    topic: Keys,
    group: Keys,
    client_metrics: Keys,
}

struct Keys {
    /// In the order of their names.
    keys: Vec<ConfigKey>,
    /// A node looks for tens of keys for each topic that has values of its own.
    by_name: IdMap<&'static str, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    broker: read(&BROKER),
    topic: read(&[include_str!("table/topic.tsv")]),
    group: read(&[include_str!("table/group.tsv")]),
    client_metrics: read(&[include_str!("table/client_metrics.tsv")]),
});

/// All keys of a kind, in the order of their names.
#[must_use]
pub fn keys(kind: ConfigKind) -> &'static [ConfigKey] {
    &of(kind).keys
}

fn of(kind: ConfigKind) -> &'static Keys {
    let table = &*TABLE;
    match kind {
        ConfigKind::Broker => &table.broker,
        ConfigKind::Topic => &table.topic,
        ConfigKind::Group => &table.group,
        ConfigKind::ClientMetrics => &table.client_metrics,
    }
}

#[must_use]
pub fn find(kind: ConfigKind, name: &str) -> Option<&'static ConfigKey> {
    let of_kind = of(kind);
    of_kind.keys.get(*of_kind.by_name.get(name)?)
}

fn read(files: &[&'static str]) -> Keys {
    let lines = files.iter().flat_map(|file| file.lines());
    // A line that cannot be read is missed by the tests, which count them.
    let mut keys: Vec<ConfigKey> =
        lines.filter(|line| !line.starts_with('#')).filter_map(key).collect();
    keys.sort_by(|one, other| one.name.cmp(other.name));
    let by_name = keys.iter().enumerate().map(|(index, key)| (key.name, index)).collect();
    Keys { keys, by_name }
}

fn key(line: &'static str) -> Option<ConfigKey> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let value_type = value_type(fields.next()?)?;
    let default = match fields.next()? {
        "\\N" => Default::Null,
        "\\R" => Default::Required,
        text => Default::Text(text),
    };
    let limits = Limits::read(fields.next()?)?;
    let importance = fields.next()?;
    let shown = importance.strip_prefix("hidden ");
    let is_hidden = shown.is_some();
    let importance = match shown.unwrap_or(importance) {
        "high" => Importance::High,
        "medium" => Importance::Medium,
        "low" => Importance::Low,
        _ => return None,
    };
    let update_mode = match fields.next()? {
        "static" => UpdateMode::Static,
        "per-broker" => UpdateMode::PerBroker,
        "cluster-wide" => UpdateMode::ClusterWide,
        _ => return None,
    };
    let synonyms = fields.next()?.split(',').filter(|it| !it.is_empty()).map(synonym);
    let synonyms = synonyms.collect::<Option<Vec<_>>>()?;
    let documentation = fields.next()?;
    Some(ConfigKey {
        name,
        value_type,
        default,
        limits,
        importance,
        is_hidden,
        update_mode,
        synonyms,
        documentation,
    })
}

fn value_type(text: &str) -> Option<ValueType> {
    Some(match text {
        "boolean" => ValueType::Boolean,
        "string" => ValueType::String,
        "int" => ValueType::Int,
        "short" => ValueType::Short,
        "long" => ValueType::Long,
        "double" => ValueType::Double,
        "list" => ValueType::List,
        "class" => ValueType::Class,
        "password" => ValueType::Password,
        _ => return None,
    })
}

fn synonym(text: &'static str) -> Option<Synonym> {
    match text.split_once('*') {
        None => Some(Synonym { name: text, factor: 1 }),
        Some((name, factor)) => Some(Synonym { name, factor: factor.parse().ok()? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_key() {
        // Three of them are our own.
        assert_eq!(keys(ConfigKind::Broker).len(), 366);
        assert_eq!(keys(ConfigKind::Topic).len(), 34);
        assert_eq!(keys(ConfigKind::Group).len(), 17);
        assert_eq!(keys(ConfigKind::ClientMetrics).len(), 3);
    }

    #[test]
    fn no_key_is_there_twice_and_each_is_documented() {
        for kind in [ConfigKind::Broker, ConfigKind::Topic, ConfigKind::Group] {
            for pair in keys(kind).windows(2) {
                assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
            }
            for key in keys(kind) {
                assert!(key.documentation.ends_with('.'), "{}", key.name);
            }
        }
    }

    #[test]
    fn synonyms_are_keys_of_brokers() {
        for kind in [ConfigKind::Broker, ConfigKind::Topic, ConfigKind::Group] {
            for synonym in keys(kind).iter().flat_map(|key| &key.synonyms) {
                assert!(find(ConfigKind::Broker, synonym.name).is_some(), "{}", synonym.name);
            }
        }
        let retention = find(ConfigKind::Topic, "retention.ms").expect("a key");
        assert_eq!(
            retention.synonyms[2],
            Synonym { name: "log.retention.hours", factor: 3_600_000 }
        );
    }
}
