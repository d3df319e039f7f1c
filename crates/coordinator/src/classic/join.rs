//! JoinGroup: a client asks to be a member.

use std::sync::Arc;

use bytes::Bytes;
use strom_base::Uuid;

use super::member::{Member, Protocol, owned_protocols};
use super::state::State;
use super::turn::{Turn, Write};
use crate::request::JoinRequest;
use crate::{ErrorCode, ReplyToken};

/// A member that has not been told its id cannot send heartbeats, and a connection that is
/// gone is not noticed while its join waits. So a new member's join waits no longer than this.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1000;
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;

/// A join on its way through the group.
pub(super) struct Joining<'a> {
    pub(super) token: ReplyToken,
    pub(super) request: &'a JoinRequest<'a>,
    pub(super) protocols: Vec<Protocol>,
}

impl Joining<'_> {
    /// Version 0 knows one timeout for both.
    pub(super) fn timeouts_ms(&self) -> (i32, i32) {
        let session_ms = self.request.session_timeout_ms;
        let rebalance_ms =
            if self.request.version == 0 { session_ms } else { self.request.rebalance_timeout_ms };
        (rebalance_ms, session_ms)
    }
}

impl Turn<'_> {
    /// `new_id` makes the member id, should the member need one.
    pub(crate) fn join(
        &mut self,
        token: ReplyToken,
        request: &JoinRequest<'_>,
        new_id: Uuid,
    ) -> Option<Write> {
        let joining = Joining { token, request, protocols: owned_protocols(&request.protocols) };
        if !self.accepts(request.member_id) {
            let removed = self.group.remove(request.member_id);
            self.dismiss(removed);
            self.refuse_join(token, ErrorCode::GroupMaxSizeReached, "");
            return None;
        }
        if !self.group.supports(request.protocol_type, &joining.protocols) {
            self.refuse_join(token, ErrorCode::InconsistentGroupProtocol, request.member_id);
            return None;
        }
        if request.member_id.is_empty() {
            self.join_without_id(joining, new_id)
        } else if self.group.pending_join.contains(request.member_id) {
            self.join_with_given_id(joining)
        } else {
            self.rejoin(joining)
        }
    }

    /// Whether the group has room. A member that is in stays in.
    fn accepts(&self, member_id: &str) -> bool {
        let group = &self.group;
        let max_size = usize::try_from(self.config.group_max_size).unwrap_or(0);
        match group.state {
            State::Empty | State::Dead => true,
            // Those who wait are counted: the last to rejoin a group that is too large are out.
            State::PreparingRebalance => {
                let member = group.members.get(member_id);
                member.is_some_and(Member::is_awaiting_join) || group.awaiting_join_count < max_size
            }
            State::CompletingRebalance | State::Stable => {
                group.members.contains_key(member_id) || group.members.len() < max_size
            }
        }
    }

    fn join_without_id(&mut self, joining: Joining<'_>, new_id: Uuid) -> Option<Write> {
        let request = joining.request;
        let prefix = request.group_instance_id.unwrap_or(request.client_id);
        let member_id: Arc<str> = format!("{prefix}-{}", java_uuid(new_id)).into();
        let known = request.group_instance_id.and_then(|id| self.group.static_members.get(id));
        if let Some(old_member_id) = known.cloned() {
            return self.replace_static(joining, &old_member_id, member_id);
        }
        let is_dynamic = request.group_instance_id.is_none();
        if is_dynamic && request.version >= MEMBER_ID_REQUIRED_SINCE {
            // The client must prove that it got its id, so that lost answers leave no members
            // behind.
            self.group.pending_join.insert(member_id.clone());
            self.schedule(self.session_timer(&member_id), request.session_timeout_ms);
            self.refuse_join(joining.token, ErrorCode::MemberIdRequired, &member_id);
            return None;
        }
        self.add_member(joining, member_id)
    }

    fn join_with_given_id(&mut self, joining: Joining<'_>) -> Option<Write> {
        let member_id = joining.request.member_id;
        if joining.request.group_instance_id.is_some() {
            // Ids are given out ahead to dynamic members only.
            self.refuse_join(joining.token, ErrorCode::UnknownServerError, member_id);
            return None;
        }
        self.add_member(joining, member_id.into())
    }

    fn add_member(&mut self, joining: Joining<'_>, member_id: Arc<str>) -> Option<Write> {
        let (rebalance_timeout_ms, session_timeout_ms) = joining.timeouts_ms();
        let request = joining.request;
        let group = &mut self.group;
        if group.state == State::PreparingRebalance && group.previous_state == State::Empty {
            group.new_member_added = true;
        }
        if group.members.is_empty() {
            group.protocol_type = Some(request.protocol_type.to_owned());
        }
        let removed = group.add(Member {
            member_id: member_id.clone(),
            group_instance_id: request.group_instance_id.map(Arc::from),
            client_id: request.client_id.to_owned(),
            client_host: request.client_host.to_owned(),
            rebalance_timeout_ms,
            session_timeout_ms,
            protocols: joining.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(joining.token),
            awaiting_sync: None,
            is_new: true,
        });
        self.dismiss(removed);
        self.schedule(self.session_timer(&member_id), NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete_join()
    }
}

/// As Java prints a UUID: lower case hexadecimal in five groups.
fn java_uuid(id: Uuid) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in id.0.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend(char::from_digit(u32::from(byte >> 4), 16));
        text.extend(char::from_digit(u32::from(byte & 15), 16));
    }
    text
}
