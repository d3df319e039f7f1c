//! Topics and configurations in every version of their APIs.

use strom_protocol::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};
use strom_protocol::alter_configs_response::AlterConfigsResponse;
use strom_protocol::compression::Codec;
use strom_protocol::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use strom_protocol::create_partitions_response::CreatePartitionsResponse;
use strom_protocol::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use strom_protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use strom_protocol::delete_topics_response::DeleteTopicsResponse;
use strom_protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use strom_protocol::describe_configs_response::DescribeConfigsResponse;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::exchange::{Topic, batch, fetch, fetch_request, produce};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;

const TOPIC: i8 = 2;

pub(crate) fn create_topic(node: &mut Node, version: i16, name: &str) {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name,
            num_partitions: 2,
            replication_factor: 1,
            configs: vec![CreatableTopicConfig {
                name: "retention.ms",
                value: Some("99000"),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let bytes = node.send(ApiKey::CreateTopics, version, &request).expect("an answer");
    let response = CreateTopicsResponse::from_bytes(&bytes, version).expect("decodes");
    assert_eq!(response.topics[0].error_code, 0, "v{version}: {response:?}");
    if version >= 5 {
        assert_eq!(response.topics[0].num_partitions, 2);
        let configs = response.topics[0].configs.as_ref().expect("configs");
        let policy = configs.iter().find(|config| config.name == "cleanup.policy");
        assert!(policy.is_some_and(|policy| policy.value.is_some()));
    }
}

/// A topic of one partition with configurations of its own.
pub(crate) fn create_topic_with(node: &mut Node, name: &str, configs: &[(&str, &str)]) {
    create_topic_of(node, (name, 1), configs);
}

/// With so many partitions.
pub(crate) fn create_topic_of(
    node: &mut Node,
    (name, num_partitions): (&str, i32),
    configs: &[(&str, &str)],
) {
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name,
        value: Some(value),
        ..Default::default()
    });
    let topic = CreatableTopic {
        name,
        num_partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let bytes = node.send(ApiKey::CreateTopics, 7, &request).expect("an answer");
    let response = CreateTopicsResponse::from_bytes(&bytes, 7).expect("decodes");
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

pub(crate) fn delete_topic(node: &mut Node, name: &str) {
    let state = DeleteTopicState { name: Some(name), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    let bytes = node.send(ApiKey::DeleteTopics, 6, &request).expect("an answer");
    let response = DeleteTopicsResponse::from_bytes(&bytes, 6).expect("decodes");
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
}

#[test]
fn a_topic_is_named_once_in_a_request_to_delete_it() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "named-twice");
    let by_name = DeleteTopicState { name: Some("named-twice"), ..Default::default() };
    let topic_id = topic_id(&mut node, "named-twice");
    let by_id = DeleteTopicState { name: None, topic_id, ..Default::default() };
    for topics in [vec![by_name.clone(); 2], vec![by_id.clone(); 2], vec![by_name, by_id]] {
        let request = DeleteTopicsRequest { topics, ..Default::default() };
        let bytes = node.send(ApiKey::DeleteTopics, 6, &request).expect("an answer");
        let response = DeleteTopicsResponse::from_bytes(&bytes, 6).expect("decodes");
        let errors: Vec<_> = response.responses.iter().map(|it| it.error_code).collect();
        assert_eq!(errors, [ErrorCode::InvalidRequest.code()], "{response:?}");
    }
    delete_topic(&mut node, "named-twice");
}

#[test]
fn topics_come_grow_and_go_in_every_version() {
    let mut node = Node::start(MemoryDisk::default());
    for version in 2..=7 {
        let name = format!("topic-{version}");
        create_topic(&mut node, version, &name);
        let growing = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: &name,
                count: 4,
                assignments: None,
                ..Default::default()
            }],
            ..Default::default()
        };
        let grow_version = version.min(3);
        let bytes = node.send(ApiKey::CreatePartitions, grow_version, &growing);
        let bytes = bytes.expect("an answer");
        let grown = CreatePartitionsResponse::from_bytes(&bytes, grow_version).expect("decodes");
        assert_eq!(grown.results[0].error_code, 0, "{grown:?}");
        let delete_version = version - 1;
        let mut deleting = DeleteTopicsRequest::default();
        if delete_version >= 6 {
            let state = DeleteTopicState { name: Some(&name), ..Default::default() };
            deleting.topics.push(state);
        } else {
            deleting.topic_names.push(&name);
        }
        let bytes = node.send(ApiKey::DeleteTopics, delete_version, &deleting);
        let bytes = bytes.expect("an answer");
        let deleted = DeleteTopicsResponse::from_bytes(&bytes, delete_version).expect("decodes");
        assert_eq!(deleted.responses[0].error_code, 0, "{deleted:?}");
        let bytes = node.send(ApiKey::DeleteTopics, delete_version, &deleting);
        let bytes = bytes.expect("an answer");
        let gone = DeleteTopicsResponse::from_bytes(&bytes, delete_version).expect("decodes");
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(gone.responses[0].error_code, unknown, "{gone:?}");
    }
}

#[test]
fn a_topic_is_seen_in_every_version() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "seen");
    for version in 0..=13 {
        let topic = MetadataRequestTopic { name: Some("seen"), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let bytes = node.send(ApiKey::Metadata, version, &request).expect("an answer");
        let response = MetadataResponse::from_bytes(&bytes, version).expect("decodes");
        assert_eq!(response.topics[0].partitions.len(), 2, "v{version}");
        assert_eq!(response.topics[0].partitions[0].leader_id, 1);
    }
    for version in 1..=11 {
        for timestamp in [-1, -2, 0] {
            let partition = ListOffsetsPartition { timestamp, ..Default::default() };
            let topic = ListOffsetsTopic {
                name: "seen",
                partitions: vec![partition],
                ..Default::default()
            };
            let request =
                ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
            let bytes = node.send(ApiKey::ListOffsets, version, &request).expect("an answer");
            let response = ListOffsetsResponse::from_bytes(&bytes, version).expect("decodes");
            assert_eq!(response.topics[0].partitions[0].error_code, 0, "v{version}");
        }
    }
}

fn retention(node: &mut Node, version: i16) -> (String, i8) {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: "configured",
        configuration_keys: Some(vec!["retention.ms"]),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::DescribeConfigs, version, &request).expect("an answer");
    let response = DescribeConfigsResponse::from_bytes(&bytes, version).expect("decodes");
    assert_eq!(response.results[0].error_code, 0, "v{version}: {response:?}");
    let config = &response.results[0].configs[0];
    (config.value.unwrap_or_default().to_owned(), config.config_source)
}

#[test]
fn a_configuration_is_described_with_its_source_and_replaced() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "configured");
    for version in 1..=4 {
        assert_eq!(retention(&mut node, version), ("99000".to_owned(), 1));
    }
    for version in 0..=2 {
        let value = format!("{}", 5_000 + version);
        for configs in [
            vec![AlterableConfig {
                name: "retention.ms",
                value: Some(&value),
                ..Default::default()
            }],
            Vec::new(),
        ] {
            let is_set = !configs.is_empty();
            let resource = AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: "configured",
                configs,
                ..Default::default()
            };
            let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
            let bytes = node.send(ApiKey::AlterConfigs, version, &request).expect("an answer");
            let response = AlterConfigsResponse::from_bytes(&bytes, version).expect("decodes");
            assert_eq!(response.responses[0].error_code, 0, "v{version}: {response:?}");
            let expected = if is_set { (value.clone(), 1) } else { ("604800000".to_owned(), 5) };
            assert_eq!(retention(&mut node, 4), expected);
        }
    }
}

#[test]
fn two_who_ask_first_for_a_topic_get_the_same_one() {
    let mut node = Node::start(MemoryDisk::default());
    let topic = MetadataRequestTopic { name: Some("asked"), ..Default::default() };
    let internal = MetadataRequestTopic { name: Some("__consumer_offsets"), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic, internal]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    node.send_times(2, ApiKey::Metadata, 12, &request);
    let answers = [(); 2].map(|()| node.answer(ApiKey::Metadata, 12).expect("an answer"));
    let [first, second] = answers.each_ref().map(|bytes| {
        let response = MetadataResponse::from_bytes(bytes, 12).expect("decodes");
        let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, ErrorCode::UnknownTopicOrPartition.code()]);
        response.topics[0].topic_id
    });
    assert_eq!(first, second);
}

/// What the checkpoints say of the old log, its start above all, must not cut the new one.
#[test]
fn a_topic_made_again_keeps_its_records_through_a_kill() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic_with(&mut node, "again", &[]);
    let topic = Topic { name: "again", id: topic_id(&mut node, "again") };
    for _ in 0..10 {
        produce(&mut node, 12, topic, &[(0, &batch(Codec::None, b"old"))]);
    }
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 7, ..Default::default() };
    let wanted =
        DeleteRecordsTopic { name: "again", partitions: vec![partition], ..Default::default() };
    let request =
        DeleteRecordsRequest { topics: vec![wanted], timeout_ms: 1000, ..Default::default() };
    node.send(ApiKey::DeleteRecords, 2, &request).expect("an answer");
    (0..3).for_each(|_| node.wait(61_000));
    delete_topic(&mut node, "again");
    create_topic_with(&mut node, "again", &[]);
    let topic = Topic { name: "again", id: topic_id(&mut node, "again") };
    for offset in 0..3 {
        let new = batch(Codec::None, b"new");
        assert_eq!(produce(&mut node, 12, topic, &[(0, &new)])[0].base_offset, offset);
    }
    let mut node = Node::start(node.kill());
    let got = fetch(&mut node, 12, topic, &fetch_request(topic, &[(0, 0)]));
    assert_eq!(got.parts[0].values, [b"new", b"new", b"new"]);
}
