//! SyncGroup: members ask for their assignment, the leader brings everybody's.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::state::State;
use super::turn::{Turn, Write};
use crate::request::SyncRequest;
use crate::response::SyncResponse;
use crate::{ErrorCode, ReplyToken, Response};

impl Turn<'_> {
    pub(crate) fn sync(&mut self, token: ReplyToken, request: &SyncRequest<'_>) -> Option<Write> {
        if let Err(error) = self.validate_sync(request) {
            self.refuse_sync(token, error);
            return None;
        }
        match self.group.state {
            State::Empty | State::Dead => self.refuse_sync(token, ErrorCode::UnknownMemberId),
            State::PreparingRebalance => self.refuse_sync(token, ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                self.park_sync(token, request.member_id);
                if self.group.is_leader(request.member_id) {
                    return Some(self.assign(request));
                }
            }
            State::Stable => {
                self.has_synced(request.member_id);
                let response = self.synced(request.member_id);
                self.reply(token, Response::Sync(response));
            }
        }
        None
    }

    fn validate_sync(&self, request: &SyncRequest<'_>) -> Result<(), ErrorCode> {
        let group = &self.group;
        if group.state == State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        group.validate_member(request.member_id, request.group_instance_id)?;
        if request.generation_id != group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differ = |asked: Option<&str>, is: Option<&str>| {
            asked.is_some_and(|asked| is.is_some_and(|is| is != asked))
        };
        if differ(request.protocol_type, group.protocol_type.as_deref())
            || differ(request.protocol_name, group.protocol_name.as_deref())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn park_sync(&mut self, token: ReplyToken, member_id: &str) {
        let Some(member) = self.group.members.get_mut(member_id) else { return };
        if let Some(superseded) = member.awaiting_sync.replace(token) {
            self.refuse_sync(superseded, ErrorCode::RebalanceInProgress);
        }
        self.has_synced(member_id);
    }

    fn has_synced(&mut self, member_id: &str) {
        self.group.pending_sync.remove(member_id);
        if self.group.pending_sync.is_empty() {
            self.stop_awaiting_sync();
        }
    }

    /// Everybody's assignment as the leader sees it; nothing for whom it forgot.
    fn assign(&self, request: &SyncRequest<'_>) -> Write {
        let given: BTreeMap<&str, &[u8]> = request
            .assignments
            .iter()
            .map(|assignment| (assignment.member_id, assignment.assignment))
            .collect();
        let assigned = |member_id: &Arc<str>| {
            given.get(&**member_id).copied().map(Bytes::copy_from_slice).unwrap_or_default()
        };
        let members = self.group.members.keys();
        let assignments = members.map(|member_id| (member_id.clone(), assigned(member_id)));
        Write::Assignment {
            generation_id: request.generation_id,
            assignments: assignments.collect(),
        }
    }

    /// The member's part of the current assignment.
    pub(super) fn synced(&self, member_id: &str) -> SyncResponse {
        let group = &self.group;
        let member = group.members.get(member_id);
        SyncResponse {
            error: ErrorCode::None,
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol_name.clone(),
            assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }

    /// The assignment is stored. If the group has gone on meanwhile, it is nobody's concern any
    /// more.
    pub(crate) fn on_assignment_stored(
        &mut self,
        generation_id: i32,
        assignments: &BTreeMap<Arc<str>, Bytes>,
    ) {
        if !self.awaits_assignment(generation_id) {
            return;
        }
        for (member_id, member) in &mut self.group.members {
            member.assignment = assignments.get(member_id).cloned().unwrap_or_default();
        }
        self.propagate_assignments(ErrorCode::None);
        self.group.transition_to(self.now, State::Stable);
    }

    pub(crate) fn on_assignment_failed(
        &mut self,
        generation_id: i32,
        error: ErrorCode,
    ) -> Option<Write> {
        if !self.awaits_assignment(generation_id) {
            return None;
        }
        self.reset_assignments(error);
        self.rebalance_or_complete_join()
    }

    fn awaits_assignment(&self, generation_id: i32) -> bool {
        self.group.state == State::CompletingRebalance && self.group.generation_id == generation_id
    }
}
