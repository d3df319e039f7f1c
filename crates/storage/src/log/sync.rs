//! From *written* to *synced*: the recovery point, and when the topic wants it moved.

use strom_base::time::earlier;
use strom_base::{Now, Planted, planted};

use super::{Log, Out, Promise};
use crate::disk::{DiskEffect, FileId, FileKind, LogId, Ticket};
use crate::segment::Segment;

/// Of a segment.
pub(super) const KINDS: [FileKind; 4] =
    [FileKind::Records, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];

impl Segment {
    pub(crate) fn has_file(&self, kind: FileKind) -> bool {
        match kind {
            FileKind::Records => true,
            FileKind::OffsetIndex => self.offsets.has_file(),
            FileKind::TimeIndex => self.times.has_file(),
            FileKind::TransactionIndex => self.transactions.has_file(),
            _ => false,
        }
    }

    /// What was written to since a sync named it: each file that is synced empties the disk's cache, be it
    /// as clean as it may, and where segments are small and syncs slow each would name thousands. Syncs
    /// are kept in their order.
    fn take_unsynced_files(&mut self, log: LogId, is_active: bool) -> impl Iterator<Item = FileId> {
        let is_asked = std::mem::replace(&mut self.is_asked, !is_active);
        let is_unsynced = [
            is_active || !is_asked,
            self.offsets.take_unsynced(),
            self.times.take_unsynced(),
            self.transactions.take_unsynced(),
        ];
        let kinds = KINDS.into_iter().zip(is_unsynced).filter(|(_, is_unsynced)| *is_unsynced);
        kinds.map(move |(kind, _)| self.file(log, kind))
    }

    pub(super) fn mark_unsynced(&mut self) {
        self.is_asked = false;
        self.offsets.mark_unsynced();
        self.times.mark_unsynced();
        self.transactions.mark_unsynced();
    }

    /// Their files may not have been made.
    pub(super) fn doubt_empty_indexes(&mut self) {
        self.offsets.doubt_if_empty();
        self.times.doubt_if_empty();
        self.transactions.doubt_if_empty();
    }

    /// As a clean stop leaves it: nothing is only in memory, and the files are there.
    pub(super) fn has_all_indexes(&self) -> bool {
        self.indexes_are_on_file() && self.offsets.has_file() && self.times.has_file()
    }

    /// Nothing of a closed segment's indexes is only in memory.
    pub(super) fn indexes_are_on_file(&self) -> bool {
        self.offsets.is_on_file() && self.times.is_on_file() && self.transactions.tail_len() == 0
    }
}

impl Log {
    /// Asks for everything appended so far to be synced.
    pub fn sync(&mut self, _now: Now, out: &mut Out) -> Ticket {
        self.unsynced_since_ms = None;
        self.sync_again_ms = None;
        self.sync_below(self.offsets.log_end, out)
    }

    /// Syncs the files of all segments that hold records behind the recovery point, below `offset`.
    pub(super) fn sync_below(&mut self, offset: i64, out: &mut Out) -> Ticket {
        self.make_folder(out);
        if self.lacks_records_file {
            self.create_records_file(out);
        }
        self.write_lacking_epochs(out);
        let first = self.segment_index(self.offsets.recovery_point);
        let owing = std::mem::take(&mut self.owing_segments);
        let mut files = Vec::new();
        for index in owing.first().map_or(first, |owing| self.segment_index(*owing).min(first))
            ..self.segments.len()
        {
            let is_active = index + 1 == self.segments.len();
            if let Some(segment) = self.segments.get_mut(index)
                && (segment.base_offset < offset || is_active)
                && (index >= first || owing.contains(&segment.base_offset))
            {
                files.extend(segment.take_unsynced_files(self.identity.id, is_active));
            }
        }
        files.extend(self.unsynced_files.iter().map(|kind| self.file(0, *kind)));
        let ticket = self.promise(Promise::Sync { offset, indexed: self.indexed_end(true) });
        self.asked_segments.extend(owing.into_iter().map(|it| (ticket.sequence, it)));
        out.push(DiskEffect::Sync { files, ticket });
        ticket
    }

    pub(super) fn files_of(&self, segment: &Segment) -> Vec<FileId> {
        let is_there = |kind: &FileKind| segment.has_file(*kind);
        let log = self.identity.id;
        KINDS.into_iter().filter(is_there).map(|kind| segment.file(log, kind)).collect()
    }

    /// Below it the index files lack nothing, if what was asked of them counts.
    pub(super) fn indexed_end(&self, counts_asked: bool) -> i64 {
        // Of the segment that ends at the recovery point the last time may be missing: its roll came later.
        let first = self.segment_index(self.offsets.recovery_point.saturating_sub(1));
        let behind = self.segments.iter().skip(first).flat_map(|segment| {
            let of = |relative: u32| segment.base_offset + i64::from(relative);
            let offset = segment.offsets.first_behind(counts_asked);
            let time = segment.times.first_behind(counts_asked);
            let aborted = segment.transactions.first_behind(counts_asked);
            [
                offset.map(|it| of(it.relative_offset)),
                time.map(|it| of(it.relative_offset)),
                aborted.map(|it| it.last_offset),
            ]
        });
        behind.flatten().min().unwrap_or(i64::MAX)
    }

    /// What is synced reaches `offset`, or the first closed segment whose indexes are not on file
    /// yet: recovery would not rebuild them. It trusts all index files below the recovery point.
    pub(super) fn on_synced(&mut self, offset: i64, indexed: i64) {
        let closed = self.segments.len().saturating_sub(1);
        let first = self.segment_index(self.offsets.synced);
        let incomplete = self.segments.iter().take(closed).skip(first).find(|segment| {
            segment.base_offset >= self.offsets.synced && !segment.indexes_are_on_file()
        });
        let bound = incomplete.map_or(i64::MAX, |segment| segment.base_offset);
        let offset = if planted(Planted::SyncedUpToTheEnd) { self.offsets.log_end } else { offset };
        let synced = offset.min(bound).min(self.offsets.written);
        self.offsets.synced = self.offsets.synced.max(synced);
        let noted = self.indexed_end(false).min(self.epochs_noted_end());
        let recovery_point = synced.min(indexed).min(noted);
        self.offsets.recovery_point = self.offsets.recovery_point.max(recovery_point);
    }

    /// `flush.messages`: the sync that an append has to wait for.
    pub(super) fn sync_by_count(&mut self, now: Now, out: &mut Out) -> Option<Ticket> {
        self.unsynced_since_ms.get_or_insert(now.monotonic_ms);
        let unsynced = self.offsets.log_end.saturating_sub(self.offsets.synced);
        (unsynced >= self.config.flush_messages).then(|| self.sync(now, out))
    }

    /// Moves the recovery point on without anybody asking or waiting, if much was appended or scanned
    /// behind it: recovery after a kill begins there, with the indexes and the producers that were
    /// noted with it.
    pub fn sync_in_background(&mut self, out: &mut Out) {
        if self.bytes_since_sync >= self.config.background_sync_bytes() {
            self.move_recovery_point(out);
        }
    }

    /// As [`Log::sync_in_background`], however little it may be. The ticket is the sync's.
    pub fn move_recovery_point(&mut self, out: &mut Out) -> Ticket {
        self.bytes_since_sync = 0;
        self.write_indexes(self.segments.len() - 1, out);
        let ticket = self.sync_below(self.offsets.log_end, out);
        self.await_snapshot(ticket, self.offsets.log_end);
        ticket
    }

    /// About what recovery would have to read if the process were killed now.
    pub fn unsynced_bytes(&self) -> u64 {
        self.bytes_since_sync
    }

    /// The recovery point has moved by itself: it is worth a checkpoint soon. True once each time.
    pub fn take_new_recovery_point(&mut self) -> bool {
        std::mem::take(&mut self.has_new_recovery_point)
    }

    fn sync_deadline(&self) -> Option<u64> {
        if self.is_deleted() {
            return None;
        }
        let delay_ms = u64::try_from(self.config.flush_ms).unwrap_or(0);
        let since_ms = self.unsynced_since_ms.filter(|_| self.config.flush_ms != i64::MAX);
        earlier(self.sync_again_ms, since_ms.map(|it| it.saturating_add(delay_ms)))
    }

    /// Monotonic; the next sync by time or file deletion.
    pub fn next_deadline(&self) -> Option<u64> {
        earlier(self.sync_deadline(), self.removal.next_deadline())
    }

    pub fn on_deadline(&mut self, now: Now, out: &mut Out) {
        if self.sync_deadline().is_some_and(|deadline| deadline <= now.monotonic_ms) {
            self.sync(now, out);
        }
        self.removal.on_deadline(now, out);
        self.remove_folder(now, out);
    }
}
