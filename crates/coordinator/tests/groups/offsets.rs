//! Committed offsets: who may commit, what is read, when it ends.

use strom_base::Uuid;
use strom_coordinator::request::{
    CommitPartition, DeleteTopic, FetchGroup, FetchTopic, JoinRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest,
};
use strom_coordinator::response::OffsetDeleteResponse;
use strom_coordinator::{ErrorCode, GroupConfig, Request, Response};

use crate::world::{GROUP, World, commit, old_join};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn delete_offsets(world: &mut World, topic: &str) -> OffsetDeleteResponse {
    let topics = vec![DeleteTopic { name: topic, partitions: vec![0, 7] }];
    match world.ask(&Request::OffsetDelete(OffsetDeleteRequest { group_id: GROUP, topics })) {
        Response::OffsetDelete(response) => response,
        other => panic!("not a delete: {other:?}"),
    }
}

#[test]
fn anybody_may_commit_for_a_group_without_members() {
    let mut world = World::prompt();
    assert_eq!(world.commit_error(commit("", -1, 42)), ErrorCode::None);
    assert_eq!(world.offsets(), [("t1".to_owned(), 0, 42)]);
    assert_eq!(world.describe().state, "Empty");
    let old = OffsetCommitRequest { group_id: "none", version: 8, ..commit("m", 1, 1) };
    assert_eq!(world.commit_error(old), ErrorCode::IllegalGeneration);
    let new = OffsetCommitRequest { group_id: "none", version: 9, ..commit("m", 1, 1) };
    assert_eq!(world.commit_error(new), ErrorCode::GroupIdNotFound);
    let nameless = OffsetCommitRequest { group_id: "", ..commit("", -1, 1) };
    assert_eq!(world.commit_error(nameless), ErrorCode::None);
}

#[test]
fn only_members_commit_while_there_are_any_and_that_keeps_them_alive() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    assert_eq!(world.commit_error(commit("", -1, 1)), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit_error(commit("other", 1, 1)), ErrorCode::UnknownMemberId);
    for generation_id in [2, -1] {
        let error = world.commit_error(commit(&joined.member_id, generation_id, 1));
        assert_eq!(error, ErrorCode::IllegalGeneration, "a member says its generation");
    }
    assert_eq!(world.commit_error(commit("", 1, 1)), ErrorCode::UnknownMemberId);
    for offset in 0..5 {
        world.advance(9_000);
        assert_eq!(world.commit_error(commit(&joined.member_id, 1, offset)), ErrorCode::None);
    }
    assert_eq!(world.describe().state, "Stable");
}

#[test]
fn metadata_has_a_limit_and_costs_only_its_own_partition() {
    let mut world = World::prompt();
    let fits = "é".repeat(4_096);
    let long = "é".repeat(4_097);
    let mut request = commit("", -1, 1);
    request.topics[0].partitions = [(0, &long), (1, &fits)]
        .map(|(partition, text)| CommitPartition {
            partition,
            offset: 5,
            leader_epoch: 3,
            metadata: Some(text),
        })
        .to_vec();
    assert_eq!(world.commit_error(request), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(world.offsets(), [("t1".to_owned(), 1, 5)]);
}

#[test]
fn what_is_not_committed_reads_as_minus_one() {
    let mut world = World::prompt();
    world.commit_error(commit("", -1, 42));
    let topics = vec![
        FetchTopic { name: "t1", topic_id: Uuid::ZERO, partitions: vec![1, 0] },
        FetchTopic { name: "t2", topic_id: Uuid::ONE, partitions: vec![0] },
    ];
    let groups = vec![
        FetchGroup { group_id: "none", topics: Some(topics.clone()) },
        FetchGroup { group_id: GROUP, topics: Some(topics) },
        FetchGroup { group_id: "none", topics: None },
    ];
    let request = OffsetFetchRequest { require_stable: true, groups };
    let Response::OffsetFetch(fetched) = world.ask(&Request::OffsetFetch(request)) else {
        panic!("not a fetch");
    };
    let ids: Vec<&str> = fetched.iter().map(|group| group.group_id.as_str()).collect();
    assert_eq!(ids, ["none", GROUP, "none"]);
    let offsets = |group: usize, topic: usize| -> Vec<i64> {
        let partitions = fetched[group].topics[topic].partitions.iter();
        partitions.map(|partition| partition.offset).collect()
    };
    assert_eq!(
        (offsets(0, 0), offsets(1, 0), offsets(1, 1)),
        (vec![-1, -1], vec![-1, 42], vec![-1])
    );
    assert_eq!(fetched[2].topics.len(), 0);
}

#[test]
fn an_offset_of_an_earlier_topic_of_that_name_is_not_found() {
    let mut world = World::prompt();
    let mut request = commit("", -1, 42);
    request.topics[0].topic_id = Uuid::ONE;
    world.commit_error(request);
    let mut read = |topic_id| {
        let topics = vec![FetchTopic { name: "t1", topic_id, partitions: vec![0] }];
        let groups = vec![FetchGroup { group_id: GROUP, topics: Some(topics) }];
        let request = OffsetFetchRequest { require_stable: false, groups };
        match world.ask(&Request::OffsetFetch(request)) {
            Response::OffsetFetch(groups) => groups[0].topics[0].partitions[0].offset,
            other => panic!("not a fetch: {other:?}"),
        }
    };
    assert_eq!(read(Uuid::ONE), 42);
    assert_eq!(read(Uuid::ZERO), 42);
    assert_eq!(read(Uuid([9; 16])), -1);
}

#[test]
fn a_plain_read_sees_what_is_committed_and_a_stable_one_waits() {
    let mut world = World::prompt();
    world.commit_error(commit("", -1, 1));
    world.commits = false;
    let commits = world.send(&Request::OffsetCommit(commit("", -1, 2)));
    assert_eq!(world.offsets(), [("t1".to_owned(), 0, 1)]);
    let groups = vec![FetchGroup { group_id: GROUP, topics: None }];
    let stable = OffsetFetchRequest { require_stable: true, groups };
    let stable = world.send(&Request::OffsetFetch(stable));
    assert!(!world.is_answered(commits) && !world.is_answered(stable));
    world.commit_next();
    assert!(world.is_answered(commits));
    match world.answer(stable) {
        Response::OffsetFetch(groups) => assert_eq!(groups[0].topics[0].partitions[0].offset, 2),
        other => panic!("not a fetch: {other:?}"),
    }
}

#[test]
fn offsets_of_topics_that_are_read_cannot_be_deleted() {
    let mut world = World::prompt();
    assert_eq!(delete_offsets(&mut world, "t1").error, ErrorCode::GroupIdNotFound);
    let joined = world.stable_group(old_join());
    world.commit_error(commit(&joined.member_id, 1, 1));
    let refused = delete_offsets(&mut world, "t1");
    assert_eq!(refused.topics[0].partitions[1].error, ErrorCode::GroupSubscribedToTopic);
    assert_eq!(delete_offsets(&mut world, "t2").topics[0].partitions[0].error, ErrorCode::None);
    world.advance(10_000);
    let stored = world.log.len();
    assert_eq!(delete_offsets(&mut world, "t1").topics[0].partitions[0].error, ErrorCode::None);
    assert_eq!(world.log.len(), stored + 1, "one tombstone");
    assert_eq!(world.offsets(), []);
}

/// Of members that do not say what they read nobody knows that they do not read a topic.
#[test]
fn offsets_of_a_group_of_another_kind_are_deleted_once_it_is_empty() {
    let mut world = World::prompt();
    let joined = world.stable_group(JoinRequest { protocol_type: "connect", ..old_join() });
    world.commit_error(commit(&joined.member_id, 1, 1));
    assert_eq!(delete_offsets(&mut world, "t2").error, ErrorCode::NonEmptyGroup);
    world.advance(10_000);
    assert_eq!(delete_offsets(&mut world, "t1").error, ErrorCode::None);
    assert_eq!(world.offsets(), []);
}

#[test]
fn offsets_expire_when_the_group_has_been_empty_for_long() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    world.commit_error(commit(&joined.member_id, 1, 1));
    for _ in 0..(8 * 24 * 60 * 10) {
        world.advance(6_000);
        world.heartbeat(&joined.member_id, 1);
    }
    assert_eq!(world.offsets().len(), 1, "old, but the topic is being read");
    world.advance(10_000 + 7 * DAY_MS - 600_000);
    assert_eq!(world.describe().state, "Empty");
    assert_eq!(world.offsets().len(), 1);
    world.advance(1_200_000);
    assert_eq!(world.offsets().len(), 0);
    assert_eq!(world.describe().state, "Dead", "nothing was left of the group");
    assert!(world.restarted().offsets().is_empty());
}

#[test]
fn offsets_of_simple_consumers_expire_one_by_one() {
    let mut world = World::prompt();
    world.commit_error(commit("", -1, 1));
    let retention = OffsetCommitRequest { retention_time_ms: 1_000, ..commit("", -1, 1) };
    let mut brief = retention;
    brief.topics[0].name = "t2";
    world.commit_error(brief);
    world.advance(6 * DAY_MS);
    assert_eq!(world.offsets(), [("t1".to_owned(), 0, 1)]);
    let mut late = commit("", -1, 1);
    late.topics[0].name = "t3";
    world.commit_error(late);
    world.advance(DAY_MS + 600_000);
    assert_eq!(world.offsets(), [("t3".to_owned(), 0, 1)]);
}

#[test]
fn offsets_go_with_their_topics() {
    let mut world = World::new(GroupConfig::default());
    world.commit_error(commit("", -1, 1));
    let mut other = commit("", -1, 2);
    other.topics[0].name = "t2";
    world.commit_error(other);
    let mut out = Vec::new();
    world.coordinator.on_topics_deleted(world.now, &["t1", "t9"], &mut out);
    world.take(out);
    assert_eq!(world.offsets(), [("t2".to_owned(), 0, 2)]);
}
