//! How a group's soft state begins and ends apart from its members: loading, losing its record.

use std::sync::Arc;

use super::group::ClassicGroup;
use super::state::State;
use super::turn::{Turn, Write};
use crate::record::StoredGroup;
use crate::response::{JoinResponse, SyncResponse};
use crate::{Effect, ErrorCode, ReplyToken, Response};

impl Turn<'_> {
    /// The group was loaded with all its members.
    pub(crate) fn on_loaded(&mut self) -> Option<Write> {
        self.renew_all_sessions();
        let max_size = usize::try_from(self.config.group_max_size).unwrap_or(0);
        // The limit was lowered: rejoining, as many as fit get in again.
        if self.group.members.len() > max_size { self.prepare_rebalance() } else { None }
    }

    pub(crate) fn renew_all_sessions(&mut self) {
        let ids: Vec<Arc<str>> = self.group.members.keys().cloned().collect();
        for member_id in ids {
            self.renew_session(&member_id);
        }
    }

    /// The first record of the group is not stored. Whoever asked for the group joins again.
    pub(crate) fn on_creation_failed(&mut self, token: ReplyToken, error: ErrorCode) {
        let mut members = self.group.members.values();
        let member = members.find(|member| member.awaiting_join == Some(token));
        let Some(member_id) = member.map(|member| member.member_id.clone()) else { return };
        self.group.take_join(&member_id);
        self.refuse_join(token, error, "");
    }
}

impl ClassicGroup {
    /// Whether the group is without members, as the stored one is, and knows less than it.
    pub(crate) fn is_older_than(&self, stored: &StoredGroup) -> bool {
        let is_idle = self.members.is_empty() && self.pending_join.is_empty();
        let is_known = self.protocol_type.is_some() || stored.protocol_type.is_none();
        is_idle
            && self.state == State::Empty
            && stored.members.is_empty()
            && (self.generation_id < stored.generation_id || !is_known)
    }

    /// Answers all who wait in a group that is gone.
    pub(crate) fn on_dropped(self, error: ErrorCode, out: &mut Vec<Effect<Response>>) {
        for (member_id, member) in self.members {
            if let Some(token) = member.awaiting_join {
                let response = Response::Join(JoinResponse::refused(error, &member_id));
                out.push(Effect::Reply { token, response });
            }
            if let Some(token) = member.awaiting_sync {
                let response = Response::Sync(SyncResponse::refused(error));
                out.push(Effect::Reply { token, response });
            }
        }
    }
}
