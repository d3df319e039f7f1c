//! Values and refusals, word for word as Apache Kafka 4.3.1 says them.
//!
//! `data/values.tsv` was written by Kafka's own `ConfigDef`: one key for each of its validators, fed with
//! the same texts: kind, key, text, and `= value` or `! message`.

use strom_base::config::{ConfigKind, ConfigValue, ValueType, table};

#[test]
fn values_are_read_and_refused_as_kafka_does() {
    let mut different = Vec::new();
    let lines = include_str!("data/values.tsv").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, name, text, expected] = fields[..] else { panic!("{line}") };
        let kind = match kind {
            "broker" => ConfigKind::Broker,
            "topic" => ConfigKind::Topic,
            "group" => ConfigKind::Group,
            _ => ConfigKind::ClientMetrics,
        };
        let key = table::find(kind, name).unwrap_or_else(|| panic!("{name}"));
        // Kafka looks for the class; we have none.
        if key.value_type == ValueType::Class && !text.trim().is_empty() {
            continue;
        }
        let said = match ConfigValue::parse(key, text) {
            Ok(value) => format!("= {value}"),
            Err(error) => format!("! {error}"),
        };
        if said != expected {
            different.push(format!("{name} {text:?}\n  Kafka {expected}\n  Strom {said}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
