//! Listing, describing and deleting groups, as an administrator sees them.

use strom_coordinator::request::{DescribeGroupsRequest, ListGroupsRequest};
use strom_coordinator::{ErrorCode, Request, Response};

use crate::world::{GROUP, READS_T1, World, commit, old_join};

fn list(world: &mut World, states: &[&str], types: &[&str]) -> Vec<(String, String, String)> {
    let request = ListGroupsRequest { states: states.to_vec(), types: types.to_vec() };
    let Response::ListGroups(listed) = world.ask(&Request::ListGroups(request)) else {
        panic!("not a list");
    };
    assert_eq!(listed.error, ErrorCode::None);
    let groups = listed.groups.into_iter();
    groups.map(|one| (one.group_id, one.protocol_type, one.state.to_owned())).collect()
}

fn delete(world: &mut World, group_ids: &[&str]) -> Vec<ErrorCode> {
    match world.ask(&Request::DeleteGroups(group_ids.to_vec())) {
        Response::DeleteGroups(groups) => groups.iter().map(|group| group.error).collect(),
        other => panic!("not a delete: {other:?}"),
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut world = World::prompt();
    world.stable_group(old_join());
    let mut simple = commit("", -1, 1);
    simple.group_id = "simple";
    world.commit_error(simple);
    let stable = (GROUP.to_owned(), "consumer".to_owned(), "Stable".to_owned());
    let empty = ("simple".to_owned(), String::new(), "Empty".to_owned());
    assert_eq!(list(&mut world, &[], &[]), [stable.clone(), empty.clone()]);
    assert_eq!(list(&mut world, &["stable"], &["Classic"]), [stable]);
    assert_eq!(list(&mut world, &["EMPTY", "dead"], &[]), [empty]);
    assert_eq!(list(&mut world, &[], &["consumer"]), []);
    assert_eq!(list(&mut world, &[], &["nonsense"]), []);
}

#[test]
fn a_stable_group_is_described_whole() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    let described = world.describe();
    assert_eq!((described.state, described.protocol.as_str()), ("Stable", "range"));
    assert_eq!(described.protocol_type, "consumer");
    let member = &described.members[0];
    assert_eq!(member.member_id, joined.member_id);
    assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("client", "/127.0.0.1"));
    assert_eq!((&member.metadata[..], &member.assignment[..]), (READS_T1, &b"A"[..]));
}

#[test]
fn a_missing_group_is_dead_or_since_version_6_an_error() {
    let mut world = World::prompt();
    let mut describe = |version| {
        let request = DescribeGroupsRequest { version, group_ids: vec!["none"] };
        match world.ask(&Request::DescribeGroups(request)) {
            Response::DescribeGroups(mut groups) => groups.remove(0),
            other => panic!("not a description: {other:?}"),
        }
    };
    let old = describe(5);
    assert_eq!((old.error, old.error_message, old.state), (ErrorCode::None, None, "Dead"));
    let new = describe(6);
    assert_eq!((new.error, new.state), (ErrorCode::GroupIdNotFound, "Dead"));
    assert_eq!(new.error_message.as_deref(), Some("Group none not found."));
}

#[test]
fn only_empty_groups_are_deleted_and_with_their_offsets() {
    let mut world = World::prompt();
    let joined = world.stable_group(old_join());
    world.commit_error(commit(&joined.member_id, 1, 1));
    assert_eq!(
        delete(&mut world, &["none", GROUP]),
        [ErrorCode::GroupIdNotFound, ErrorCode::NonEmptyGroup]
    );
    world.advance(10_000);
    assert_eq!(delete(&mut world, &[GROUP]), [ErrorCode::None]);
    assert_eq!(world.describe().state, "Dead");
    let mut restarted = world.restarted();
    assert_eq!(restarted.describe().state, "Dead");
    assert!(restarted.offsets().is_empty());
    assert_eq!(delete(&mut world, &[]), []);
}

#[test]
fn a_group_is_there_until_its_deletion_is_committed() {
    let mut world = World::prompt();
    world.commit_error(commit("", -1, 1));
    world.commits = false;
    let deletion = world.send(&Request::DeleteGroups(vec![GROUP, "none"]));
    assert!(!world.is_answered(deletion));
    assert_eq!(world.describe().state, "Empty");
    world.fail_next(ErrorCode::NotLeaderOrFollower);
    match world.answer(deletion) {
        Response::DeleteGroups(groups) => assert_eq!(groups[0].error, ErrorCode::NotCoordinator),
        other => panic!("not a delete: {other:?}"),
    }
    assert_eq!(world.offsets().len(), 1);
    world.commits = true;
    assert_eq!(world.commit_error(commit("", -1, 2)), ErrorCode::None);
}
