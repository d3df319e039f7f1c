//! What the engine's reports do to the log.

use strom_base::{Now, Planted, planted};

use super::folder::Folder;
use super::{Log, Out, Promise};
use crate::disk::{Completion, DiskEffect, DiskError, FileKind, Ticket};
use crate::index::INDEX_TAIL_MAX;
use crate::segment::Segment;

/// What a completion meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// An append (or several) became written.
    Written { written_offset: i64 },
    /// The recovery point moved, or stands.
    Synced { synced_offset: i64 },
    /// Index, checkpoint and the like (a ticket of `start_epoch`, too), or a ticket that a
    /// truncation made void.
    Other,
    /// These tickets will never be kept. Failed appends are taken back: the log end offset is
    /// where it was before the first of them.
    Failed { tickets: Vec<Ticket>, error: DiskError },
    /// A sync for which there was no room. What it was about stays in the log, and a later sync covers
    /// it: see [`Log::sync_again`].
    Postponed { error: DiskError },
}

/// A sync for which there was no room is asked for again after so long, if anybody waits for it or one is
/// due by time.
const SYNC_AGAIN_MS: u64 = 1000;
/// For who finds the file.
pub(crate) const FAILED_SYNC_NOTE: &[u8] =
    b"A sync of this log failed. The next start writes its last records anew.\n";

impl Log {
    /// A promise of this log was kept or broken.
    pub fn on_completed(&mut self, now: Now, completion: &Completion, out: &mut Out) -> Completed {
        let asked = out.len();
        let completed = self.take_completion(now, completion, out);
        if self.is_deleted() && !planted(Planted::DeletedLogSpeaks) {
            // Its files' names may belong to the next log of that name by now.
            out.truncate(asked);
        }
        completed
    }

    fn take_completion(&mut self, now: Now, completion: &Completion, out: &mut Out) -> Completed {
        let sequence = completion.ticket.sequence;
        if let Err(error) = &completion.result {
            self.look_at_error(completion.ticket, error);
        }
        if let Ok(index) = self.pending.binary_search_by_key(&sequence, |append| append.sequence) {
            return match &completion.result {
                Ok(()) => self.on_append_written(index, out),
                Err(error) => {
                    let tickets = self.take_back(index, out);
                    Completed::Failed { tickets, error: error.clone() }
                }
            };
        }
        self.settle_promise(now, completion, out)
    }

    /// Of what is no append, and rare beside those.
    #[cold]
    fn settle_promise(&mut self, now: Now, completion: &Completion, out: &mut Out) -> Completed {
        let sequence = completion.ticket.sequence;
        let Ok(index) = self.promises.binary_search_by_key(&sequence, |(sequence, _)| *sequence)
        else {
            return Completed::Other;
        };
        let (_, promise) = self.promises.remove(index);
        if promise == Promise::Epochs {
            self.on_epochs_written(sequence, completion.result.is_ok());
        }
        let Promise::Sync { offset, .. } = promise else {
            return self.keep_or_break(now, promise, completion, out);
        };
        // The system tells of a failed sync once: later ones succeed, though what it was about is lost.
        let completed = match (&self.failure, &completion.result) {
            (Some(failure), Ok(())) if !planted(Planted::SyncAfterFailureCounts) => {
                Completed::Failed { tickets: vec![completion.ticket], error: failure.clone() }
            }
            (None, Ok(())) if let Some(error) = self.postponed_with(sequence) => {
                Completed::Postponed { error }
            }
            _ => self.keep_or_break(now, promise, completion, out),
        };
        let is_kept = matches!(completed, Completed::Synced { .. });
        if is_kept {
            self.asked_segments.retain(|(asked_with, _)| *asked_with > sequence);
        }
        self.settle_awaited_snapshots(sequence, is_kept.then_some(offset), out);
        completed
    }

    fn keep_or_break(
        &mut self,
        now: Now,
        promise: Promise,
        completion: &Completion,
        out: &mut Out,
    ) -> Completed {
        match &completion.result {
            Ok(()) => self.on_promise_kept(promise, out),
            Err(error) if promise == Promise::Folder => {
                self.on_folder_failed(error);
                self.segments.iter().for_each(|segment| self.remove_files_of(segment, out));
                let tickets = self.take_back(0, out);
                let base_offset = self.active().base_offset;
                self.segments = vec![Segment::new(base_offset, now.wall_ms)];
                Completed::Failed { tickets, error: error.clone() }
            }
            Err(error) => self.on_promise_broken(now, promise, completion, error.clone(), out),
        }
    }

    fn on_append_written(&mut self, index: usize, out: &mut Out) -> Completed {
        if let Some(append) = self.pending.get_mut(index) {
            append.is_written = true;
        }
        self.settle_written(out)
    }

    /// Nothing counts as written before the topic's id stands in the folder: without it the next
    /// start takes the log for a stranger's.
    fn settle_written(&mut self, out: &mut Out) -> Completed {
        while self.folder == Folder::Stands
            && self.pending.front().is_some_and(|append| append.is_written)
        {
            if let Some(append) = self.pending.pop_front() {
                self.offsets.written = append.last_offset + 1;
            }
        }
        let active = self.active();
        if active.offsets.tail_len() >= INDEX_TAIL_MAX || active.times.tail_len() >= INDEX_TAIL_MAX
        {
            self.write_indexes(self.segments.len() - 1, out);
        }
        Completed::Written { written_offset: self.offsets.written }
    }

    /// Takes back the failed append and all behind it: their offsets were given out after its.
    fn take_back(&mut self, index: usize, out: &mut Out) -> Vec<Ticket> {
        let failed: Vec<_> = self.pending.drain(index..).collect();
        let Some(first) = failed.first() else { return Vec::new() };
        let (mark, end_offset) = (first.mark, first.log_end_offset);
        let log = self.identity.id;
        let tickets = failed.iter().map(|append| append.sequence);
        let tickets = tickets.map(|sequence| Ticket { log, sequence }).collect();
        self.recent.cut(mark.state.size);
        while self.active().base_offset > mark.base_offset {
            let Some(segment) = self.segments.pop() else { break };
            self.remove_files_of(&segment, out);
            self.recent.clear();
        }
        let asked = out.len();
        self.active_mut().reset(&mark, log, out);
        if !self.has_folder() || planted(Planted::HoleLeftBehind) {
            // Where there is no file there is nothing to cut.
            out.truncate(asked);
        }
        self.remove_snapshots(end_offset + 1, i64::MAX, out);
        let undos = failed.into_iter().rev().flat_map(|append| append.producers.into_iter().rev());
        if !planted(Planted::TakenBackProducersKept) {
            self.producers.undo(undos, end_offset);
        }
        // An epoch that begins at the end stays: its leader goes on from there.
        if self.epochs.truncate_from_end(end_offset + 1) {
            self.write_epochs(end_offset + 1, out);
        }
        self.void_promises(end_offset, mark.base_offset);
        self.offsets.cut(end_offset);
        tickets
    }

    /// Syncs count only up to where the log was cut; index writes of cut segments count no more.
    pub(super) fn void_promises(&mut self, end_offset: i64, cut_segment: i64) {
        // Index entries whose write was asked are to be asked for again.
        let indexed_end = self.indexed_end(false).min(end_offset);
        self.promises.retain_mut(|(_, promise)| match promise {
            Promise::Sync { offset, indexed } => {
                *offset = (*offset).min(end_offset);
                *indexed = (*indexed).min(indexed_end);
                true
            }
            Promise::Index { segment, .. } => *segment < cut_segment,
            Promise::Folder | Promise::Snapshot | Promise::Epochs | Promise::SmallFile => true,
        });
    }

    fn on_promise_kept(&mut self, promise: Promise, out: &mut Out) -> Completed {
        match promise {
            Promise::Sync { offset, indexed } => {
                self.on_synced(offset, indexed);
                self.unsynced_files = Vec::new();
                Completed::Synced { synced_offset: self.offsets.synced }
            }
            Promise::Index { segment, kind, entries } => {
                self.on_index_written(segment, (kind, entries), out);
                Completed::Other
            }
            Promise::Folder => {
                self.folder = Folder::Stands;
                self.settle_written(out)
            }
            Promise::Snapshot => {
                self.has_new_recovery_point = true;
                Completed::Other
            }
            Promise::Epochs | Promise::SmallFile => Completed::Other,
        }
    }

    fn on_index_written(
        &mut self,
        base_offset: i64,
        (kind, entries): (FileKind, u32),
        out: &mut Out,
    ) {
        let index = self.segment_index(base_offset);
        let is_complete_wanted = self.is_closing || index + 1 < self.segments.len();
        let Some(segment) = self.segments.get_mut(index) else { return };
        if segment.base_offset != base_offset {
            return;
        }
        let left = match kind {
            FileKind::OffsetIndex => {
                segment.offsets.on_written(entries);
                is_complete_wanted && segment.offsets.tail_len() > 0
            }
            FileKind::TimeIndex => {
                segment.times.on_written(entries);
                is_complete_wanted && segment.times.tail_len() > 0
            }
            FileKind::TransactionIndex => {
                segment.transactions.on_written(entries);
                segment.transactions.tail_len() > 0
            }
            _ => false,
        };
        if left {
            self.write_index(index, kind, out);
            if self.is_closing {
                // The sync of the close was asked for before this write.
                self.sync_below(self.offsets.log_end, out);
            }
        }
    }

    /// The next start of the process still reads what was not synced, and its syncs would succeed: it has
    /// to write that anew. A failure of the power takes the note with it, and the doubt.
    fn note_failed_sync(&mut self, out: &mut Out) {
        if planted(Planted::FailedSyncUnnoted) {
            return;
        }
        let file = self.file(0, FileKind::FailedSync);
        let ticket = self.promise(Promise::SmallFile);
        out.push(DiskEffect::Write { file, position: 0, bytes: FAILED_SYNC_NOTE.into(), ticket });
    }

    /// The process ends before the disk has said how the syncs under way went: one of them may fail, and
    /// nobody would know.
    pub fn doubt_syncs_under_way(&mut self, out: &mut Out) {
        let is_sync = |promise: &Promise| matches!(promise, Promise::Sync { .. });
        if self.has_folder() && self.promises.iter().any(|(_, promise)| is_sync(promise)) {
            self.note_failed_sync(out);
        }
    }

    /// Somebody waits for what a postponed sync was about.
    pub fn sync_again(&mut self, now: Now) {
        self.sync_again_ms = Some(now.monotonic_ms.saturating_add(SYNC_AGAIN_MS));
    }

    /// Why a sync does not count that came through behind one that did not.
    fn postponed_with(&self, sequence: u64) -> Option<DiskError> {
        let (before, error) = self.postponed.as_ref()?;
        (sequence < *before && !planted(Planted::SyncBehindPostponedCounts)).then(|| error.clone())
    }

    /// Which files a sync would have covered that did not come through is not kept: all from the
    /// recovery point on, and the segment that ends there.
    fn owe_all(&mut self) {
        for (_, base_offset) in std::mem::take(&mut self.asked_segments) {
            self.owe(base_offset);
        }
        let first = self.segment_index(self.offsets.recovery_point).saturating_sub(1);
        for index in first..self.segments.len() {
            let Some(segment) = self.segments.get_mut(index) else { continue };
            segment.mark_unsynced();
            let base_offset = segment.base_offset;
            self.owe(base_offset);
        }
    }

    /// What a failed sync left unsynced nobody knows: the file systems mark such pages clean.
    fn on_promise_broken(
        &mut self,
        now: Now,
        promise: Promise,
        completion: &Completion,
        error: DiskError,
        out: &mut Out,
    ) -> Completed {
        if let Promise::Sync { .. } = promise
            && self.has_folder()
        {
            if !self.is_failure(completion.ticket, &error) {
                // Records that wait for room are still there: the next sync covers them.
                self.owe_all();
                self.postponed = Some((self.next_sequence, error.clone()));
                let again_ms = now.monotonic_ms.saturating_add(SYNC_AGAIN_MS);
                self.unsynced_since_ms.get_or_insert(again_ms);
                return Completed::Postponed { error };
            }
            self.failure.get_or_insert_with(|| error.clone());
            self.note_failed_sync(out);
        }
        if let Promise::Index { segment: base_offset, kind, entries } = promise {
            let index = self.segment_index(base_offset);
            if let Some(segment) = self.segments.get_mut(index)
                && segment.base_offset == base_offset
            {
                match kind {
                    FileKind::OffsetIndex => segment.offsets.on_write_failed(entries),
                    FileKind::TimeIndex => segment.times.on_write_failed(entries),
                    FileKind::TransactionIndex => segment.transactions.on_write_failed(entries),
                    _ => {}
                }
            }
        }
        Completed::Failed { tickets: vec![completion.ticket], error }
    }
}
