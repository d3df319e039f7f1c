//! Static members (KIP-345): an instance keeps its place under changing member ids.

use strom_coordinator::request::{HeartbeatRequest, JoinProtocol, JoinRequest, LeavingMember};
use strom_coordinator::{ErrorCode, Request, Response};

use crate::world::{GROUP, READS_T1, World, join, old_join, static_join, sync};

#[test]
fn a_restarted_instance_keeps_its_assignment_without_a_rebalance() {
    let mut world = World::prompt();
    let old = world.stable_group(static_join("i1"));
    assert!(old.member_id.starts_with("i1-"));
    let stored = world.log.len();
    let request = world.send(&Request::Join(static_join("i1")));
    let new = world.joined(request);
    assert_eq!((new.error, new.generation_id), (ErrorCode::None, 1));
    assert_ne!(new.member_id, old.member_id);
    // An old client must believe that it follows, or it would assign again.
    assert_eq!((&new.leader, new.skip_assignment), (&old.member_id, false));
    assert_eq!(world.log.len(), stored + 1);
    let request = world.send(&Request::Sync(sync(&new, &new.member_id, &[])));
    assert_eq!(world.synced(request).assignment, &b"A"[..]);
}

#[test]
fn a_restarted_leader_of_version_9_is_told_to_skip_the_assignment() {
    let mut world = World::prompt();
    world.stable_group(static_join("i1"));
    let request = world.send(&Request::Join(JoinRequest { version: 9, ..static_join("i1") }));
    let new = world.joined(request);
    assert_eq!((&new.leader, new.skip_assignment), (&new.member_id, true));
    assert_eq!(new.members.len(), 1);
}

#[test]
fn whoever_uses_the_old_id_is_fenced() {
    let mut world = World::prompt();
    let old = world.stable_group(static_join("i1"));
    let request = world.send(&Request::Join(static_join("i1")));
    let new = world.joined(request);
    let heartbeat = HeartbeatRequest {
        group_id: GROUP,
        generation_id: 1,
        member_id: &old.member_id,
        group_instance_id: Some("i1"),
    };
    let fenced = Response::Heartbeat(ErrorCode::FencedInstanceId);
    assert_eq!(world.ask(&Request::Heartbeat(heartbeat)), fenced);
    assert_eq!(world.heartbeat(&old.member_id, 1), ErrorCode::UnknownMemberId);
    let rejoin = JoinRequest { group_instance_id: Some("i1"), ..join(&old.member_id) };
    let request = world.send(&Request::Join(rejoin));
    assert_eq!(world.joined(request).error, ErrorCode::FencedInstanceId);
    assert_eq!(world.heartbeat(&new.member_id, 1), ErrorCode::None);
}

#[test]
fn a_restarted_instance_with_another_protocol_causes_a_rebalance() {
    let mut world = World::prompt();
    let protocol = |name| JoinProtocol { name, metadata: READS_T1 };
    let both = vec![protocol("range"), protocol("sticky")];
    world.stable_group(JoinRequest { protocols: both, ..static_join("i1") });
    let changed = JoinRequest { protocols: vec![protocol("sticky")], ..static_join("i1") };
    let request = world.send(&Request::Join(changed));
    let joined = world.joined(request);
    assert_eq!((joined.generation_id, joined.protocol_name.as_deref()), (2, Some("sticky")));
}

#[test]
fn an_instance_that_restarts_during_a_rebalance_fences_its_own_waiting_join() {
    let mut world = World::prompt();
    let first = world.stable_group(old_join());
    let waiting = world.send(&Request::Join(static_join("i2")));
    let again = world.send(&Request::Join(static_join("i2")));
    assert_eq!(world.joined(waiting).error, ErrorCode::FencedInstanceId);
    let leading = world.send(&Request::Join(join(&first.member_id)));
    assert_eq!(world.joined(again).generation_id, 2);
    assert_eq!(world.joined(leading).members.len(), 2);
}

#[test]
fn an_absent_instance_stays_in_the_group_until_its_session_ends() {
    let mut world = World::prompt();
    let away = JoinRequest { session_timeout_ms: 300_000, ..static_join("i1") };
    let first = world.stable_group(away);
    let second = world.send(&Request::Join(old_join()));
    world.advance(60_000);
    let joined = world.joined(second);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    assert_eq!(&joined.leader, &joined.member_id, "who is there leads");
    let left = world.leave(vec![LeavingMember { member_id: "", group_instance_id: Some("i1") }]);
    assert_eq!(left.members[0].error, ErrorCode::None);
    assert_eq!(world.heartbeat(&first.member_id, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn a_replacement_that_cannot_be_stored_is_taken_back() {
    let mut world = World::prompt();
    let old = world.stable_group(static_join("i1"));
    world.commits = false;
    let request = world.send(&Request::Join(static_join("i1")));
    assert!(!world.is_answered(request));
    world.fail_next(ErrorCode::NotEnoughReplicas);
    let refused = world.joined(request);
    assert_eq!(
        (refused.error, refused.member_id.as_str()),
        (ErrorCode::CoordinatorNotAvailable, "")
    );
    assert_eq!(world.heartbeat(&old.member_id, 1), ErrorCode::None);
}
