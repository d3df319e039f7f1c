//! Who may join, who is a member, and when a member is one no longer.

use strom_coordinator::request::{JoinProtocol, JoinRequest, LeavingMember};
use strom_coordinator::{ErrorCode, GroupConfig, Request};

use crate::world::{GROUP, READS_T1, World, join, old_join, sync};

#[test]
fn a_member_proves_that_it_got_its_id_before_it_is_one() {
    let mut world = World::new(GroupConfig::default());
    let member_id = world.new_member_id();
    assert!(member_id.starts_with("client-") && member_id.len() == 7 + 36, "{member_id}");
    assert_eq!(world.describe().state, "Empty");
    assert_eq!(world.log.len(), 1, "the empty group is stored");

    let request = world.send(&Request::Join(join(&member_id)));
    assert!(!world.is_answered(request));
    world.advance(3_000);
    let joined = world.joined(request);
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 1));
    assert_eq!((&joined.leader, &joined.member_id), (&member_id, &member_id));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, READS_T1);
}

#[test]
fn an_old_client_joins_at_once() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    assert_eq!(world.heartbeat(&joined.member_id, 1), ErrorCode::None);
}

#[test]
fn an_id_that_is_never_used_is_forgotten() {
    let mut world = World::new(GroupConfig::default());
    let member_id = world.new_member_id();
    world.advance(10_001);
    let request = world.send(&Request::Join(join(&member_id)));
    assert_eq!(world.joined(request).error, ErrorCode::UnknownMemberId);
}

#[test]
fn joins_that_make_no_sense_are_refused() {
    let mut world = World::prompt();
    let mut refusal = |request: JoinRequest<'_>| {
        let request = world.send(&Request::Join(request));
        world.joined(request).error
    };
    assert_eq!(refusal(JoinRequest { group_id: "", ..join("") }), ErrorCode::InvalidGroupId);
    let short = JoinRequest { session_timeout_ms: 5_999, ..join("") };
    assert_eq!(refusal(short), ErrorCode::InvalidSessionTimeout);
    let long = JoinRequest { session_timeout_ms: 1_800_001, ..join("") };
    assert_eq!(refusal(long), ErrorCode::InvalidSessionTimeout);
    assert_eq!(refusal(join("stranger")), ErrorCode::UnknownMemberId);
    let mute = JoinRequest { protocols: Vec::new(), ..join("") };
    assert_eq!(refusal(mute), ErrorCode::InconsistentGroupProtocol);
    let untyped = JoinRequest { protocol_type: "", ..join("") };
    assert_eq!(refusal(untyped), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn all_members_speak_one_protocol() {
    let mut world = World::prompt();
    let first = world.stable_group(old_join());
    let of_another_kind = JoinRequest { protocol_type: "connect", ..old_join() };
    let request = world.send(&Request::Join(of_another_kind));
    assert_eq!(world.joined(request).error, ErrorCode::InconsistentGroupProtocol);
    let other = JoinProtocol { name: "sticky", metadata: READS_T1 };
    let request = world.send(&Request::Join(JoinRequest { protocols: vec![other], ..old_join() }));
    assert_eq!(world.joined(request).error, ErrorCode::InconsistentGroupProtocol);
    let both = vec![other, JoinProtocol { name: "range", metadata: READS_T1 }];
    let request = world.send(&Request::Join(JoinRequest { protocols: both, ..old_join() }));
    world.send(&Request::Join(join(&first.member_id)));
    assert_eq!(world.joined(request).protocol_name.as_deref(), Some("range"));
}

#[test]
fn most_votes_choose_the_protocol() {
    let mut world = World::new(GroupConfig::default());
    let protocol = |name| JoinProtocol { name, metadata: READS_T1 };
    let range_first = vec![protocol("range"), protocol("sticky"), protocol("alone")];
    let sticky_first = vec![protocol("sticky"), protocol("range")];
    let mut requests = Vec::new();
    for protocols in [range_first, sticky_first.clone(), sticky_first] {
        requests.push(world.send(&Request::Join(JoinRequest { protocols, ..old_join() })));
    }
    world.advance(9_000);
    for request in requests {
        assert_eq!(world.joined(request).protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn a_full_group_takes_nobody_in() {
    let config =
        GroupConfig { group_max_size: 1, initial_rebalance_delay_ms: 0, ..Default::default() };
    let mut world = World::new(config);
    let first = world.stable_group(old_join());
    let request = world.send(&Request::Join(old_join()));
    assert_eq!(world.joined(request).error, ErrorCode::GroupMaxSizeReached);
    let request = world.send(&Request::Join(join(&first.member_id)));
    assert_eq!(world.joined(request).generation_id, 2);
}

#[test]
fn heartbeats_are_checked_member_first_then_generation() {
    let mut world = World::prompt();
    assert_eq!(world.heartbeat("nobody", 1), ErrorCode::UnknownMemberId);
    let joined = world.stable_group(old_join());
    assert_eq!(world.heartbeat("nobody", 9), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&joined.member_id, 2), ErrorCode::IllegalGeneration);
    assert_eq!(world.heartbeat(&joined.member_id, 1), ErrorCode::None);
}

#[test]
fn a_silent_member_is_removed_and_heartbeats_keep_it() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    for _ in 0..5 {
        world.advance(9_000);
        assert_eq!(world.heartbeat(&joined.member_id, 1), ErrorCode::None);
    }
    world.advance(10_000);
    assert_eq!(world.describe().state, "Empty");
    assert_eq!(world.heartbeat(&joined.member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn leaving_is_answered_member_by_member() {
    let mut world = World::prompt();
    let stranger = LeavingMember { member_id: "stranger", group_instance_id: None };
    let left = world.leave(vec![stranger]);
    assert_eq!((left.error, left.members[0].error), (ErrorCode::None, ErrorCode::UnknownMemberId));
    let joined = world.stable_group(old_join());
    let member = LeavingMember { member_id: &joined.member_id, group_instance_id: None };
    let nobody = LeavingMember { member_id: "", group_instance_id: Some("instance") };
    let left = world.leave(vec![stranger, member, nobody]);
    let errors: Vec<ErrorCode> = left.members.iter().map(|member| member.error).collect();
    assert_eq!(errors, [ErrorCode::UnknownMemberId, ErrorCode::None, ErrorCode::UnknownMemberId]);
    assert_eq!(world.describe().state, "Empty");
    let mut request = sync(&joined, &joined.member_id, &[]);
    request.group_id = GROUP;
    let request = world.send(&Request::Sync(request));
    assert_eq!(world.synced(request).error, ErrorCode::UnknownMemberId);
}
