//! From one generation to the next: waiting for members to join, then for them to sync.

use std::sync::Arc;

use bytes::Bytes;

use super::group::InitialDelay;
use super::state::State;
use super::turn::{Turn, Write};
use crate::response::{JoinedMember, SyncResponse};
use crate::{ErrorCode, Response};

impl Turn<'_> {
    /// Starts a rebalance where the state allows it; else ends the one under way if it can end.
    pub(super) fn rebalance_or_complete_join(&mut self) -> Option<Write> {
        if self.group.state.may_become(State::PreparingRebalance) {
            self.prepare_rebalance()
        } else {
            self.complete_join_if_all_joined()
        }
    }

    /// Ends the join phase once everybody is there, but never an initial rebalance before its
    /// delay.
    pub(super) fn complete_join_if_all_joined(&mut self) -> Option<Write> {
        let waiting = self.group.state == State::PreparingRebalance
            && self.group.previous_state != State::Empty;
        if waiting && self.group.has_all_members_joined() { self.complete_join() } else { None }
    }

    pub(crate) fn prepare_rebalance(&mut self) -> Option<Write> {
        if self.group.state == State::CompletingRebalance {
            self.reset_assignments(ErrorCode::RebalanceInProgress);
        }
        self.stop_awaiting_sync();
        let is_initial = self.group.state == State::Empty;
        self.group.transition_to(self.now, State::PreparingRebalance);
        if is_initial {
            let delay_ms = self.config.initial_rebalance_delay_ms;
            let remaining_ms = self.group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.await_first_members(InitialDelay { delay_ms, remaining_ms });
            None
        } else if self.group.has_all_members_joined() {
            self.complete_join()
        } else {
            self.await_join();
            None
        }
    }

    fn await_first_members(&mut self, delay: InitialDelay) {
        self.group.initial_delay = Some(delay);
        self.schedule(self.join_timer(), delay.delay_ms);
    }

    fn await_join(&mut self) {
        // At least a moment, or members without a timeout would be awaited in a busy loop.
        self.schedule(self.join_timer(), self.group.rebalance_timeout_ms().max(1));
    }

    /// The join timer went off.
    pub(crate) fn on_join_deadline(&mut self) -> Option<Write> {
        if self.group.state != State::PreparingRebalance {
            return None;
        }
        if let Some(delay) = self.group.initial_delay
            && self.group.new_member_added
            && delay.remaining_ms != 0
        {
            self.group.new_member_added = false;
            let initial_ms = self.config.initial_rebalance_delay_ms;
            self.await_first_members(InitialDelay {
                delay_ms: initial_ms.min(delay.remaining_ms),
                remaining_ms: delay.remaining_ms.saturating_sub(delay.delay_ms).max(0),
            });
            return None;
        }
        self.complete_join()
    }

    /// Begins the next generation with who is there; without anybody, an empty one.
    pub(super) fn complete_join(&mut self) -> Option<Write> {
        self.timers.cancel(&self.join_timer());
        self.remove_absent_dynamic_members();
        if !self.group.elect_joined_leader() && !self.group.members.is_empty() {
            // Only static members are left and none has come: wait until their sessions end.
            self.group.initial_delay = None;
            self.await_join();
            return None;
        }
        self.group.initial_delay = None;
        self.group.new_member_added = false;
        self.group.init_next_generation(self.now);
        if self.group.state == State::Empty {
            return Some(Write::Emptied);
        }
        let ids: Vec<Arc<str>> = self.group.members.keys().cloned().collect();
        for member_id in ids {
            self.answer_join(&member_id);
        }
        self.schedule(self.sync_timer(), self.group.rebalance_timeout_ms());
        None
    }

    fn remove_absent_dynamic_members(&mut self) {
        let absent = self.group.members.values();
        let absent = absent.filter(|member| !member.is_awaiting_join() && !member.is_static());
        let absent: Vec<Arc<str>> = absent.map(|member| member.member_id.clone()).collect();
        for member_id in absent {
            let removed = self.group.remove(&member_id);
            self.dismiss(removed);
            self.cancel_session(&member_id);
        }
    }

    fn answer_join(&mut self, member_id: &Arc<str>) {
        if let Some(token) = self.group.take_join(member_id) {
            let mut response = self.joined(member_id);
            if self.group.is_leader(member_id) {
                response.members = self.members_for_leader();
            }
            self.reply_join(token, response);
        }
        self.renew_session(member_id);
        self.group.pending_sync.insert(member_id.clone());
        if let Some(member) = self.group.members.get_mut(member_id) {
            member.is_new = false;
        }
    }

    pub(super) fn members_for_leader(&self) -> Vec<JoinedMember> {
        let protocol_name = self.group.protocol_name.as_deref();
        let members = self.group.members.values();
        let members = members.map(|member| JoinedMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id_text(),
            metadata: member.metadata(protocol_name),
        });
        members.collect()
    }

    /// The sync timer went off: members that did not ask for their assignment are out.
    pub(crate) fn on_sync_deadline(&mut self) -> Option<Write> {
        let synced = matches!(self.group.state, State::CompletingRebalance | State::Stable);
        if !synced || self.group.pending_sync.is_empty() {
            return None;
        }
        for member_id in std::mem::take(&mut self.group.pending_sync) {
            let removed = self.group.remove(&member_id);
            self.dismiss(removed);
            self.cancel_session(&member_id);
        }
        self.prepare_rebalance()
    }

    pub(super) fn stop_awaiting_sync(&mut self) {
        self.group.pending_sync.clear();
        self.timers.cancel(&self.sync_timer());
    }

    /// The generation gets no assignment: whoever waits for it is told why.
    pub(super) fn reset_assignments(&mut self, error: ErrorCode) {
        for member in self.group.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.propagate_assignments(error);
    }

    /// Answers everybody who waits for an assignment, and renews their sessions: while they waited,
    /// the ends of their sessions were passed over.
    pub(super) fn propagate_assignments(&mut self, error: ErrorCode) {
        let ids: Vec<Arc<str>> = self.group.members.keys().cloned().collect();
        for member_id in ids {
            let member = self.group.members.get_mut(&member_id);
            let Some(token) = member.and_then(|member| member.awaiting_sync.take()) else {
                continue;
            };
            let mut response = self.synced(&member_id);
            if error != ErrorCode::None {
                response = SyncResponse::refused(error);
            }
            self.reply(token, Response::Sync(response));
            self.renew_session(&member_id);
        }
    }
}
