//! One group in the hands of one event: the group and all that the event may touch.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use strom_base::{Now, Planted, planted};

use super::group::{ClassicGroup, Removed};
use super::member::Protocol;
use crate::response::{JoinResponse, SyncResponse};
use crate::timers::Timers;
use crate::{Effect, ErrorCode, GroupConfig, ReplyToken, Response};

/// What happens to a group by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupTimer {
    /// The member has not been heard of for its session timeout.
    Session { group_id: Arc<str>, member_id: Arc<str> },
    /// Members had long enough to join.
    Join { group_id: Arc<str> },
    /// Members had long enough to ask for their assignment.
    Sync { group_id: Arc<str> },
}

pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a GroupConfig,
    pub(crate) group_id: &'a Arc<str>,
    pub(crate) group: &'a mut ClassicGroup,
    pub(crate) timers: &'a mut Timers<GroupTimer>,
    pub(crate) out: &'a mut Vec<Effect<Response>>,
}

/// A state of the group that must be stored, and why: the reason decides what is done afterwards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    /// The group came into being for this join.
    Created { token: ReplyToken },
    /// The last member is gone.
    Emptied,
    /// The leader has assigned this generation.
    Assignment { generation_id: i32, assignments: BTreeMap<Arc<str>, Bytes> },
    /// A static member came back under a new member id and changed nothing else.
    Replacement(Replacement),
}

/// How to answer, and how to go back if the new member id cannot be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replacement {
    pub(crate) old_member_id: Arc<str>,
    pub(crate) new_member_id: Arc<str>,
    pub(crate) old_protocols: Vec<Protocol>,
    pub(crate) old_rebalance_timeout_ms: i32,
    pub(crate) old_session_timeout_ms: i32,
    /// The leader's member id before the replacement.
    pub(crate) old_leader: String,
    /// KIP-814: the leader is told to skip the assignment, instead of being made a follower.
    pub(crate) supports_skip_assignment: bool,
}

impl Turn<'_> {
    pub(super) fn reply(&mut self, token: ReplyToken, response: Response) {
        self.out.push(Effect::Reply { token, response });
    }

    pub(super) fn reply_join(&mut self, token: ReplyToken, response: JoinResponse) {
        self.reply(token, Response::Join(response));
    }

    pub(super) fn refuse_join(&mut self, token: ReplyToken, error: ErrorCode, member_id: &str) {
        self.reply_join(token, JoinResponse::refused(error, member_id));
    }

    pub(super) fn refuse_sync(&mut self, token: ReplyToken, error: ErrorCode) {
        self.reply(token, Response::Sync(SyncResponse::refused(error)));
    }

    /// A removed member learns that it is not known any more, and may join again.
    pub(super) fn dismiss(&mut self, removed: Removed) {
        if let Some(token) = removed.join {
            self.refuse_join(token, ErrorCode::UnknownMemberId, "");
        }
        if let Some(token) = removed.sync {
            self.refuse_sync(token, ErrorCode::UnknownMemberId);
        }
    }

    /// The state of the group as a join is answered in it.
    pub(super) fn joined(&self, member_id: &str) -> JoinResponse {
        let group = &self.group;
        JoinResponse {
            error: ErrorCode::None,
            generation_id: group.generation_id,
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol_name.clone(),
            leader: group.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }

    pub(super) fn join_timer(&self) -> GroupTimer {
        GroupTimer::Join { group_id: self.group_id.clone() }
    }

    pub(super) fn sync_timer(&self) -> GroupTimer {
        GroupTimer::Sync { group_id: self.group_id.clone() }
    }

    pub(super) fn session_timer(&self, member_id: &Arc<str>) -> GroupTimer {
        GroupTimer::Session { group_id: self.group_id.clone(), member_id: member_id.clone() }
    }

    pub(super) fn schedule(&mut self, timer: GroupTimer, delay_ms: i32) {
        self.timers.schedule(timer, self.now.deadline_ms(i64::from(delay_ms)));
    }

    pub(super) fn cancel_session(&mut self, member_id: &Arc<str>) {
        let timer = self.session_timer(member_id);
        self.timers.cancel(&timer);
    }

    /// The member was heard of: its session starts anew.
    pub(crate) fn renew_session(&mut self, member_id: &str) {
        let Some(member) = self.group.members.get(member_id) else { return };
        let (id, session_timeout_ms) = (member.member_id.clone(), member.session_timeout_ms);
        let timer = self.session_timer(&id);
        if !planted(Planted::SessionsUnrenewed) {
            self.schedule(timer, session_timeout_ms);
        }
    }
}
