//! The invariants of a classic group, each by name.

use std::collections::BTreeMap;

use super::group::ClassicGroup;
use super::state::State;
use crate::ReplyToken;

impl ClassicGroup {
    pub(crate) fn check(&self) {
        self.check_counts_and_indexes();
        self.check_leader_is_a_member();
        self.check_state_fits_members();
    }

    /// The requests that members wait with.
    pub(crate) fn waiting(&self, waiting: &mut Vec<ReplyToken>) {
        for member in self.members.values() {
            waiting.extend(member.awaiting_join.into_iter().chain(member.awaiting_sync));
        }
    }

    fn check_counts_and_indexes(&self) {
        let joins = self.members.values().filter(|member| member.is_awaiting_join()).count();
        assert_eq!(joins, self.awaiting_join_count, "joins that wait are miscounted");
        let mut supported: BTreeMap<String, usize> = BTreeMap::new();
        let mut static_count = 0;
        for (member_id, member) in &self.members {
            assert_eq!(*member_id, member.member_id, "a member stands under another's id");
            for protocol in &member.protocols {
                *supported.entry(protocol.name.clone()).or_default() += 1;
            }
            if let Some(instance_id) = &member.group_instance_id {
                static_count += 1;
                assert_eq!(self.static_members.get(instance_id), Some(member_id));
            }
        }
        assert_eq!(supported, self.supported, "protocols are miscounted");
        assert_eq!(static_count, self.static_members.len(), "instance ids without members");
        let pending_are_members = self.pending_join.iter().any(|id| self.members.contains_key(id));
        assert!(!pending_are_members, "a member is pending");
        let synced_are_members = self.pending_sync.iter().all(|id| self.members.contains_key(id));
        assert!(synced_are_members, "a stranger is to sync");
    }

    fn check_leader_is_a_member(&self) {
        match &self.leader {
            Some(leader) => assert!(self.members.contains_key(leader), "the leader is a stranger"),
            None => assert!(self.members.is_empty(), "nobody leads"),
        }
    }

    fn check_state_fits_members(&self) {
        assert_ne!(self.state, State::Dead, "a dead group lives");
        if self.state == State::Empty {
            assert!(self.members.is_empty(), "an empty group has members");
        }
        if self.state != State::PreparingRebalance {
            assert!(self.initial_delay.is_none(), "an initial rebalance goes on");
        }
        for member in self.members.values() {
            if member.awaiting_sync.is_some() {
                assert_eq!(self.state, State::CompletingRebalance, "a sync waits for nothing");
            }
        }
    }
}
