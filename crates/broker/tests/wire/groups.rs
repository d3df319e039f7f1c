//! Groups in every version of their APIs, and what is left of them after a restart.

use strom_protocol::compression::Codec;
use strom_protocol::describe_groups_request::DescribeGroupsRequest;
use strom_protocol::describe_groups_response::DescribeGroupsResponse;
use strom_protocol::find_coordinator_request::FindCoordinatorRequest;
use strom_protocol::find_coordinator_response::FindCoordinatorResponse;
use strom_protocol::heartbeat_request::HeartbeatRequest;
use strom_protocol::heartbeat_response::HeartbeatResponse;
use strom_protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use strom_protocol::join_group_response::JoinGroupResponse;
use strom_protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use strom_protocol::leave_group_response::LeaveGroupResponse;
use strom_protocol::list_groups_request::ListGroupsRequest;
use strom_protocol::list_groups_response::ListGroupsResponse;
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use strom_protocol::offset_commit_response::OffsetCommitResponse;
use strom_protocol::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use strom_protocol::offset_fetch_response::OffsetFetchResponse;
use strom_protocol::records::batches;
use strom_protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use strom_protocol::sync_group_response::SyncGroupResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use strom_base::Uuid;

use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::create_topic;

const UNKNOWN_ID: Uuid = Uuid([9; 16]);

fn find(node: &mut Node, version: i16, group: &str) {
    let mut request = FindCoordinatorRequest::default();
    if version >= 4 {
        request.coordinator_keys.push(group);
    } else {
        request.key = group;
    }
    let bytes = node.send(ApiKey::FindCoordinator, version, &request).expect("an answer");
    let found = FindCoordinatorResponse::from_bytes(&bytes, version).expect("decodes");
    let (error, port) = match found.coordinators.first() {
        Some(found) => (found.error_code, found.port),
        None => (found.error_code, found.port),
    };
    assert_eq!((error, port), (0, 9092), "v{version}: {found:?}");
}

/// The member's id and generation.
fn join(node: &mut Node, version: i16, group: &str) -> (String, i32) {
    let mut member_id = String::new();
    loop {
        let protocol =
            JoinGroupRequestProtocol { name: "range", metadata: b"topics", ..Default::default() };
        let request = JoinGroupRequest {
            group_id: group,
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: if version >= 1 { 10_000 } else { -1 },
            member_id: &member_id,
            protocol_type: "consumer",
            protocols: vec![protocol],
            ..Default::default()
        };
        let bytes = node.send(ApiKey::JoinGroup, version, &request).or_else(|| {
            node.wait(1);
            node.answer(ApiKey::JoinGroup, version)
        });
        let bytes = bytes.expect("an answer");
        let joined = JoinGroupResponse::from_bytes(&bytes, version).expect("decodes");
        if joined.error_code == ErrorCode::MemberIdRequired.code() && member_id.is_empty() {
            member_id = joined.member_id.to_owned();
            continue;
        }
        assert_eq!(joined.error_code, 0, "v{version}: {joined:?}");
        assert_eq!((joined.leader, joined.protocol_name), (joined.member_id, Some("range")));
        assert_eq!(joined.members[0].metadata, b"topics");
        return (joined.member_id.to_owned(), joined.generation_id);
    }
}

fn sync_and_beat(
    node: &mut Node,
    version: i16,
    group: &str,
    (member_id, generation_id): (&str, i32),
) {
    let sync_version = version.min(5);
    let assignment =
        SyncGroupRequestAssignment { member_id, assignment: b"mine", ..Default::default() };
    let request = SyncGroupRequest {
        group_id: group,
        generation_id,
        member_id,
        protocol_type: Some("consumer").filter(|_| sync_version >= 5),
        protocol_name: Some("range").filter(|_| sync_version >= 5),
        assignments: vec![assignment],
        ..Default::default()
    };
    let bytes = node.send(ApiKey::SyncGroup, sync_version, &request).expect("an answer");
    let synced = SyncGroupResponse::from_bytes(&bytes, sync_version).expect("decodes");
    assert_eq!((synced.error_code, synced.assignment), (0, b"mine".as_slice()));
    let beat_version = version.min(4);
    let request =
        HeartbeatRequest { group_id: group, generation_id, member_id, ..Default::default() };
    let bytes = node.send(ApiKey::Heartbeat, beat_version, &request).expect("an answer");
    let beaten = HeartbeatResponse::from_bytes(&bytes, beat_version).expect("decodes");
    assert_eq!(beaten.error_code, 0, "v{beat_version}");
}

pub(crate) fn topic_id(node: &mut Node, name: &str) -> Uuid {
    let topic = MetadataRequestTopic { name: Some(name), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let bytes = node.send(ApiKey::Metadata, 13, &request).expect("an answer");
    MetadataResponse::from_bytes(&bytes, 13).expect("decodes").topics[0].topic_id
}

/// Commits for a partition that is there and one that is not.
fn commit(node: &mut Node, version: i16, group: &str, (member_id, generation): (&str, i32)) {
    let id = if version >= 10 { topic_id(node, "read") } else { Uuid::ZERO };
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 40 + i64::from(version),
        committed_metadata: Some("note"),
        ..Default::default()
    };
    let topic = |name, topic_id, partitions| OffsetCommitRequestTopic {
        name,
        topic_id,
        partitions,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: generation,
        member_id,
        topics: vec![
            topic("read", id, vec![partition(1), partition(9)]),
            topic("unknown", UNKNOWN_ID, vec![partition(0)]),
        ],
        ..Default::default()
    };
    let bytes = node.send(ApiKey::OffsetCommit, version, &request).expect("an answer");
    let committed = OffsetCommitResponse::from_bytes(&bytes, version).expect("decodes");
    let told: Vec<_> = committed
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|it| (it.partition_index, it.error_code)))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let unknown_id = if version >= 10 { ErrorCode::UnknownTopicId.code() } else { unknown };
    assert_eq!(told, [(9, unknown), (1, 0), (0, unknown_id)], "v{version}");
}

/// Offset and metadata of partition 1.
fn fetch(node: &mut Node, version: i16, group: &str) -> (i64, String) {
    let mut request = OffsetFetchRequest::default();
    if version >= 8 {
        let topic = OffsetFetchRequestTopics {
            name: "read",
            topic_id: if version >= 10 { topic_id(node, "read") } else { Uuid::ZERO },
            partition_indexes: vec![1],
            ..Default::default()
        };
        request.groups.push(OffsetFetchRequestGroup {
            group_id: group,
            topics: Some(vec![topic]),
            ..Default::default()
        });
    } else {
        request.group_id = group;
        request.topics = Some(vec![OffsetFetchRequestTopic {
            name: "read",
            partition_indexes: vec![1],
            ..Default::default()
        }]);
    }
    let bytes = node.send(ApiKey::OffsetFetch, version, &request).expect("an answer");
    let fetched = OffsetFetchResponse::from_bytes(&bytes, version).expect("decodes");
    if version >= 8 {
        assert_eq!(fetched.groups[0].error_code, 0, "v{version}");
        let partition = &fetched.groups[0].topics[0].partitions[0];
        return (partition.committed_offset, partition.metadata.unwrap_or_default().to_owned());
    }
    let partition = &fetched.topics[0].partitions[0];
    (partition.committed_offset, partition.metadata.unwrap_or_default().to_owned())
}

fn leave(node: &mut Node, version: i16, group: &str, member_id: &str) {
    let mut request = LeaveGroupRequest { group_id: group, ..Default::default() };
    if version >= 3 {
        request.members.push(MemberIdentity { member_id, ..Default::default() });
    } else {
        request.member_id = member_id;
    }
    let bytes = node.send(ApiKey::LeaveGroup, version, &request).expect("an answer");
    let left = LeaveGroupResponse::from_bytes(&bytes, version).expect("decodes");
    assert_eq!(left.error_code, 0, "v{version}");
    let told: Vec<_> = left.members.iter().map(|it| (it.member_id, it.error_code)).collect();
    assert_eq!(told, if version >= 3 { vec![(member_id, 0)] } else { vec![] }, "v{version}");
}

fn look_at(node: &mut Node, version: i16, group: &str, state: &str) {
    let describe_version = version.min(6);
    let request = DescribeGroupsRequest { groups: vec![group], ..Default::default() };
    let bytes = node.send(ApiKey::DescribeGroups, describe_version, &request).expect("an answer");
    let described = DescribeGroupsResponse::from_bytes(&bytes, describe_version).expect("decodes");
    let told = (described.groups[0].group_id, described.groups[0].group_state);
    assert_eq!(told, (group, state), "v{describe_version}");
    let list_version = version.min(5);
    let request = ListGroupsRequest::default();
    let bytes = node.send(ApiKey::ListGroups, list_version, &request).expect("an answer");
    let listed = ListGroupsResponse::from_bytes(&bytes, list_version).expect("decodes");
    assert!(listed.groups.iter().any(|it| it.group_id == group), "v{list_version}");
}

#[test]
fn a_group_lives_and_empties_in_every_version() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "read");
    for version in 0..=10 {
        let group = format!("group-{version}");
        find(&mut node, version.min(6), &group);
        let (member_id, generation) = join(&mut node, version.min(9), &group);
        sync_and_beat(&mut node, version, &group, (&member_id, generation));
        commit(&mut node, version.max(2), &group, (&member_id, generation));
        let expected = (40 + i64::from(version.max(2)), "note".to_owned());
        assert_eq!(fetch(&mut node, version.max(1), &group), expected, "v{version}");
        look_at(&mut node, version, &group, "Stable");
        leave(&mut node, version.min(5), &group, &member_id);
        look_at(&mut node, version, &group, "Empty");
    }
}

/// Since version 2 an error stands at the top; before, with each partition that was asked for.
#[test]
fn offsets_that_are_refused_are_told_where_the_version_has_a_place() {
    let mut node = Node::start(MemoryDisk::default());
    for version in 1..8 {
        let partition_indexes = vec![1, 2];
        let topic =
            OffsetFetchRequestTopic { name: "read", partition_indexes, ..Default::default() };
        let request = OffsetFetchRequest {
            // Nobody has asked for its coordinator: there is no place for its offsets yet.
            group_id: "early",
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let bytes = node.send(ApiKey::OffsetFetch, version, &request).expect("an answer");
        let told = OffsetFetchResponse::from_bytes(&bytes, version).expect("decodes");
        let partitions = told.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|it| (topic.name, it.partition_index, it.error_code))
        });
        let partitions: Vec<_> = partitions.collect();
        let refused = ErrorCode::NotCoordinator.code();
        let expected = if version < 2 {
            (0, vec![("read", 1, refused), ("read", 2, refused)])
        } else {
            (refused, vec![])
        };
        assert_eq!((told.error_code, partitions), expected, "v{version}");
    }
}

/// More than is read in one piece, in each partition of the offsets topic.
#[test]
fn groups_are_loaded_to_the_end_of_the_log() {
    const GROUPS: i32 = 900;
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "read");
    find(&mut node, 4, "first");
    let note = "n".repeat(4_096);
    for index in 0..GROUPS {
        let partition = OffsetCommitRequestPartition {
            partition_index: 1,
            committed_offset: i64::from(index),
            committed_metadata: Some(&note),
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: "read",
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: &format!("group-{index}"),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        node.send(ApiKey::OffsetCommit, 9, &request).expect("an answer");
    }
    let mut node = Node::start(node.stop());
    find(&mut node, 4, "first");
    for index in 0..GROUPS {
        let (offset, text) = fetch(&mut node, 9, &format!("group-{index}"));
        assert_eq!((offset, text.len()), (i64::from(index), note.len()));
    }
}

#[test]
fn committed_offsets_outlive_the_node() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "read");
    find(&mut node, 4, "lasting");
    commit(&mut node, 9, "lasting", ("", -1));
    let mut node = Node::start(node.stop());
    find(&mut node, 4, "lasting");
    assert_eq!(fetch(&mut node, 9, "lasting"), (49, "note".to_owned()));
    assert_eq!(fetch(&mut node, 9, "nobody"), (-1, String::new()));
}

#[test]
fn offsets_are_compressed_as_the_configuration_says() {
    for codec in Codec::ALL {
        let id = codec.id().to_string();
        let keys = [("offsets.topic.compression.codec", id.as_str())];
        let mut node = Node::with(&keys);
        create_topic(&mut node, 7, "read");
        find(&mut node, 4, "packed");
        commit(&mut node, 9, "packed", ("", -1));
        let disk = node.stop();
        let logs = disk.files.iter().filter(|(it, _)| {
            it.path.starts_with("__consumer_offsets-") && it.path.ends_with(".log")
        });
        let codecs: Vec<_> = logs
            .flat_map(|(_, bytes)| batches(bytes))
            .map(|batch| batch.expect("a batch").header.codec_id())
            .collect();
        assert_eq!(codecs, [codec.id()]);
        let mut node = Node::start_with(disk, &keys);
        find(&mut node, 4, "packed");
        assert_eq!(fetch(&mut node, 9, "packed"), (49, "note".to_owned()));
    }
}
