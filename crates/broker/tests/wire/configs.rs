//! Configurations that change while the node runs: who may set what, and who obeys.

use strom_protocol::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource as Replaced, AlterableConfig as NewValue,
};
use strom_protocol::alter_configs_response::AlterConfigsResponse;
use strom_protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use strom_protocol::describe_configs_response::DescribeConfigsResponse;
use strom_protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use strom_protocol::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::create_topic;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// A change of one key: the operation, the key and the value.
type Change<'a> = (i8, &'a str, &'a str);

fn alter(node: &mut Node, resource: (i8, &str), changes: &[Change<'_>]) -> (ErrorCode, String) {
    let configs = changes.iter().map(|(config_operation, name, value)| AlterableConfig {
        name,
        config_operation: *config_operation,
        value: Some(value).filter(|_| *config_operation != DELETE).copied(),
        ..Default::default()
    });
    let resource = AlterConfigsResource {
        resource_type: resource.0,
        resource_name: resource.1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let bytes = node.send(ApiKey::IncrementalAlterConfigs, 1, &request).expect("an answer");
    let response = IncrementalAlterConfigsResponse::from_bytes(&bytes, 1).expect("decodes");
    let answer = &response.responses[0];
    let error = ErrorCode::from_code(answer.error_code);
    (error, answer.error_message.unwrap_or_default().to_owned())
}

fn set(node: &mut Node, resource: (i8, &str), name: &str, value: &str) {
    let answer = alter(node, resource, &[(SET, name, value)]);
    assert_eq!(answer, (ErrorCode::None, String::new()), "{name}={value}");
}

/// As in an answer: value, source, and the synonyms as `source:name=value`.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    value: Option<String>,
    source: i8,
    synonyms: Vec<String>,
    is_read_only: bool,
    is_sensitive: bool,
    documentation: Option<String>,
}

fn describe(node: &mut Node, resource: (i8, &str), name: &str) -> Described {
    let resource = DescribeConfigsResource {
        resource_type: resource.0,
        resource_name: resource.1,
        configuration_keys: Some(vec![name]),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::DescribeConfigs, 4, &request).expect("an answer");
    let response = DescribeConfigsResponse::from_bytes(&bytes, 4).expect("decodes");
    let [config] = response.results[0].configs.as_slice() else { panic!("{name}: {response:?}") };
    let synonyms = config.synonyms.iter().map(|synonym| {
        format!("{}:{}={}", synonym.source, synonym.name, synonym.value.unwrap_or("null"))
    });
    Described {
        value: config.value.map(str::to_owned),
        source: config.config_source,
        synonyms: synonyms.collect(),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
        documentation: config.documentation.map(str::to_owned),
    }
}

fn value(node: &mut Node, resource: (i8, &str), name: &str) -> String {
    describe(node, resource, name).value.unwrap_or_default()
}

#[test]
fn a_topics_retention_has_its_brokers_synonyms() {
    let mut node = Node::with(&[("log.retention.hours", "5"), ("ssl.key.password", "secret")]);
    create_topic(&mut node, 7, "seen");
    let topic = (TOPIC, "seen");
    assert_eq!(value(&mut node, topic, "retention.ms"), "99000");
    assert_eq!(alter(&mut node, topic, &[(DELETE, "retention.ms", "")]).0, ErrorCode::None);
    let described = describe(&mut node, topic, "retention.ms");
    // Kafka's own: without log.retention.ms it does not tell where the value comes from.
    assert_eq!((described.value.as_deref(), described.source), (Some("18000000"), 5));
    assert_eq!(described.synonyms, [""; 0]);
    let of_file = ["4:log.retention.hours=5", "5:log.retention.hours=168"];
    assert!(described.documentation.is_some_and(|text| text.contains("records are kept")));
    set(&mut node, (BROKER, ""), "log.retention.ms", "7200000");
    set(&mut node, (BROKER, "1"), "log.retention.ms", "3600000");
    let described = describe(&mut node, topic, "retention.ms");
    assert_eq!((described.value.as_deref(), described.source), (Some("3600000"), 2));
    let dynamic = ["2:log.retention.ms=3600000", "3:log.retention.ms=7200000"];
    assert_eq!(described.synonyms, [dynamic, of_file].concat());
    let described = describe(&mut node, (BROKER, "1"), "log.retention.hours");
    assert!(described.is_read_only && !described.is_sensitive);
    assert_eq!(described.value.as_deref(), Some("168"), "as Kafka shows what ms took the place of");
    let described = describe(&mut node, (BROKER, "1"), "ssl.key.password");
    assert!(described.is_sensitive && described.value.is_none());
    assert_eq!(described.synonyms, ["4:ssl.key.password=null"]);
    let described = describe(&mut node, (BROKER, ""), "log.retention.ms");
    assert_eq!(described.synonyms, ["3:log.retention.ms=7200000"]);
}

#[test]
fn what_is_set_for_brokers_is_obeyed_by_logs_at_once_and_after_a_restart() {
    let mut node = Node::with(&[("log.segment.bytes", "4000000")]);
    create_topic(&mut node, 7, "obeys");
    let of_log = |node: &Node| {
        let config = node.log_config("obeys", 0);
        (config.segment_bytes, config.max_message_bytes, config.producer_id_expiration_ms)
    };
    assert_eq!(of_log(&node), (4_000_000, 1_048_588, 86_400_000));
    set(&mut node, (BROKER, ""), "message.max.bytes", "2000");
    set(&mut node, (BROKER, ""), "log.segment.bytes", "3000000");
    set(&mut node, (BROKER, ""), "producer.id.expiration.ms", "5000");
    set(&mut node, (BROKER, "1"), "log.segment.bytes", "2000000");
    assert_eq!(of_log(&node), (2_000_000, 2_000, 5_000));
    assert_eq!(node.log_config("obeys", 0).retention_ms, 99_000, "the topic's own comes first");
    create_topic(&mut node, 7, "later");
    assert_eq!(node.log_config("later", 1).segment_bytes, 2_000_000);

    let mut node = Node::start_with(node.stop(), &[("log.segment.bytes", "4000000")]);
    assert_eq!(of_log(&node), (2_000_000, 2_000, 5_000));
    let mut gone = |resource, name| {
        assert_eq!(alter(&mut node, resource, &[(DELETE, name, "")]).0, ErrorCode::None);
        of_log(&node)
    };
    assert_eq!(gone((BROKER, "1"), "log.segment.bytes"), (3_000_000, 2_000, 5_000));
    assert_eq!(gone((BROKER, ""), "log.segment.bytes"), (4_000_000, 2_000, 5_000));
    assert_eq!(gone((BROKER, ""), "message.max.bytes"), (4_000_000, 1_048_588, 5_000));
}

/// What Apache Kafka 4.3.1 answered to the same changes.
#[test]
fn changes_are_refused_with_kafkas_codes_and_words() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "t");
    set(&mut node, (TOPIC, "t"), "max.compaction.lag.ms", "5");
    let range = "interval must be between 100 and 3600000 (1 hour)";
    let config = ErrorCode::InvalidConfig;
    let request = ErrorCode::InvalidRequest;
    let cases: [(i8, &str, Change<'_>, ErrorCode, &str); 17] = [
        (TOPIC, "t", (SET, "nope", "1"), config, "Unknown topic config name: nope"),
        (
            TOPIC,
            "t",
            (SET, "min.compaction.lag.ms", "6"),
            config,
            "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)",
        ),
        (
            TOPIC,
            "t",
            (APPEND, "retention.ms", "4"),
            config,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (TOPIC, "t", (DELETE, "nope", ""), ErrorCode::None, ""),
        (
            TOPIC,
            "t",
            (SET, "cleanup.policy", "compact,foo"),
            config,
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, \
             delete",
        ),
        (
            BROKER,
            "1",
            (SET, "node.id", "2"),
            request,
            "Cannot update these configs dynamically: [node.id]",
        ),
        (
            BROKER,
            "",
            (SET, "log.segment.bytes", "x"),
            request,
            "Invalid value x for configuration log.segment.bytes: Not a number of type INT",
        ),
        (
            BROKER,
            "1",
            (SET, "log.retention.ms", "0"),
            request,
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or \
             equal to 1",
        ),
        (
            BROKER,
            "1",
            (SET, "min.insync.replicas", "2"),
            config,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
        (
            BROKER,
            "",
            (DELETE, "min.insync.replicas", ""),
            config,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
        (GROUP, "g", (SET, "nope", "1"), config, "Unknown group config name: nope"),
        (
            GROUP,
            "g",
            (SET, "consumer.session.timeout.ms", "1"),
            config,
            "consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        ),
        (
            CLIENT_METRICS,
            "m",
            (SET, "nope", "1"),
            request,
            "Unknown client metrics configuration: nope",
        ),
        (
            CLIENT_METRICS,
            "m",
            (SET, "interval.ms", "5"),
            request,
            &format!("Invalid value 5 for interval.ms, {range}"),
        ),
        (
            CLIENT_METRICS,
            "m",
            (SET, "match", "foo"),
            config,
            "Illegal client matching pattern: foo",
        ),
        (
            CLIENT_METRICS,
            "",
            (SET, "interval.ms", "1000"),
            request,
            "Subscription name can't be empty",
        ),
        (
            BROKER_LOGGER,
            "1",
            (SET, "kafka.server", "DEBUG"),
            config,
            "Logger kafka.server does not exist!",
        ),
    ];
    for (kind, name, change, error, said) in cases {
        let answer = alter(&mut node, (kind, name), &[change]);
        assert_eq!(answer, (error, said.to_owned()), "{change:?}");
    }
    assert_eq!(value(&mut node, (TOPIC, "t"), "cleanup.policy"), "delete");
}

#[test]
fn lists_grow_and_shrink_from_the_value_in_force() {
    let mut node = Node::with(&[("log.cleanup.policy", "compact")]);
    create_topic(&mut node, 7, "t");
    let topic = (TOPIC, "t");
    assert_eq!(alter(&mut node, topic, &[(APPEND, "cleanup.policy", "delete")]).0, ErrorCode::None);
    assert_eq!(value(&mut node, topic, "cleanup.policy"), "compact,delete");
    let cut = [(SUBTRACT, "cleanup.policy", "compact")];
    assert_eq!(alter(&mut node, topic, &cut).0, ErrorCode::None);
    let described = describe(&mut node, topic, "cleanup.policy");
    assert_eq!(described.value.as_deref(), Some("delete"));
    let expected =
        ["1:cleanup.policy=delete", "4:log.cleanup.policy=compact", "5:log.cleanup.policy=delete"];
    assert_eq!(described.synonyms, expected);
    set(&mut node, (BROKER, ""), "log.cleanup.policy", "delete");
    let grow = [(APPEND, "log.cleanup.policy", "compact")];
    assert_eq!(alter(&mut node, (BROKER, ""), &grow).0, ErrorCode::None);
    assert_eq!(value(&mut node, (BROKER, "1"), "log.cleanup.policy"), "delete,compact");
}

#[test]
fn replacing_a_brokers_configuration_keeps_what_the_cluster_must_have() {
    let mut node = Node::with(&[("min.insync.replicas", "2")]);
    let all = (BROKER, "");
    assert_eq!(value(&mut node, all, "min.insync.replicas"), "2", "a new cluster has its node's");
    set(&mut node, all, "log.retention.ms", "7");
    let new = NewValue { name: "message.max.bytes", value: Some("9"), ..Default::default() };
    let resource = Replaced {
        resource_type: BROKER,
        resource_name: "",
        configs: vec![new],
        ..Default::default()
    };
    let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let bytes = node.send(ApiKey::AlterConfigs, 2, &request).expect("an answer");
    let response = AlterConfigsResponse::from_bytes(&bytes, 2).expect("decodes");
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
    assert_eq!(value(&mut node, all, "min.insync.replicas"), "2");
    assert_eq!(value(&mut node, (BROKER, "1"), "message.max.bytes"), "9");
    assert_eq!(describe(&mut node, (BROKER, "1"), "log.retention.ms").value, None);
}
