//! A log directory that fails: what clients are told of it is what Apache Kafka 4.3.1 told of a
//! directory that was taken away from it.

use strom_protocol::compression::Codec;
use strom_protocol::describe_log_dirs_request::DescribeLogDirsRequest;
use strom_protocol::describe_log_dirs_response::DescribeLogDirsResponse;
use strom_protocol::find_coordinator_request::FindCoordinatorRequest;
use strom_protocol::find_coordinator_response::FindCoordinatorResponse;
use strom_protocol::heartbeat_request::HeartbeatRequest;
use strom_protocol::heartbeat_response::HeartbeatResponse;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::{ApiKey, Message};
use strom_storage::disk::DirectoryId;

use crate::exchange::{Topic, batch, fetch, fetch_request, produce};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::{create_topic, delete_topic};

const TWO: [(&str, &str); 1] = [("log.dirs", "a,b")];
const OTHER: DirectoryId = DirectoryId(1);
const STORAGE_ERROR: i16 = 56;
const NOT_LEADER: i16 = 6;

fn start(disk: MemoryDisk) -> Node {
    Node::try_start(disk, &TWO).unwrap_or_else(|it| panic!("{}", it.0))
}

/// A node of two directories, a topic with a partition in each, one record in both.
fn spread() -> (Node, Topic<'static>) {
    let mut node = start(MemoryDisk::default());
    create_topic(&mut node, 7, "spread");
    let topic = Topic { name: "spread", id: topic_id(&mut node, "spread") };
    assert_eq!(errors(&mut node, topic), [0, 0]);
    (node, topic)
}

/// Of a produce to each partition.
fn errors(node: &mut Node, topic: Topic<'_>) -> Vec<i16> {
    let bytes = batch(Codec::None, b"value");
    produce(node, 9, topic, &[(0, &bytes), (1, &bytes)]).iter().map(|it| it.error).collect()
}

fn fetched(node: &mut Node, topic: Topic<'_>) -> Vec<(i16, usize)> {
    let fetched = fetch(node, 12, topic, &fetch_request(topic, &[(0, 0), (1, 0)]));
    fetched.parts.iter().map(|part| (part.error, part.values.len())).collect()
}

fn listed(node: &mut Node, name: &str) -> Vec<(i16, i64)> {
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp: -1,
        ..Default::default()
    };
    let partitions = vec![partition(0), partition(1)];
    let topics = vec![ListOffsetsTopic { name, partitions, ..Default::default() }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let bytes = node.send(ApiKey::ListOffsets, 5, &request).expect("an answer");
    let response = ListOffsetsResponse::from_bytes(&bytes, 5).expect("decodes");
    response.topics[0].partitions.iter().map(|it| (it.error_code, it.offset)).collect()
}

/// Of each partition of a topic: error, leader, leader's epoch, in sync, offline.
type Led = (i16, i32, i32, Vec<i32>, Vec<i32>);

fn led(node: &mut Node, name: &str) -> Vec<Led> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let bytes = node.send(ApiKey::Metadata, 8, &request).expect("an answer");
    let response = MetadataResponse::from_bytes(&bytes, 8).expect("decodes");
    let topic = response.topics.iter().find(|it| it.name == Some(name)).expect("the topic");
    let told = topic.partitions.iter().map(|it| {
        let (isr, offline) = (it.isr_nodes.clone(), it.offline_replicas.clone());
        (it.error_code, it.leader_id, it.leader_epoch, isr, offline)
    });
    told.collect()
}

/// Error and topics of each log directory.
fn directories(node: &mut Node) -> Vec<(i16, Vec<String>)> {
    let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
    let bytes = node.send(ApiKey::DescribeLogDirs, 4, &request).expect("an answer");
    let response = DescribeLogDirsResponse::from_bytes(&bytes, 4).expect("decodes");
    let topics = |it: &strom_protocol::describe_log_dirs_response::DescribeLogDirsResult<'_>| {
        it.topics.iter().map(|topic| topic.name.to_owned()).collect()
    };
    response.results.iter().map(|it| (it.error_code, topics(it))).collect()
}

fn well(epoch: i32) -> Led {
    (0, 1, epoch, vec![1], vec![])
}

fn gone(epoch: i32) -> Led {
    (5, -1, epoch, vec![], vec![1])
}

#[test]
fn a_directory_that_fails_takes_its_partitions_along_and_no_others_until_the_next_start() {
    let (mut node, topic) = spread();
    node.disk.failing = Some(OTHER);
    assert_eq!(errors(&mut node, topic), [0, STORAGE_ERROR], "found by the write");
    assert_eq!(errors(&mut node, topic), [0, STORAGE_ERROR], "known");
    assert_eq!(fetched(&mut node, topic), [(0, 3), (STORAGE_ERROR, 0)]);
    assert_eq!(listed(&mut node, "spread"), [(0, 3), (STORAGE_ERROR, -1)]);
    assert_eq!(led(&mut node, "spread"), [well(0), gone(1)]);
    assert_eq!(directories(&mut node), [(0, vec!["spread".to_owned()]), (STORAGE_ERROR, vec![])]);
    create_topic(&mut node, 7, "later");
    let later = Topic { name: "later", id: topic_id(&mut node, "later") };
    assert_eq!(errors(&mut node, later), [0, 0], "all of it is in the other directory");
    node.wait(10_000);
    assert_eq!(node.halted, None);
    for is_clean in [true, false] {
        // The directory is well again.
        node = start(if is_clean { node.stop() } else { node.kill() });
        assert_eq!(led(&mut node, "spread"), [well(0), well(2)]);
        assert_eq!(errors(&mut node, topic), [0, 0]);
        assert_eq!(errors(&mut node, later), [0, 0]);
    }
    assert_eq!(fetched(&mut node, topic), [(0, 5), (0, 3)], "nothing that was refused");
}

#[test]
fn a_start_goes_on_without_a_directory_that_cannot_be_read() {
    let (node, topic) = spread();
    let mut disk = node.kill();
    disk.failing = Some(OTHER);
    let mut node = start(disk);
    assert!(matches!(&node.notices[..], [it] if it.contains("b has failed")), "{:?}", node.notices);
    assert_eq!(led(&mut node, "spread"), [well(0), gone(1)]);
    // As Apache Kafka says it of what it did not open.
    assert_eq!(errors(&mut node, topic), [0, NOT_LEADER]);
    assert_eq!(fetched(&mut node, topic), [(0, 2), (NOT_LEADER, 0)]);
    assert_eq!(directories(&mut node)[1], (STORAGE_ERROR, vec![]));
    let mut node = start(node.stop());
    assert_eq!(led(&mut node, "spread"), [well(0), well(2)]);
    assert_eq!(errors(&mut node, topic), [0, 0]);
    assert_eq!(fetched(&mut node, topic), [(0, 3), (0, 2)]);
}

#[test]
fn a_partition_is_not_made_anew_where_its_directory_is_replaced() {
    let (node, topic) = spread();
    let mut disk = node.stop();
    disk.empty(OTHER);
    let mut node = start(disk);
    assert_eq!(led(&mut node, "spread"), [well(0), gone(1)]);
    assert_eq!(errors(&mut node, topic), [0, NOT_LEADER]);
    let told = directories(&mut node);
    assert_eq!(told[1], (0, vec![]), "the new directory itself is well");
}

#[test]
fn a_topic_goes_and_comes_again_while_a_directory_is_away() {
    let (mut node, topic) = spread();
    node.disk.failing = Some(OTHER);
    assert_eq!(errors(&mut node, topic), [0, STORAGE_ERROR]);
    delete_topic(&mut node, "spread");
    create_topic(&mut node, 7, "spread");
    let again = Topic { name: "spread", id: topic_id(&mut node, "spread") };
    assert_eq!(errors(&mut node, again), [0, 0]);
    let mut node = start(node.kill());
    assert_eq!(fetched(&mut node, again), [(0, 1), (0, 1)]);
    let is_stray = |it: &&strom_storage::disk::DiskPath| it.path.contains("-stray/");
    assert!(node.disk.files.keys().any(|it| is_stray(&it)), "the old one is set aside");
}

#[test]
fn without_the_metadata_log_or_any_directory_the_node_stops() {
    let (mut node, topic) = spread();
    node.disk.failing = Some(DirectoryId(0));
    let bytes = batch(Codec::None, b"value");
    node.send(ApiKey::Produce, 9, &crate::exchange::produce_request(topic, &[(0, &bytes)]));
    let reason = node.halted.take().expect("a halt");
    assert!(reason.contains("the metadata log is there"), "{reason}");
}

#[test]
fn groups_of_a_failed_directory_have_no_coordinator() {
    let (mut node, topic) = spread();
    let groups = ["g0", "g1", "g2", "g3", "g4", "g5"];
    let before = groups.map(|group| coordinator(&mut node, group));
    assert_eq!(before, [(0, 0); 6].map(|(error, _)| (error, 25)), "they are here");
    node.disk.failing = Some(OTHER);
    assert_eq!(errors(&mut node, topic), [0, STORAGE_ERROR]);
    let after = groups.map(|group| coordinator(&mut node, group));
    assert!(after.contains(&(15, 16)) && after.contains(&(0, 25)), "{after:?}");
    assert!(after.iter().all(|it| [(15, 16), (0, 25)].contains(it)), "{after:?}");
    let mut node = start(node.kill());
    assert_eq!(groups.map(|group| coordinator(&mut node, group)), before);
}

/// What a client is told that looks for its coordinator, and what a member of the group that nobody
/// knows is.
fn coordinator(node: &mut Node, group: &str) -> (i16, i16) {
    let request = FindCoordinatorRequest { key: group, ..Default::default() };
    let bytes = node.send(ApiKey::FindCoordinator, 3, &request).expect("an answer");
    let found = FindCoordinatorResponse::from_bytes(&bytes, 3).expect("decodes");
    if found.error_code == 0 {
        assert_eq!((found.node_id, found.host, found.port), (1, "127.0.0.1", 9092));
    }
    let found = found.error_code;
    let request = HeartbeatRequest { group_id: group, member_id: "nobody", ..Default::default() };
    let bytes = node.send(ApiKey::Heartbeat, 3, &request).expect("an answer");
    (found, HeartbeatResponse::from_bytes(&bytes, 3).expect("decodes").error_code)
}
