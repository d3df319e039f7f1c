//! JoinGroup of somebody the group knows: a member by its id, a static member under a new one.

use std::sync::Arc;

use super::join::Joining;
use super::state::State;
use super::turn::{Replacement, Turn, Write};
use crate::response::JoinResponse;
use crate::{ErrorCode, ReplyToken};

const SKIP_ASSIGNMENT_SINCE: i16 = 9;

impl Turn<'_> {
    pub(super) fn rejoin(&mut self, joining: Joining<'_>) -> Option<Write> {
        let member_id = joining.request.member_id;
        let valid = self.group.validate_member(member_id, joining.request.group_instance_id);
        if let Err(error) = valid {
            self.refuse_join(joining.token, error, member_id);
            return None;
        }
        let member = self.group.members.get(member_id);
        let unchanged = member.is_some_and(|member| member.matches(&joining.protocols));
        let is_leader = self.group.is_leader(member_id);
        match self.group.state {
            State::PreparingRebalance => self.update_and_rebalance(joining),
            // It may have missed the answer to its join: it gets the same again.
            State::CompletingRebalance if unchanged => {
                let mut response = self.joined(member_id);
                if is_leader {
                    response.members = self.members_for_leader();
                }
                self.reply_join(joining.token, response);
                None
            }
            State::CompletingRebalance => self.update_and_rebalance(joining),
            // A leader that joins again wants to assign again, whatever its reason.
            State::Stable if is_leader || !unchanged => self.update_and_rebalance(joining),
            State::Stable => {
                let response = self.joined(member_id);
                self.reply_join(joining.token, response);
                None
            }
            State::Empty | State::Dead => {
                self.refuse_join(joining.token, ErrorCode::UnknownMemberId, member_id);
                None
            }
        }
    }

    fn update_and_rebalance(&mut self, joining: Joining<'_>) -> Option<Write> {
        let member_id = joining.request.member_id;
        let timeouts_ms = joining.timeouts_ms();
        self.group.update_member(member_id, joining.protocols, timeouts_ms);
        self.park(member_id, joining.token);
        self.rebalance_or_complete_join()
    }

    /// Of two joins of one member only the newer waits: the older one's connection must be gone.
    fn park(&mut self, member_id: &str, token: ReplyToken) {
        if let Some(superseded) = self.group.park_join(member_id, token) {
            self.refuse_join(superseded, ErrorCode::RebalanceInProgress, member_id);
        }
    }

    /// A static member came back without its id: it takes its place under a new one, and whoever
    /// still uses the old id is fenced (KIP-345).
    pub(super) fn replace_static(
        &mut self,
        joining: Joining<'_>,
        old_member_id: &Arc<str>,
        member_id: Arc<str>,
    ) -> Option<Write> {
        let old = self.group.members.get(old_member_id)?;
        let replacement = Replacement {
            old_member_id: old_member_id.clone(),
            new_member_id: member_id.clone(),
            old_protocols: old.protocols.clone(),
            old_rebalance_timeout_ms: old.rebalance_timeout_ms,
            old_session_timeout_ms: old.session_timeout_ms,
            old_leader: self.group.leader.as_deref().unwrap_or_default().to_owned(),
            supports_skip_assignment: joining.request.version >= SKIP_ASSIGNMENT_SINCE,
        };
        self.fence(old_member_id, &member_id);
        self.renew_session(&member_id);
        let timeouts_ms = joining.timeouts_ms();
        self.group.update_member(&member_id, joining.protocols, timeouts_ms);
        self.park(&member_id, joining.token);
        match self.group.state {
            State::Stable if self.group.protocol_name == self.group.select_protocol() => {
                Some(Write::Replacement(replacement))
            }
            // The leader may assign to the old id at this moment: only a new round helps.
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(),
            _ => self.complete_join_if_all_joined(),
        }
    }

    fn fence(&mut self, old_member_id: &Arc<str>, member_id: &Arc<str>) {
        let fenced = self.group.replace_static_member(old_member_id, member_id.clone());
        if let Some(token) = fenced.join {
            self.refuse_join(token, ErrorCode::FencedInstanceId, old_member_id);
        }
        if let Some(token) = fenced.sync {
            self.refuse_sync(token, ErrorCode::FencedInstanceId);
        }
        self.cancel_session(old_member_id);
    }

    pub(crate) fn on_replacement_stored(&mut self, replacement: &Replacement) {
        let member_id = &replacement.new_member_id;
        let Some(token) = self.group.take_join(member_id) else { return };
        let mut response = self.joined(member_id);
        if !replacement.supports_skip_assignment {
            // Naming the old leader makes a leader believe that it follows: it must not assign
            // again.
            response.leader = replacement.old_leader.clone();
        } else if self.group.is_leader(member_id) {
            response.skip_assignment = true;
            response.members = self.members_for_leader();
        }
        self.reply_join(token, response);
    }

    /// The new member id could not be stored: the old one keeps its place.
    pub(crate) fn on_replacement_failed(&mut self, replacement: &Replacement, error: ErrorCode) {
        let Replacement { old_member_id, new_member_id, .. } = replacement;
        if !self.group.members.contains_key(new_member_id) {
            return;
        }
        let timeouts_ms =
            (replacement.old_rebalance_timeout_ms, replacement.old_session_timeout_ms);
        let protocols = replacement.old_protocols.clone();
        self.group.update_member(new_member_id, protocols, timeouts_ms);
        let token = self.group.take_join(new_member_id);
        self.fence(new_member_id, old_member_id);
        self.renew_session(old_member_id);
        if let Some(token) = token {
            let response =
                JoinResponse { error, member_id: String::new(), ..self.joined(old_member_id) };
            let leader = replacement.old_leader.clone();
            self.reply_join(token, JoinResponse { leader, ..response });
        }
    }
}
