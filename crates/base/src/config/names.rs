//! Names of keys: what a file may use, prefixes, and the name that was meant.

use super::key::{ConfigKey, ConfigKind};
use super::{ConfigError, table};
use crate::properties::Property;

/// Keys of plug-ins, which Kafka passes on unseen.
const PLUG_IN_KEYS: [&str; 2] = ["super.users", "allow.everyone.if.no.acl.found"];
const PLUG_IN_PREFIXES: [&str; 11] = [
    "rsm.config.",
    "rlmm.config.",
    "remote.log.metadata.common.client.",
    "remote.log.metadata.producer.",
    "remote.log.metadata.consumer.",
    "remote.log.metadata.admin.",
    "config.providers.",
    "metrics.jmx.",
    "metrics.context.",
    "client.quota.callback.",
    "kafka.metrics.",
];

/// Keys that Apache Kafka 4.0 removed.
const REMOVED: [&str; 9] = [
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "delegation.token.master.key",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "reserved.broker.max.id",
];

/// Keys that may follow a listener's name and a mechanism's, as `plain.sasl.jaas.config`.
const MECHANISM_KEYS: [&str; 5] = [
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// Of a listener's own key (`listener.name.<listener>.[<mechanism>.]<key>`), the general one.
#[must_use]
pub fn listener_base(name: &str) -> Option<&str> {
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    let of_mechanism = MECHANISM_KEYS.into_iter().find(|key| base.ends_with(key));
    Some(of_mechanism.unwrap_or(base))
}

/// A broker's key of the table, also by a listener's own name for it.
#[must_use]
pub fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    let find = |name| table::find(ConfigKind::Broker, name);
    find(name).or_else(|| listener_base(name).and_then(find))
}

/// Whether a broker's file may name it.
fn is_known_to_brokers(name: &str) -> bool {
    broker_key(name).is_some()
        || PLUG_IN_KEYS.contains(&name)
        || PLUG_IN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Refuses a file that names a key which no broker knows: it is a slip, and what was meant is not done.
///
/// # Errors
/// One sentence with the line, the key and the name that was probably meant.
pub fn check_names(file: &str, properties: &[Property]) -> Result<(), ConfigError> {
    match properties.iter().find(|property| !is_known_to_brokers(&property.key)) {
        None => Ok(()),
        Some(Property { key, line, .. }) => {
            Err(ConfigError(format!("{file}, line {line}: {}", unknown(key))))
        }
    }
}

/// The same for one key that was given otherwise than in a file.
///
/// # Errors
/// One sentence with the key and the name that was probably meant.
pub fn check_name(name: &str) -> Result<(), ConfigError> {
    if is_known_to_brokers(name) { Ok(()) } else { Err(ConfigError(unknown(name))) }
}

fn unknown(name: &str) -> String {
    if REMOVED.contains(&name) || name.starts_with("zookeeper.") {
        return format!("{name} is gone since Apache Kafka 4.0: remove it");
    }
    match nearest(name) {
        Some(meant) => format!("unknown key {name}: did you mean {meant}?"),
        None => format!("unknown key {name}: remove it, or see the list of keys for its name"),
    }
}

/// The name that was probably meant: a topic key's name at a broker, or the most similar one.
fn nearest(name: &str) -> Option<&'static str> {
    let of_topic = table::find(ConfigKind::Topic, name).and_then(|key| key.synonyms.first());
    if let Some(synonym) = of_topic {
        return Some(synonym.name);
    }
    let known = table::keys(ConfigKind::Broker).iter().filter(|key| !key.is_hidden);
    let names = known.map(|key| key.name).chain(PLUG_IN_KEYS);
    let (distance, meant) = names.map(|known| (distance(name, known), known)).min()?;
    (distance <= (name.len() / 4).max(2)).then_some(meant)
}

/// Letters to change, add, leave out, or swap with a neighbour. Names are short.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other_letter) in other.iter().enumerate() {
            let changed = usize::from(letter != other_letter);
            let mut least = (current[column] + 1).min(last[column + 1] + 1);
            least = least.min(last[column] + changed);
            if row > 0
                && column > 0
                && *letter == other[column - 1]
                && one[row - 1] == *other_letter
            {
                least = least.min(before_last[column - 1] + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        let properties = [Property { key: name.to_owned(), value: String::new(), line: 7 }];
        check_names("server.properties", &properties).expect_err("refused").0
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_name_that_was_meant() {
        let said = refusal("log.retension.hours");
        let meant = "server.properties, line 7: unknown key log.retension.hours: did you mean \
                     log.retention.hours?";
        assert_eq!(said, meant);
        assert!(refusal("retention.ms").ends_with("did you mean log.retention.ms?"));
        assert!(refusal("nmu.partitions").ends_with("did you mean num.partitions?"));
        assert!(refusal("listener").ends_with("did you mean listeners?"));
        assert!(refusal("nonsense").contains("see the list of keys"));
        assert!(refusal("zookeeper.connect").contains("gone since Apache Kafka 4.0"));
    }

    #[test]
    fn keys_of_plug_ins_and_listeners_are_known() {
        for name in [
            "super.users",
            "allow.everyone.if.no.acl.found",
            "authorizer.class.name",
            "rsm.config.bucket",
            "listener.name.internal.ssl.keystore.location",
            "listener.name.internal.plain.sasl.jaas.config",
            "unstable.api.versions.enable",
        ] {
            assert!(is_known_to_brokers(name), "{name}");
        }
        assert!(!is_known_to_brokers("listener.name.internal.nonsense"));
        assert!(!is_known_to_brokers("retention.ms"));
    }
}
