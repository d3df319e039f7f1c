//! What outlives a node, and what waits for its records.

use strom_coordinator::request::ListGroupsRequest;
use strom_coordinator::{
    Effect, ErrorCode, GroupConfig, GroupCoordinator, ReplayError, ReplyToken, Request, Response,
    ShardId,
};

use crate::world::{GROUP, SHARD, World, commit, join, old_join, sync};

#[test]
fn a_group_survives_a_change_of_coordinator() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    world.commit_error(commit(&joined.member_id, 1, 9));
    let mut restarted = world.restarted();
    assert_eq!(restarted.describe(), world.describe());
    assert_eq!(restarted.offsets(), world.offsets());
    restarted.advance(9_999);
    assert_eq!(restarted.heartbeat(&joined.member_id, 1), ErrorCode::None);
    let request = restarted.send(&Request::Sync(sync(&joined, &joined.member_id, &[])));
    assert_eq!(restarted.synced(request).assignment, &b"A"[..]);
    let delete = restarted.delete_error();
    assert_eq!(delete, ErrorCode::GroupSubscribedToTopic);
}

impl World {
    fn delete_error(&mut self) -> ErrorCode {
        use strom_coordinator::request::{DeleteTopic, OffsetDeleteRequest};
        let topics = vec![DeleteTopic { name: "t1", partitions: vec![0] }];
        match self.ask(&Request::OffsetDelete(OffsetDeleteRequest { group_id: GROUP, topics })) {
            Response::OffsetDelete(response) => response.topics[0].partitions[0].error,
            other => panic!("not a delete: {other:?}"),
        }
    }
}

#[test]
fn replies_wait_for_their_records() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    world.commits = false;
    let committed = world.send(&Request::OffsetCommit(commit(&joined.member_id, 1, 9)));
    assert!(!world.is_answered(committed));
    assert_eq!(world.heartbeat(&joined.member_id, 1), ErrorCode::None);
    world.commit_next();
    assert!(world.is_answered(committed));
    let again = world.send(&Request::Join(join(&joined.member_id)));
    let joined = world.joined(again);
    let waiting = world.send(&Request::Sync(sync(&joined, &joined.member_id, &[])));
    assert_eq!(world.describe().state, "CompletingRebalance");
    assert!(!world.is_answered(waiting));
    world.commit_next();
    assert_eq!(world.synced(waiting).error, ErrorCode::None);
}

#[test]
fn a_failed_append_is_taken_back_and_told_in_kafkas_words() {
    let told = [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::UnknownTopicOrPartition, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
        (ErrorCode::InvalidProducerEpoch, ErrorCode::InvalidProducerEpoch),
    ];
    for (cause, error) in told {
        let mut world = World::prompt();
        world.commits = false;
        let request = world.send(&Request::OffsetCommit(commit("", -1, 9)));
        world.fail_next(cause);
        match world.answer(request) {
            Response::OffsetCommit(topics) => assert_eq!(topics[0].partitions[0].error, error),
            other => panic!("not a commit: {other:?}"),
        }
        assert_eq!(world.describe().state, "Dead", "the group came with the offset");
    }
}

#[test]
fn an_assignment_that_cannot_be_stored_is_asked_for_again() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    let again = world.send(&Request::Join(join(&joined.member_id)));
    let joined = world.joined(again);
    world.commits = false;
    let waiting = world.send(&Request::Sync(sync(&joined, &joined.member_id, &[])));
    world.fail_next(ErrorCode::NotEnoughReplicas);
    assert_eq!(world.synced(waiting).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(world.heartbeat(&joined.member_id, 2), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_group_whose_first_record_fails_never_was() {
    let mut world = World::new(GroupConfig::default());
    world.commits = false;
    let first = world.send(&Request::Join(old_join()));
    let second = world.send(&Request::Join(old_join()));
    world.fail_next(ErrorCode::NotEnoughReplicas);
    assert_eq!(world.joined(first).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(world.joined(second).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(world.describe().state, "Dead");
    world.advance(60_000);
}

#[test]
fn offsets_committed_meanwhile_keep_a_group_whose_first_record_failed() {
    let mut world = World::new(GroupConfig::default());
    world.commits = false;
    world.new_member_id();
    let committed = world.send(&Request::OffsetCommit(commit("", -1, 9)));
    world.fail_next(ErrorCode::NotEnoughReplicas);
    world.commit_next();
    assert!(world.is_answered(committed));
    assert_eq!(world.offsets().len(), 1);
    assert_eq!(world.restarted().offsets().len(), 1);
}

#[test]
fn a_group_whose_deletion_fails_is_itself_again_whatever_was_committed_meanwhile() {
    let mut world = World::prompt();
    world.stable_group(old_join());
    world.advance(10_000);
    let before = world.describe();
    world.commits = false;
    world.send(&Request::DeleteGroups(vec![GROUP]));
    world.send(&Request::OffsetCommit(commit("", -1, 9)));
    world.fail_next(ErrorCode::NotEnoughReplicas);
    world.commit_next();
    assert_eq!((before.state, before.protocol_type.as_str()), ("Empty", "consumer"));
    assert_eq!(world.describe(), before);
    assert_eq!(world.restarted().describe(), before);
}

#[test]
fn nobody_waits_longer_than_the_commit_timeout_though_the_record_may_still_come() {
    let mut world = World::prompt();
    world.commits = false;
    let request = world.send(&Request::OffsetCommit(commit("", -1, 9)));
    world.advance(4_999);
    assert!(!world.is_answered(request));
    world.advance(1);
    match world.answer(request) {
        Response::OffsetCommit(topics) => {
            assert_eq!(topics[0].partitions[0].error, ErrorCode::CoordinatorNotAvailable);
        }
        other => panic!("not a commit: {other:?}"),
    }
    assert_eq!(world.fetch_all(true).error, ErrorCode::NotCoordinator, "nor for that to end");
    world.commit_next();
    assert_eq!(world.offsets().len(), 1);
}

#[test]
fn a_shard_answers_only_between_loading_and_resigning() {
    let mut world = World::prompt();
    let heartbeat = |world: &mut World| world.heartbeat("member", 1);
    world.commits = false;
    let joining = world.send(&Request::Join(old_join()));
    let committing = world.send(&Request::OffsetCommit(commit("", -1, 9)));
    let mut out = Vec::new();
    world.coordinator.on_resigned(ShardId { leader_epoch: 0, ..SHARD }, &mut out);
    assert!(out.is_empty(), "news of an older leadership");
    world.coordinator.on_resigned(ShardId { leader_epoch: 2, ..SHARD }, &mut out);
    world.take(out);
    assert_eq!(world.joined(joining).error, ErrorCode::NotCoordinator);
    assert!(world.is_answered(committing) || committing == 2);
    assert_eq!(heartbeat(&mut world), ErrorCode::NotCoordinator);
    assert_eq!(world.coordinator.next_deadline(), None);

    let later = ShardId { leader_epoch: 3, ..SHARD };
    world.coordinator.on_elected(later, &mut Vec::new());
    assert_eq!(heartbeat(&mut world), ErrorCode::None, "who knows");
    let refused = world.send(&Request::Join(old_join()));
    assert_eq!(world.joined(refused).error, ErrorCode::CoordinatorLoadInProgress);
    match world.ask(&Request::ListGroups(ListGroupsRequest::default())) {
        Response::ListGroups(listed) => {
            assert_eq!(listed.error, ErrorCode::CoordinatorLoadInProgress);
        }
        other => panic!("not a list: {other:?}"),
    }
    world.coordinator.on_loaded(world.now, SHARD, &mut Vec::new());
    let refused = world.send(&Request::Join(old_join()));
    assert_eq!(world.joined(refused).error, ErrorCode::CoordinatorLoadInProgress, "not that one");
    world.coordinator.on_loaded(world.now, later, &mut Vec::new());
    assert_eq!(heartbeat(&mut world), ErrorCode::UnknownMemberId);
}

#[test]
fn a_log_that_cannot_be_read_is_not_served() {
    let mut coordinator = GroupCoordinator::new(GroupConfig::default(), strom_base::Random::new(1));
    coordinator.set_partition_count(1);
    let mut out: Vec<Effect<Response>> = Vec::new();
    coordinator.on_elected(SHARD, &mut out);
    let key = b"\0\x02\0\x05group";
    let newer = coordinator.replay(SHARD, key, Some(b"\0\x05"));
    assert_eq!(newer, Err(ReplayError::UnknownValueVersion { kind: 2, version: 5 }));
    let torn = coordinator.replay(SHARD, key, Some(b"\0\x03\0"));
    assert!(matches!(torn, Err(ReplayError::Corrupt { kind: 2, .. })), "{torn:?}");
    assert!(coordinator.replay(SHARD, b"\0", None).is_err());
    assert_eq!(coordinator.replay(SHARD, b"\0\x63anything", Some(b"?")), Ok(()), "of the future");
    coordinator.on_resigned(SHARD, &mut out);
    let request = Request::DeleteGroups(vec!["a", "b"]);
    coordinator.handle(strom_base::Now::default(), ReplyToken::new(1), &request, &mut out);
    let [Effect::Reply { response: Response::DeleteGroups(groups), .. }] = out.as_slice() else {
        panic!("{out:?}");
    };
    assert!(groups.iter().all(|group| group.error == ErrorCode::NotCoordinator));
}
