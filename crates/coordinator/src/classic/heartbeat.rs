//! Heartbeat: a member says that it lives; and what happens when it does not.

use super::state::State;
use super::turn::{Turn, Write};
use crate::ErrorCode;
use crate::request::HeartbeatRequest;

impl Turn<'_> {
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest<'_>) -> Result<(), ErrorCode> {
        self.group.validate_member(request.member_id, request.group_instance_id)?;
        if request.generation_id != self.group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.group.state {
            State::Empty | State::Dead => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => {
                self.renew_session(request.member_id);
                Err(ErrorCode::RebalanceInProgress)
            }
            // Members may send heartbeats as soon as their join is answered.
            State::CompletingRebalance | State::Stable => {
                self.renew_session(request.member_id);
                Ok(())
            }
        }
    }

    /// The session timer went off.
    pub(crate) fn on_session_deadline(&mut self, member_id: &str) -> Option<Write> {
        if self.group.pending_join.remove(member_id) {
            return self.complete_join_when_nobody_is_awaited();
        }
        let member = self.group.members.get(member_id)?;
        if member.has_satisfied_heartbeat() {
            return None;
        }
        let removed = self.group.remove(member_id);
        self.dismiss(removed);
        match self.group.state {
            State::Stable | State::CompletingRebalance => self.rebalance_or_complete_join(),
            _ => self.complete_join_when_nobody_is_awaited(),
        }
    }

    /// Unlike a leave, an expiry ends even an initial rebalance early.
    fn complete_join_when_nobody_is_awaited(&mut self) -> Option<Write> {
        let joined =
            self.group.state == State::PreparingRebalance && self.group.has_all_members_joined();
        if joined { self.complete_join() } else { None }
    }
}
