//! Which offsets a group accepts, gives away and forgets.

use super::group::ClassicGroup;
use super::state::State;
use crate::ErrorCode;
use crate::record::CommittedOffset;
use crate::request::OffsetCommitRequest;
use strom_base::{Planted, planted};

/// From when an offset's retention counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RetentionStart {
    /// From when the group lost its last member.
    GroupEmpty(i64),
    Commit,
}

impl RetentionStart {
    /// An offset with an expiry of its own (from an old client) obeys that alone.
    pub(crate) fn is_expired(self, offset: &CommittedOffset, wall_ms: i64, kept_ms: i64) -> bool {
        if let Some(expire_timestamp_ms) = offset.expire_timestamp_ms {
            return wall_ms >= expire_timestamp_ms;
        }
        let start_ms = match self {
            RetentionStart::GroupEmpty(timestamp_ms) => timestamp_ms,
            RetentionStart::Commit => offset.commit_timestamp_ms,
        };
        wall_ms.saturating_sub(start_ms) >= kept_ms
    }
}

impl ClassicGroup {
    pub(crate) fn validate_offset_commit(
        &self,
        request: &OffsetCommitRequest<'_>,
    ) -> Result<(), ErrorCode> {
        // An administrator or a consumer without membership: only while nobody is a member.
        if request.generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        let names_member = request.generation_id >= 0
            || !request.member_id.is_empty()
            || request.group_instance_id.is_some();
        if !names_member {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(request.member_id, request.group_instance_id)?;
        if request.generation_id != self.generation_id && !planted(Planted::GenerationUnchecked) {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit keeps the session alive, but not between join and sync.
    pub(crate) fn commit_renews_session(&self) -> bool {
        matches!(self.state, State::Stable | State::PreparingRebalance)
    }

    pub(crate) fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        if self.state == State::Empty || self.uses_consumer_protocol() {
            Ok(())
        } else {
            Err(ErrorCode::NonEmptyGroup)
        }
    }

    /// None: the group's offsets do not expire now.
    pub(crate) fn retention_start(&self) -> Option<RetentionStart> {
        if self.protocol_type.is_none() {
            return Some(RetentionStart::Commit);
        }
        if self.state == State::Empty {
            let since = self.state_timestamp_ms.map(RetentionStart::GroupEmpty);
            return Some(since.unwrap_or(RetentionStart::Commit));
        }
        let knows_topics = self.uses_consumer_protocol() && self.subscribed_topics.is_some();
        (knows_topics && self.state == State::Stable).then_some(RetentionStart::Commit)
    }
}
