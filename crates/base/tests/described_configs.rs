//! DescribeConfigs, key by key, as Apache Kafka 4.3.1 answered it with the same configuration.

use strom_base::config::describe::{
    describe_broker, describe_broker_default, describe_client_metrics, describe_group,
    describe_topic,
};
use strom_base::config::{BrokerConfigLayers, ConfigEntry, ConfigMap, ConfigSource, complete_ids};

fn map(pairs: &[(&str, &str)]) -> ConfigMap {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The file of the node that answered.
fn file() -> ConfigMap {
    let mut file = map(&[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@127.0.0.1:9093"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,\
             SASL_SSL:SASL_SSL",
        ),
        ("log.dirs", "/data"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("num.partitions", "4"),
        ("default.replication.factor", "1"),
        ("log.retention.hours", "5"),
        ("log.roll.hours", "48"),
        ("compression.type", "lz4"),
        ("super.users", "User:a"),
        ("group.consumer.session.timeout.ms", "50000"),
        ("listener.name.plaintext.ssl.keystore.password", "pw"),
        ("ssl.key.password", "secret"),
        ("log.cleanup.policy", "compact,delete"),
    ]);
    complete_ids(&mut file);
    file
}

/// What was set for all brokers; Kafka itself sets `min.insync.replicas` (KIP-966).
fn dynamic_default() -> ConfigMap {
    map(&[
        ("follower.replication.throttled.rate", "1000"),
        ("log.flush.interval.ms", "5"),
        ("log.retention.ms", "7200000"),
        ("log.roll.jitter.ms", "100"),
        ("log.segment.bytes", "6000000"),
        ("message.max.bytes", "2000000"),
        ("min.insync.replicas", "1"),
        ("nonsense.key", "x"),
    ])
}

fn dynamic_broker() -> ConfigMap {
    map(&[
        ("background.threads", "5"),
        ("compression.type", "zstd"),
        ("leader.replication.throttled.rate", "1000"),
        ("listener.name.plaintext.ssl.key.password", "geheim"),
        ("log.segment.bytes", "5000000"),
        ("nonsense.key", "x"),
    ])
}

fn topic() -> ConfigMap {
    map(&[
        ("cleanup.policy", "delete"),
        ("leader.replication.throttled.replicas", "*"),
        ("local.retention.bytes", "5"),
        ("local.retention.ms", "5"),
        ("max.compaction.lag.ms", "5"),
        ("min.cleanable.dirty.ratio", "0.50"),
        ("preallocate", "TRUE"),
        ("remote.log.copy.disable", "true"),
        ("remote.log.delete.on.disable", "true"),
        ("retention.ms", " 1000 "),
        ("segment.bytes", "2000000"),
    ])
}

fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource::Default => "DEFAULT_CONFIG",
        ConfigSource::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
        ConfigSource::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
        ConfigSource::Group => "DYNAMIC_GROUP_CONFIG",
    }
}

const TYPES: [&str; 10] =
    ["UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];

fn line(kind: &str, resource: &str, entry: &ConfigEntry) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms = entry.synonyms.iter().map(|synonym| {
        format!("{}:{}={};", source_name(synonym.source), synonym.name, shown(&synonym.value))
    });
    [
        kind,
        resource,
        &entry.name,
        &shown(&entry.value),
        source_name(entry.source),
        if entry.is_sensitive { "S" } else { "-" },
        if entry.is_read_only { "R" } else { "-" },
        TYPES[entry.type_code as usize],
        &synonyms.collect::<String>(),
    ]
    .join("\t")
}

fn lines(kind: &str, resource: &str, entries: &[ConfigEntry]) -> Vec<String> {
    entries.iter().map(|entry| line(kind, resource, entry)).collect()
}

#[test]
fn resources_are_described_as_kafka_describes_them() {
    let (file, dynamic_default, dynamic_broker) = (file(), dynamic_default(), dynamic_broker());
    let layers = BrokerConfigLayers {
        file: &file,
        dynamic_broker: Some(&dynamic_broker),
        dynamic_default: Some(&dynamic_default),
    };
    let group = map(&[
        ("consumer.session.timeout.ms", "50000"),
        ("share.auto.offset.reset", "by_duration:PT1H"),
    ]);
    let metrics = map(&[("interval.ms", "5000"), ("metrics", "a.b")]);
    let ours = [
        lines("BROKER", "1", &describe_broker(&layers, None)),
        lines("BROKER", "", &describe_broker_default(&dynamic_default, None)),
        lines("TOPIC", "t", &describe_topic(&layers, &topic(), None)),
        lines("GROUP", "g", &describe_group(&layers, &group, None)),
        lines("CLIENT_METRICS", "m", &describe_client_metrics(&metrics, None)),
        lines("GROUP", "none", &describe_group(&layers, &ConfigMap::new(), None)),
    ]
    .concat();
    let kafka = include_str!("data/described.tsv").lines().filter(|line| !line.starts_with('#'));
    let kafka: Vec<&str> = kafka.collect();
    let only_kafka: Vec<&&str> =
        kafka.iter().filter(|it| !ours.iter().any(|our| our == **it)).collect();
    let only_ours: Vec<&String> = ours.iter().filter(|it| !kafka.contains(&it.as_str())).collect();
    assert!(only_kafka.is_empty() && only_ours.is_empty(), "{only_kafka:#?}\n{only_ours:#?}");
    assert_eq!(ours.len(), kafka.len());
}

#[test]
fn only_the_names_that_are_asked_for_are_described() {
    let file = file();
    let layers = BrokerConfigLayers::of_file(&file);
    let asked = ["retention.ms", "nonsense"];
    let described = describe_topic(&layers, &ConfigMap::new(), Some(&asked));
    let names: Vec<&str> = described.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["retention.ms"]);
    assert_eq!(described[0].value.as_deref(), Some("18000000"));
}
