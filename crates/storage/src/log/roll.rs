//! Closing the active segment and beginning the next.

use bytes::Bytes;
use strom_base::Now;

use super::{AwaitedSnapshot, Log, Out, Promise};
use crate::disk::{DiskEffect, FileKind, Ticket};
use crate::segment::{RollQuestion, Segment};

impl Log {
    /// Rolls when an append of these bytes demands it. The new segment begins at `first_offset`.
    pub(super) fn roll_if_needed(&mut self, append: &Incoming, now: Now, out: &mut Out) {
        let active = self.active();
        let must_roll = active.must_roll(&RollQuestion {
            config: &self.config,
            log: self.identity.id,
            now,
            bytes: append.bytes,
            max_timestamp: append.max_timestamp,
            last_offset: append.last_offset,
        });
        if must_roll && append.first_offset > active.base_offset {
            self.roll(append.first_offset, now, out);
        }
    }

    /// Indexes and a producer snapshot of the old segment are written and it is synced, all in the
    /// background; appends go on in the new one.
    pub(super) fn roll(&mut self, base_offset: i64, now: Now, out: &mut Out) {
        self.active_mut().add_time_entry();
        self.write_indexes(self.segments.len() - 1, out);
        self.cut_zeros(out);
        let synced = self.sync_below(base_offset, out);
        self.active_mut().is_asked = true;
        self.await_snapshot(synced, base_offset);
        self.bytes_since_sync = 0;
        self.segments.push(Segment::new(base_offset, now.wall_ms));
        self.create_records_file(out);
        self.recent.clear();
    }

    /// A closed segment's file ends with its last batch: a start trusts it. The roll's sync covers the
    /// cut; where that was lost, recovery finds zeros behind all that belongs into the segment.
    fn cut_zeros(&mut self, out: &mut Out) {
        if let Some((file, length)) = self.take_zeros() {
            out.push(DiskEffect::Trim { file, length });
        }
    }

    /// Writes what a segment's indexes hold in memory only.
    pub(super) fn write_indexes(&mut self, index: usize, out: &mut Out) {
        self.write_index(index, FileKind::OffsetIndex, out);
        self.write_index(index, FileKind::TimeIndex, out);
        if self.segments.get(index).is_some_and(|segment| segment.transactions.tail_len() > 0) {
            self.write_index(index, FileKind::TransactionIndex, out);
        }
    }

    pub(super) fn write_index(&mut self, index: usize, kind: FileKind, out: &mut Out) {
        let sequence = self.next_sequence;
        let ticket = Ticket { log: self.identity.id, sequence };
        let Some(segment) = self.segments.get_mut(index) else { return };
        let base_offset = segment.base_offset;
        let file = segment.file(ticket.log, kind);
        let (effect, entries) = match kind {
            FileKind::OffsetIndex => {
                (segment.offsets.write_out(file, ticket), segment.offsets.writing())
            }
            FileKind::TimeIndex => (segment.times.write_out(file, ticket), segment.times.writing()),
            FileKind::TransactionIndex => {
                (segment.transactions.write_out(file, ticket), segment.transactions.writing())
            }
            _ => (None, 0),
        };
        if let Some(effect) = effect {
            if index < self.segment_index(self.offsets.recovery_point) {
                self.owe(base_offset);
            }
            self.promise(Promise::Index { segment: base_offset, kind, entries });
            out.push(effect);
        }
    }

    /// The next sync names the files of this segment, too, though it lies below the recovery point: the
    /// last entry of an index comes with the roll, and later still where the disk was full.
    pub(super) fn owe(&mut self, base_offset: i64) {
        if let Err(at) = self.owing_segments.binary_search(&base_offset) {
            self.owing_segments.insert(at, base_offset);
        }
        let index = self.segment_index(base_offset);
        if let Some(segment) = self.segments.get_mut(index) {
            segment.is_asked = false;
        }
    }

    /// Producer state up to `offset`, which is the log's end.
    pub(super) fn write_snapshot(&mut self, offset: i64, out: &mut Out) {
        let bytes = Bytes::from(self.producers.snapshot());
        self.put_snapshot(offset, bytes, out);
    }

    /// The same, once that sync is done: recovery takes a snapshot for a sign that nothing before it is
    /// missing.
    pub(super) fn await_snapshot(&mut self, synced: Ticket, offset: i64) {
        let bytes = Bytes::from(self.producers.snapshot());
        let sequence = synced.sequence;
        self.awaited_snapshots.push(AwaitedSnapshot { sequence, offset, bytes });
    }

    /// A sync is done, or has failed: then `safe_below` is `None`. What counts records that were taken
    /// back meanwhile is not written.
    pub(super) fn settle_awaited_snapshots(
        &mut self,
        sequence: u64,
        safe_below: Option<i64>,
        out: &mut Out,
    ) {
        let settled = self.awaited_snapshots.extract_if(.., |it| it.sequence == sequence);
        let settled: Vec<AwaitedSnapshot> = settled.collect();
        if settled.is_empty() || self.is_failed() || self.is_deleted() {
            return;
        }
        let Some(end) = safe_below else { return };
        let first = self.segments.first().map_or(0, |segment| segment.base_offset);
        for AwaitedSnapshot { offset, bytes, .. } in settled {
            if (first..=end.min(self.offsets.written)).contains(&offset) {
                self.put_snapshot(offset, bytes, out);
            }
        }
        self.remove_old_snapshots(out);
    }

    fn put_snapshot(&mut self, offset: i64, bytes: Bytes, out: &mut Out) {
        let file = self.file(offset, FileKind::ProducerSnapshot);
        let path = self.path_of(file);
        let ticket = self.promise(Promise::Snapshot);
        out.push(DiskEffect::Replace { path, bytes, ticket });
        if let Err(index) = self.snapshots.binary_search(&offset) {
            self.snapshots.insert(index, offset);
        }
    }
}

/// An append by its totals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) record_count: u32,
    pub(super) bytes: u64,
}
