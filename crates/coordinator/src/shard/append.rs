//! Appends: what is written, what waits for it, and what follows when it is decided.

use std::sync::Arc;

use strom_base::{Now, Planted, planted};

use super::{GroupShard, Out, Parked};
use crate::classic::{ClassicGroup, Write};
use crate::failure::append_error;
use crate::outbox::Wait;
use crate::record::{Record, RecordKey, codec};
use crate::{AppendFailure, Effect, ErrorCode, OwnedRecord, ReplyToken, Response};

/// Records of one append where they need not be in one batch: bounds the batch of a clean-up.
const RECORDS_PER_APPEND: usize = 1_000;

impl GroupShard {
    /// Stores the group as `write` wants it.
    pub(super) fn store(
        &mut self,
        now: Now,
        group_id: &Arc<str>,
        write: Option<Write>,
        out: &mut Out,
    ) {
        let Some(write) = write else { return };
        let Some(stored) = self.classic(group_id).map(|group| group.stored(&write)) else { return };
        let record = Record::Group(group_id.clone(), Some(stored));
        let parked = Parked::Stored { group_id: group_id.clone(), write };
        self.append(now, vec![record], Some(parked), out);
    }

    /// Replies once the records are committed; without records, once everything before is.
    pub(super) fn append_then_reply(
        &mut self,
        now: Now,
        (token, response): (ReplyToken, Response),
        records: Vec<Record>,
        out: &mut Out,
    ) {
        let parked = Parked::Reply { token, response };
        if !records.is_empty() && planted(Planted::CommitAnsweredEarly) {
            self.append(now, records, None, out);
            self.release(now, parked, out);
            return;
        }
        if !records.is_empty() {
            self.append(now, records, Some(parked), out);
            return;
        }
        match self.outbox.park_with_last(parked) {
            Wait::Parked => {}
            Wait::Needless(parked) => self.release(now, parked, out),
            Wait::Hopeless(parked) => self.fail(now, parked, ErrorCode::RequestTimedOut, out),
        }
    }

    /// Writes records that nobody waits for, in batches of bounded size.
    pub(super) fn append_in_chunks(&mut self, now: Now, records: Vec<Record>, out: &mut Out) {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let chunk = records.by_ref().take(RECORDS_PER_APPEND).collect();
            self.append(now, chunk, None, out);
        }
    }

    fn append(&mut self, now: Now, records: Vec<Record>, parked: Option<Parked>, out: &mut Out) {
        let encoded: Result<Vec<OwnedRecord>, _> = records.iter().map(codec::encode).collect();
        let Ok(encoded) = encoded else {
            // A name too long for its length field: no request that the wire can carry has one.
            if let Some(parked) = parked {
                self.fail(now, parked, ErrorCode::UnknownServerError, out);
            }
            return;
        };
        let ticket = self.outbox.next_ticket();
        let mut touched = Vec::with_capacity(records.len());
        for record in records {
            touched.append(&mut self.apply(Some(ticket), record));
        }
        self.reconcile(now, &touched, ErrorCode::UnknownMemberId, out);
        let deadline_ms = now.deadline_ms(i64::from(self.config.offsets_commit_timeout_ms));
        self.outbox.add(touched, parked.into_iter().collect(), deadline_ms);
        out.push(Effect::Append { shard: self.id, ticket, records: encoded });
    }

    pub(super) fn commit_append(&mut self, now: Now, ticket: u64, out: &mut Out) {
        let Some((touched, parked)) = self.outbox.take(ticket) else { return };
        self.commit_versions(ticket, &touched);
        self.settle(&touched);
        for parked in parked {
            self.release(now, parked, out);
        }
    }

    pub(super) fn roll_back_append(&mut self, now: Now, failure: AppendFailure, out: &mut Out) {
        let Some((touched, parked)) = self.outbox.take(failure.ticket) else { return };
        if planted(Planted::FailedCommitKept) {
            self.commit_versions(failure.ticket, &touched);
        } else {
            self.abort_versions(failure.ticket, &touched);
        }
        self.reconcile(now, &touched, append_error(failure.error), out);
        self.settle(&touched);
        for parked in parked {
            self.fail(now, parked, failure.error, out);
        }
    }

    /// Brings the classic side of the groups in line with what exists: a group that was deleted, or
    /// never came into being, has none; one whose deletion failed is back.
    fn reconcile(&mut self, now: Now, touched: &[RecordKey], error: ErrorCode, out: &mut Out) {
        for key in touched {
            let group_id = match key {
                RecordKey::Group(group_id) => group_id,
                RecordKey::Offset(key) => &key.group_id,
            };
            let Some(group) = self.groups.get_mut(group_id) else { continue };
            match (group.metadata.latest(), &group.classic) {
                (Some(stored), None) => group.classic = Some(ClassicGroup::from_stored(stored)),
                // Made by an offset in place of a group whose deletion failed.
                (Some(stored), Some(classic)) if classic.is_older_than(stored) => {
                    group.classic = Some(ClassicGroup::from_stored(stored));
                }
                (None, Some(_)) => {
                    if let Some(classic) = group.classic.take() {
                        classic.on_dropped(error, out);
                    }
                    continue;
                }
                _ => continue,
            }
            let Some(mut turn) = self.turn(now, group_id, out) else { continue };
            turn.renew_all_sessions();
        }
    }

    /// What waited for records that are committed now.
    fn release(&mut self, now: Now, parked: Parked, out: &mut Out) {
        match parked {
            Parked::Reply { token, response } => out.push(Effect::Reply { token, response }),
            Parked::Stored { group_id, write } => {
                let Some(mut turn) = self.turn(now, &group_id, out) else { return };
                match &write {
                    Write::Created { .. } | Write::Emptied => {}
                    Write::Assignment { generation_id, assignments } => {
                        turn.on_assignment_stored(*generation_id, assignments);
                    }
                    Write::Replacement(replacement) => turn.on_replacement_stored(replacement),
                }
            }
        }
    }

    /// What waited for records that are lost, or that take too long.
    pub(super) fn fail(&mut self, now: Now, parked: Parked, cause: ErrorCode, out: &mut Out) {
        match parked {
            Parked::Reply { token, response } => {
                out.push(Effect::Reply { token, response: response.failed(cause) });
            }
            Parked::Stored { group_id, write } => {
                let error = append_error(cause);
                let Some(mut turn) = self.turn(now, &group_id, out) else { return };
                let next = match &write {
                    Write::Created { token } => {
                        turn.on_creation_failed(*token, error);
                        None
                    }
                    // If this is the end of the node, the last generation comes back and times out.
                    Write::Emptied => None,
                    Write::Assignment { generation_id, .. } => {
                        turn.on_assignment_failed(*generation_id, error)
                    }
                    Write::Replacement(replacement) => {
                        turn.on_replacement_failed(replacement, error);
                        None
                    }
                };
                self.store(now, &group_id, next, out);
            }
        }
    }
}
