//! LeaveGroup: members go, or are sent away by an administrator.

use super::state::State;
use super::turn::{Turn, Write};
use crate::ErrorCode;
use crate::request::{LeaveRequest, LeavingMember};
use crate::response::{LeaveResponse, LeftMember};

impl Turn<'_> {
    pub(crate) fn leave(&mut self, request: &LeaveRequest<'_>) -> (LeaveResponse, Option<Write>) {
        let mut members = Vec::with_capacity(request.members.len());
        let mut anybody = false;
        for member in &request.members {
            let left = self.leave_one(member);
            anybody |= left.is_ok();
            members.push(left_member(member, left.err().unwrap_or(ErrorCode::None)));
        }
        let write = match self.group.state {
            _ if !anybody => None,
            State::Stable | State::CompletingRebalance => self.rebalance_or_complete_join(),
            State::PreparingRebalance => self.complete_join_if_all_joined(),
            State::Empty | State::Dead => None,
        };
        (LeaveResponse { error: ErrorCode::None, members }, write)
    }

    fn leave_one(&mut self, member: &LeavingMember<'_>) -> Result<(), ErrorCode> {
        let member_id = if member.member_id.is_empty() {
            let instance_id = member.group_instance_id.ok_or(ErrorCode::UnknownMemberId)?;
            let known = self.group.static_members.get(instance_id);
            known.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else {
            if !self.group.pending_join.contains(member.member_id) {
                self.group.validate_member(member.member_id, member.group_instance_id)?;
            }
            member.member_id.into()
        };
        let removed = self.group.remove(&member_id);
        self.dismiss(removed);
        self.cancel_session(&member_id);
        Ok(())
    }
}

/// Nobody can leave a group that does not exist.
pub(crate) fn leave_refused(request: &LeaveRequest<'_>) -> LeaveResponse {
    let members = request.members.iter();
    let members = members.map(|member| left_member(member, ErrorCode::UnknownMemberId));
    LeaveResponse { error: ErrorCode::None, members: members.collect() }
}

fn left_member(member: &LeavingMember<'_>, error: ErrorCode) -> LeftMember {
    LeftMember {
        member_id: member.member_id.to_owned(),
        group_instance_id: member.group_instance_id.map(str::to_owned),
        error,
    }
}
