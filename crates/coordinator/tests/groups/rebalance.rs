//! From generation to generation.

use strom_coordinator::request::{JoinProtocol, JoinRequest, LeavingMember};
use strom_coordinator::response::JoinResponse;
use strom_coordinator::{ErrorCode, GroupConfig, Request};

use crate::world::{World, commit, join, old_join, sync};

/// Two members, both joined in the same generation, none synced.
fn two_members(world: &mut World) -> (JoinResponse, JoinResponse) {
    let first = world.stable_group(old_join());
    let second = world.send(&Request::Join(old_join()));
    assert_eq!(world.heartbeat(&first.member_id, 1), ErrorCode::RebalanceInProgress);
    assert!(!world.is_answered(second), "it waits for the first");
    let again = world.send(&Request::Join(join(&first.member_id)));
    (world.joined(again), world.joined(second))
}

#[test]
fn the_first_members_are_awaited_as_long_as_more_come() {
    let mut world = World::new(GroupConfig::default());
    let mut requests = vec![world.send(&Request::Join(old_join()))];
    for _ in 0..3 {
        world.advance(2_000);
        requests.push(world.send(&Request::Join(old_join())));
    }
    // Joins at 0, 2, 4 and 6 s put the end off to 3, 6 and then 9 s.
    assert!(!world.is_answered(requests[0]));
    world.advance(2_999);
    assert!(!world.is_answered(requests[0]));
    world.advance(3_001);
    let members = world.joined(requests[0]).members.len();
    assert_eq!(members, 4);
    for request in &requests[1..] {
        let joined = world.joined(*request);
        assert_eq!((joined.generation_id, joined.members.len()), (1, 0));
    }
}

#[test]
fn the_initial_delay_ends_with_the_rebalance_timeout() {
    let mut world = World::new(GroupConfig::default());
    let hurried = JoinRequest { rebalance_timeout_ms: 5_000, ..old_join() };
    let first = world.send(&Request::Join(hurried.clone()));
    world.advance(2_900);
    world.send(&Request::Join(hurried.clone()));
    world.advance(2_000);
    world.send(&Request::Join(hurried));
    world.advance(100);
    assert!(world.is_answered(first), "3 s, then the 2 s that were left");
}

#[test]
fn everybody_gets_the_assignment_once_the_leader_has_given_it() {
    let mut world = World::prompt();
    let (leader, follower) = two_members(&mut world);
    assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    assert_eq!(follower.leader, leader.member_id);
    let waiting = world.send(&Request::Sync(sync(&follower, &follower.member_id, &[])));
    assert!(!world.is_answered(waiting));
    assert_eq!(world.describe().state, "CompletingRebalance");
    let assignments: [(&str, &[u8]); 2] = [(&leader.member_id, b"L"), (&follower.member_id, b"F")];
    let request = world.send(&Request::Sync(sync(&leader, &leader.member_id, &assignments)));
    assert_eq!(world.synced(request).assignment, &b"L"[..]);
    let synced = world.synced(waiting);
    assert_eq!(synced.assignment, &b"F"[..]);
    assert_eq!(synced.protocol_name.as_deref(), Some("range"));
    assert_eq!(world.describe().state, "Stable");
    let again = world.send(&Request::Sync(sync(&follower, &follower.member_id, &[])));
    assert_eq!(world.synced(again).assignment, &b"F"[..]);
}

#[test]
fn a_sync_is_checked_in_kafkas_order() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    let mut refusal = |change: &dyn Fn(&mut strom_coordinator::request::SyncRequest<'_>)| {
        let mut request = sync(&joined, &joined.member_id, &[]);
        change(&mut request);
        let request = world.send(&Request::Sync(request));
        world.synced(request).error
    };
    assert_eq!(refusal(&|request| request.group_id = ""), ErrorCode::InvalidGroupId);
    assert_eq!(refusal(&|request| request.group_id = "none"), ErrorCode::UnknownMemberId);
    assert_eq!(refusal(&|request| request.member_id = "none"), ErrorCode::UnknownMemberId);
    assert_eq!(refusal(&|request| request.generation_id = 9), ErrorCode::IllegalGeneration);
    let other = ErrorCode::InconsistentGroupProtocol;
    assert_eq!(refusal(&|request| request.protocol_type = Some("connect")), other);
    assert_eq!(refusal(&|request| request.protocol_name = Some("sticky")), other);
    assert_eq!(refusal(&|request| request.protocol_name = Some("range")), ErrorCode::None);
}

#[test]
fn a_member_that_does_not_rejoin_is_left_behind() {
    let mut world = World::prompt();
    let patient = JoinRequest { session_timeout_ms: 100_000, ..old_join() };
    let first = world.stable_group(patient.clone());
    let second = world.send(&Request::Join(patient));
    world.advance(59_999);
    assert!(!world.is_answered(second));
    world.advance(1);
    let joined = world.joined(second);
    assert_eq!((joined.generation_id, &joined.leader), (2, &joined.member_id));
    assert_eq!(world.heartbeat(&first.member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_does_not_sync_is_left_behind() {
    let mut world = World::prompt();
    let (leader, follower) = two_members(&mut world);
    let request = world.send(&Request::Sync(sync(&leader, &leader.member_id, &[])));
    assert_eq!(world.synced(request).error, ErrorCode::None);
    for _ in 0..11 {
        world.advance(5_000);
        world.heartbeat(&leader.member_id, 2);
        world.heartbeat(&follower.member_id, 2);
    }
    assert_eq!(world.heartbeat(&follower.member_id, 2), ErrorCode::None);
    world.advance(5_000);
    assert_eq!(world.heartbeat(&follower.member_id, 2), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&leader.member_id, 2), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_newcomer_sends_those_who_wait_for_an_assignment_back_to_join() {
    let mut world = World::prompt();
    let (_, follower) = two_members(&mut world);
    let waiting = world.send(&Request::Sync(sync(&follower, &follower.member_id, &[])));
    world.send(&Request::Join(old_join()));
    assert_eq!(world.synced(waiting).error, ErrorCode::RebalanceInProgress);
    let late = world.send(&Request::Sync(sync(&follower, &follower.member_id, &[])));
    assert_eq!(world.synced(late).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn a_follower_that_rejoins_unchanged_disturbs_nobody_and_a_leader_does() {
    let mut world = World::prompt();
    let (leader, follower) = two_members(&mut world);
    let lost_answer = world.send(&Request::Join(join(&leader.member_id)));
    assert_eq!(world.joined(lost_answer).members.len(), 2);
    world.send(&Request::Sync(sync(&leader, &leader.member_id, &[])));
    let again = world.send(&Request::Join(join(&follower.member_id)));
    let again = world.joined(again);
    assert_eq!((again.generation_id, again.leader), (2, leader.member_id.clone()));
    let changed = JoinProtocol { name: "range", metadata: b"\0\0" };
    let changed = JoinRequest { protocols: vec![changed], ..join(&follower.member_id) };
    let changed = world.send(&Request::Join(changed));
    assert!(!world.is_answered(changed));
    let leading = world.send(&Request::Join(join(&leader.member_id)));
    assert_eq!(world.joined(changed).generation_id, 3);
    assert_eq!(world.joined(leading).generation_id, 3);
}

#[test]
fn the_last_absent_member_leaving_lets_the_others_go_on() {
    let mut world = World::prompt();
    let first = world.stable_group(old_join());
    let second = world.send(&Request::Join(old_join()));
    world.leave(vec![LeavingMember { member_id: &first.member_id, group_instance_id: None }]);
    let joined = world.joined(second);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
}

#[test]
fn a_join_that_is_sent_again_takes_the_place_of_the_first() {
    let mut world = World::prompt();
    let first = world.stable_group(old_join());
    world.send(&Request::Join(old_join()));
    let (leader, _) = (world.new_member_id(), ());
    let lost = world.send(&Request::Join(join(&leader)));
    let again = world.send(&Request::Join(join(&leader)));
    assert_eq!(world.joined(lost).error, ErrorCode::RebalanceInProgress);
    world.send(&Request::Join(join(&first.member_id)));
    assert_eq!(world.joined(again).generation_id, 2);
}

#[test]
fn offsets_cannot_be_committed_between_join_and_sync() {
    let mut world = World::prompt();
    let (leader, _) = two_members(&mut world);
    let error = world.commit_error(commit(&leader.member_id, 2, 1));
    assert_eq!(error, ErrorCode::RebalanceInProgress);
    let error = world.commit_error(commit(&leader.member_id, 1, 1));
    assert_eq!(error, ErrorCode::IllegalGeneration);
    let error = world.commit_error(commit("", -1, 1));
    assert_eq!(error, ErrorCode::UnknownMemberId);
}
