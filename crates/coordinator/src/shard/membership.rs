//! Requests about one group, and those of the classic protocol: the group is found, or made, and
//! has its turn.

use strom_base::Now;

use super::{GroupShard, Out};
use crate::classic::{ClassicGroup, Write, leave_refused};
use crate::request::{HeartbeatRequest, JoinRequest, LeaveRequest, SyncRequest};
use crate::response::{JoinResponse, LeaveResponse, SyncResponse};
use crate::{Effect, ErrorCode, ReplyToken, Request, Response};

impl GroupShard {
    /// A request about one group, which lives here.
    pub(crate) fn handle(
        &mut self,
        now: Now,
        token: ReplyToken,
        request: &Request<'_>,
        out: &mut Out,
    ) {
        match request {
            Request::Join(request) => self.join(now, token, request, out),
            Request::Sync(request) => self.sync(now, token, request, out),
            Request::Heartbeat(request) => self.heartbeat(now, token, request, out),
            Request::Leave(request) => self.leave(now, token, request, out),
            Request::OffsetCommit(request) => self.commit_offsets(now, token, request, out),
            Request::OffsetDelete(request) => self.delete_offsets(now, token, request, out),
            // These are split before they come here.
            Request::OffsetFetch(_)
            | Request::DeleteGroups(_)
            | Request::ListGroups(_)
            | Request::DescribeGroups(_) => {
                let response = request.refused(ErrorCode::UnknownServerError);
                out.push(Effect::Reply { token, response });
            }
        }
    }

    fn join(&mut self, now: Now, token: ReplyToken, request: &JoinRequest<'_>, out: &mut Out) {
        if let Err(error) = self.validate_join(request) {
            let response = Response::Join(JoinResponse::refused(error, request.member_id));
            out.push(Effect::Reply { token, response });
            return;
        }
        let group_id = self.shared(request.group_id);
        let group = self.groups.entry(group_id.clone()).or_default();
        let is_new = group.classic.is_none();
        group.classic.get_or_insert_with(|| ClassicGroup::new(now));
        let new_id = self.random.uuid();
        let Some(mut turn) = self.turn(now, &group_id, out) else { return };
        let write = turn.join(token, request, new_id);
        // Whatever became of the join, the group exists from now on, and that must be told.
        let write = write.or(is_new.then_some(Write::Created { token }));
        self.store(now, &group_id, write, out);
    }

    fn validate_join(&self, request: &JoinRequest<'_>) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let (min_ms, max_ms) =
            (self.config.min_session_timeout_ms, self.config.max_session_timeout_ms);
        if request.session_timeout_ms < min_ms || request.session_timeout_ms > max_ms {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        // Only newcomers found groups.
        if !request.member_id.is_empty() && self.classic(request.group_id).is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        Ok(())
    }

    fn sync(&mut self, now: Now, token: ReplyToken, request: &SyncRequest<'_>, out: &mut Out) {
        let known = if request.group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            self.known(request.group_id).ok_or(ErrorCode::UnknownMemberId)
        };
        match known {
            Err(error) => {
                let response = Response::Sync(SyncResponse::refused(error));
                out.push(Effect::Reply { token, response });
            }
            Ok(group_id) => {
                let Some(mut turn) = self.turn(now, &group_id, out) else { return };
                let write = turn.sync(token, request);
                self.store(now, &group_id, write, out);
            }
        }
    }

    /// Answered at once: a heartbeat changes nothing that is stored.
    fn heartbeat(
        &mut self,
        now: Now,
        token: ReplyToken,
        request: &HeartbeatRequest<'_>,
        out: &mut Out,
    ) {
        let result = if request.group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            match self.known(request.group_id) {
                None => Err(ErrorCode::UnknownMemberId),
                Some(group_id) => match self.turn(now, &group_id, out) {
                    None => Err(ErrorCode::UnknownMemberId),
                    Some(mut turn) => turn.heartbeat(request),
                },
            }
        };
        let error = result.err().unwrap_or(ErrorCode::None);
        out.push(Effect::Reply { token, response: Response::Heartbeat(error) });
    }

    /// Answered at once: a member that is gone does not care whether that is stored.
    fn leave(&mut self, now: Now, token: ReplyToken, request: &LeaveRequest<'_>, out: &mut Out) {
        if request.group_id.is_empty() {
            let response = LeaveResponse { error: ErrorCode::InvalidGroupId, members: Vec::new() };
            out.push(Effect::Reply { token, response: Response::Leave(response) });
            return;
        }
        let Some(group_id) = self.known(request.group_id) else {
            let response = Response::Leave(leave_refused(request));
            out.push(Effect::Reply { token, response });
            return;
        };
        let Some(mut turn) = self.turn(now, &group_id, out) else { return };
        let (response, write) = turn.leave(request);
        out.push(Effect::Reply { token, response: Response::Leave(response) });
        self.store(now, &group_id, write, out);
    }
}
