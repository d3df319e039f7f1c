//! Wishes for other replicas: what a node that is alone can say to them.

use strom_protocol::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use strom_protocol::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
use strom_protocol::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use strom_protocol::list_partition_reassignments_response::ListPartitionReassignmentsResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::create_topic;

/// Error and text for each partition, by topic, in the order of the answer.
type Told = Vec<(String, Vec<(i32, i16, Option<String>)>)>;

/// A partition's index and the replicas that are wished for it.
type Wish<'a> = (i32, Option<&'a [i32]>);

fn alter(node: &mut Node, version: i16, topics: &[(&str, &[Wish<'_>])]) -> Told {
    let topics = topics.iter().map(|(name, wishes)| ReassignableTopic {
        name,
        partitions: wishes
            .iter()
            .map(|(partition_index, replicas)| ReassignablePartition {
                partition_index: *partition_index,
                replicas: replicas.map(<[i32]>::to_vec),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    let request = AlterPartitionReassignmentsRequest {
        topics: topics.collect(),
        allow_replication_factor_change: true,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::AlterPartitionReassignments, version, &request);
    let bytes = bytes.expect("an answer");
    let answer = AlterPartitionReassignmentsResponse::from_bytes(&bytes, version).expect("decodes");
    assert_eq!((answer.error_code, answer.error_message), (0, None), "v{version}");
    assert!(answer.allow_replication_factor_change, "v{version}");
    let told = answer.responses.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let text = partition.error_message.map(str::to_owned);
            (partition.partition_index, partition.error_code, text)
        });
        (topic.name.to_owned(), partitions.collect())
    });
    told.collect()
}

#[test]
fn every_partition_is_told_by_its_name_what_becomes_of_its_wish() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "first");
    create_topic(&mut node, 7, "second");
    for version in 0..=1 {
        // Where it is already: nothing is to be done.
        let stays = Some([1].as_slice());
        let told =
            alter(&mut node, version, &[("second", &[(1, stays)]), ("first", &[(0, stays)])]);
        let expected =
            [("second".to_owned(), vec![(1, 0, None)]), ("first".to_owned(), vec![(0, 0, None)])];
        assert_eq!(told, expected, "v{version}");
        let wishes: [(Wish<'_>, ErrorCode, &str); 6] = [
            ((9, stays), ErrorCode::UnknownTopicOrPartition, ""),
            ((0, None), ErrorCode::NoReassignmentInProgress, "No partition reassignment"),
            ((0, Some(&[])), ErrorCode::InvalidReplicaAssignment, "an empty replica list"),
            ((0, Some(&[1, 1])), ErrorCode::InvalidReplicaAssignment, "broker 1 more than once"),
            ((0, Some(&[1, 7])), ErrorCode::InvalidReplicaAssignment, "broker 7, but no such"),
            ((0, Some(&[7])), ErrorCode::InvalidReplicaAssignment, "broker 7, but no such"),
        ];
        for (wish, error, text) in wishes {
            let told = alter(&mut node, version, &[("first", &[wish])]);
            let [(name, partitions)] = told.as_slice() else { panic!("one topic: {told:?}") };
            let [(index, code, message)] = partitions.as_slice() else { panic!("{told:?}") };
            assert_eq!((name.as_str(), *index, *code), ("first", wish.0, error.code()));
            assert!(message.as_deref().is_some_and(|it| it.contains(text)), "{message:?}");
        }
        let told = alter(&mut node, version, &[("nobody", &[(0, stays)])]);
        assert_eq!(told[0].1[0].1, ErrorCode::UnknownTopicOrPartition.code(), "v{version}");
    }
}

#[test]
fn nothing_is_on_the_move() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "resting");
    let topic = |name| ListPartitionReassignmentsTopics {
        name,
        partition_indexes: vec![0, 1, 9],
        ..Default::default()
    };
    for topics in [None, Some(vec![topic("resting"), topic("nobody")])] {
        let request = ListPartitionReassignmentsRequest { topics, ..Default::default() };
        let bytes = node.send(ApiKey::ListPartitionReassignments, 0, &request).expect("an answer");
        let listed = ListPartitionReassignmentsResponse::from_bytes(&bytes, 0).expect("decodes");
        assert_eq!((listed.error_code, listed.topics), (0, vec![]));
    }
}
