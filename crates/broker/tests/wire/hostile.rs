//! Requests that would harm the node if it did as it is told.

use strom_protocol::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use strom_protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use strom_protocol::describe_configs_response::DescribeConfigsResponse;
use strom_protocol::describe_groups_request::DescribeGroupsRequest;
use strom_protocol::describe_groups_response::DescribeGroupsResponse;
use strom_protocol::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use strom_protocol::describe_producers_response::DescribeProducersResponse;
use strom_protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use strom_protocol::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};
use strom_storage::disk::{DirectoryId, DiskPath};

use crate::exchange::{Topic, batch, produce};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::produce::with_topic;
use crate::topics::{create_topic, create_topic_with};

const GROUP: i8 = 32;
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[test]
fn nobody_writes_into_the_metadata_log() {
    let mut node = Node::start(MemoryDisk::default());
    let log = DiskPath {
        directory: DirectoryId(0),
        path: "__cluster_metadata-0/00000000000000000000.log".into(),
    };
    let before = node.disk.files[&log].clone();
    let topic = MetadataRequestTopic { name: Some("__cluster_metadata"), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::Metadata, 9, &request).expect("an answer");
    let response = MetadataResponse::from_bytes(&bytes, 9).expect("decodes");
    assert_ne!(response.topics[0].error_code, 0);
    let topic = Topic { name: "__cluster_metadata", id: strom_base::Uuid::ONE };
    let bytes = batch(strom_protocol::compression::Codec::None, &[7; 2000]);
    for version in [12, 13] {
        assert_ne!(produce(&mut node, version, topic, &[(0, &bytes)])[0].error, 0);
    }
    let after = &node.disk.files[&log];
    assert_eq!(after.get(..before.len()), Some(before.as_slice()));
    if let Err((why, _)) = Node::try_start(node.kill(), &[]) {
        panic!("no restart: {why}");
    }
}

#[test]
fn a_value_does_not_grow_beyond_what_a_record_can_hold() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 5, "grown");
    let append = |node: &mut Node, from: usize| {
        let value: Vec<String> = (from..from + 3000).map(|broker| format!("{broker}:1")).collect();
        let value = value.join(",");
        let config = AlterableConfig {
            name: "leader.replication.throttled.replicas",
            config_operation: 2,
            value: Some(&value),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: "grown",
            configs: vec![config],
            ..Default::default()
        };
        let request =
            IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let bytes = node.send(ApiKey::IncrementalAlterConfigs, 1, &request).expect("an answer");
        let response = IncrementalAlterConfigsResponse::from_bytes(&bytes, 1).expect("decodes");
        ErrorCode::from_code(response.responses[0].error_code)
    };
    assert_eq!(append(&mut node, 0), ErrorCode::None);
    assert_eq!(append(&mut node, 100_000), ErrorCode::InvalidConfig);
    assert_eq!(append(&mut node, 200_000), ErrorCode::InvalidConfig);
}

fn earliest(node: &mut Node, topic: &str) -> i64 {
    let partition =
        ListOffsetsPartition { timestamp: -2, current_leader_epoch: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: topic, partitions: vec![partition], ..Default::default() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let bytes = node.send(ApiKey::ListOffsets, 5, &request).expect("an answer");
    ListOffsetsResponse::from_bytes(&bytes, 5).expect("decodes").topics[0].partitions[0].offset
}

#[test]
fn deleted_records_stay_deleted_on_a_topic_that_nobody_writes_to() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic_with(&mut node, "quiet", &[]);
    let topic = Topic { name: "quiet", id: topic_id(&mut node, "quiet") };
    let bytes = batch(strom_protocol::compression::Codec::None, b"value");
    for offset in 0..10 {
        assert_eq!(produce(&mut node, 12, topic, &[(0, &bytes)])[0].base_offset, offset);
    }
    (0..3).for_each(|_| node.wait(61_000));
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 7, ..Default::default() };
    let topic =
        DeleteRecordsTopic { name: "quiet", partitions: vec![partition], ..Default::default() };
    let request =
        DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    node.send(ApiKey::DeleteRecords, 2, &request).expect("an answer");
    assert_eq!(earliest(&mut node, "quiet"), 7);
    (0..30).for_each(|_| node.wait(60_000));
    let mut node = Node::start(node.kill());
    assert_eq!(earliest(&mut node, "quiet"), 7, "half an hour later, after kill -9");
}

fn answer_of(node: &mut Node, resources: Vec<DescribeConfigsResource<'_>>) -> Vec<u8> {
    let request = DescribeConfigsRequest {
        resources,
        include_synonyms: true,
        include_documentation: true,
        ..Default::default()
    };
    node.send(ApiKey::DescribeConfigs, 4, &request).expect("an answer")
}

#[test]
fn what_is_named_often_is_described_once() {
    let (mut node, topic) = with_topic("named");
    let sizes = [1, 2, 50].map(|count| {
        let wanted = MetadataRequestTopic { name: Some(topic.name), ..Default::default() };
        let topics = Some(vec![wanted; count]);
        let request = MetadataRequest { topics, ..Default::default() };
        let described = node.send(ApiKey::Metadata, 1, &request).expect("an answer").len();
        let resource =
            DescribeConfigsResource { resource_type: 4, resource_name: "1", ..Default::default() };
        let configs = answer_of(&mut node, vec![resource; count]).len();
        let request = DescribeGroupsRequest { groups: vec!["group"; count], ..Default::default() };
        let groups = node.send(ApiKey::DescribeGroups, 6, &request).expect("an answer").len();
        let partition_indexes = vec![0; count];
        let wanted = TopicRequest { name: topic.name, partition_indexes, ..Default::default() };
        let request = DescribeProducersRequest { topics: vec![wanted], ..Default::default() };
        let bytes = node.send(ApiKey::DescribeProducers, 0, &request).expect("an answer");
        let response = DescribeProducersResponse::from_bytes(&bytes, 0).expect("decodes");
        assert_eq!(response.topics[0].partitions.len(), 1);
        [described, configs, groups]
    });
    assert_eq!(sizes, [sizes[0]; 3]);
}

#[test]
fn many_names_do_not_make_an_answer_without_end() {
    let mut node = Node::start(MemoryDisk::default());
    let names: Vec<String> = (0..60_000).map(|index| format!("{index:x}")).collect();
    let resource = |name| DescribeConfigsResource {
        resource_type: GROUP,
        resource_name: name,
        ..Default::default()
    };
    let bytes = answer_of(&mut node, names.iter().map(|name| resource(name)).collect());
    assert!(bytes.len() < ANSWER_BYTES_MAX, "{}", bytes.len());
    let response = DescribeConfigsResponse::from_bytes(&bytes, 4).expect("decodes");
    assert_eq!(response.results.len(), names.len());
    let described = response.results.iter().take_while(|result| result.error_code == 0).count();
    assert!((1000..names.len()).contains(&described), "{described}");
    let rest = response.results.iter().skip(described);
    let too_large = ErrorCode::InvalidRequest.code();
    assert!(rest.into_iter().all(|it| it.error_code == too_large && it.configs.is_empty()));

    let groups: Vec<&str> = names.iter().map(String::as_str).collect();
    let request = DescribeGroupsRequest { groups, ..Default::default() };
    let bytes = node.send(ApiKey::DescribeGroups, 6, &request).expect("an answer");
    let response = DescribeGroupsResponse::from_bytes(&bytes, 6).expect("decodes");
    assert_eq!(response.groups.len(), names.len());
    let many: Vec<String> = (0..100_001).map(|index| format!("{index:x}")).collect();
    let groups = many.iter().map(String::as_str).collect();
    let request = DescribeGroupsRequest { groups, ..Default::default() };
    let reason = node.refusal(ApiKey::DescribeGroups, 6, &request);
    assert!(reason.contains("100000 groups"), "{reason}");
}

#[test]
fn a_partition_named_twice_is_not_looked_up() {
    let (mut node, topic) = with_topic("looked");
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -2,
        current_leader_epoch: -1,
        ..Default::default()
    };
    let partitions = vec![partition(0), partition(1), partition(0)];
    let topic = ListOffsetsTopic { name: topic.name, partitions, ..Default::default() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let bytes = node.send(ApiKey::ListOffsets, 5, &request).expect("an answer");
    let response = ListOffsetsResponse::from_bytes(&bytes, 5).expect("decodes");
    let codes: Vec<i16> = response.topics[0].partitions.iter().map(|it| it.error_code).collect();
    let twice = ErrorCode::InvalidRequest.code();
    assert_eq!(codes, [twice, 0, twice]);
}

#[test]
fn the_bombs_of_one_request_do_not_all_go_off() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic_with(&mut node, "compact", &[("cleanup.policy", "compact")]);
    let topic = Topic { name: "compact", id: topic_id(&mut node, "compact") };
    let small = batch(strom_protocol::compression::Codec::Zstd, &[7; 1000]);
    let bomb = batch(strom_protocol::compression::Codec::Zstd, &vec![0; 15 << 20]);
    assert!(bomb.len() < 2000);
    // One partition, named often: what is refused is refused for what came before it.
    let errors = |node: &mut Node, batch: &[u8], times: usize| {
        let told = produce(node, 12, topic, &vec![(0, batch); times]);
        told.iter().map(|it| ErrorCode::from_code(it.error)).collect::<Vec<_>>()
    };
    assert_eq!(errors(&mut node, &small, 50), [ErrorCode::None; 50]);
    let refused = [ErrorCode::InvalidRecord; 49];
    let expected = [&[ErrorCode::None], refused.as_slice()].concat();
    assert_eq!(errors(&mut node, &bomb, 50), expected);
    // Another request has its own.
    assert_eq!(errors(&mut node, &bomb, 1), [ErrorCode::None]);
}
