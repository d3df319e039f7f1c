//! The orderly end of a log: what the next start may trust.

use strom_base::Now;

use super::{Log, Out};
use crate::disk::{DiskEffect, Ticket};

/// What a start after a kill may read again for want of a producer snapshot.
const UNNOTED_BYTES_MAX: u64 = 64 << 10;

impl Log {
    /// Clean shutdown: indexes complete, producer snapshot at the log end, sync. All of it is done
    /// once [`Log::has_pending`] is false again; the ticket is the sync's. Without one there is
    /// nothing to sync: a node with thousands of quiet logs must not sync each of them.
    pub fn close(&mut self, now: Now, out: &mut Out) -> Option<Ticket> {
        if self.is_as_opened() || !self.has_folder() {
            return None;
        }
        self.is_closing = true;
        self.active_mut().add_time_entry();
        for index in 0..self.segments.len() {
            self.write_indexes(index, out);
        }
        if self.never_held_records() {
            return None;
        }
        if let Some((file, length)) = self.take_zeros() {
            out.push(DiskEffect::Trim { file, length });
        }
        // It comes with the stop, or is not needed.
        self.awaited_snapshots.clear();
        if !self.has_nothing_to_note() {
            self.write_snapshot(self.offsets.log_end, out);
            self.remove_old_snapshots(out);
        }
        Some(self.sync(now, out))
    }

    /// Where a log has no producer snapshot at all, a start after a clean stop takes it that there are no
    /// producers, here as in Apache Kafka: thousands of small logs are spared a file each.
    fn has_nothing_to_note(&self) -> bool {
        let is_small = self.segments.len() == 1 && self.active().size() <= UNNOTED_BYTES_MAX;
        is_small && self.snapshots.is_empty() && self.producers.is_empty()
    }

    /// The disk was asked for nothing since recovery, and that found everything complete and synced.
    fn is_as_opened(&self) -> bool {
        self.next_sequence == 0
            && self.owing_segments.is_empty()
            && self.active().filled_to == 0
            && self.offsets.synced == self.offsets.log_end
            && (self.snapshots.last() == Some(&self.offsets.log_end) || self.has_nothing_to_note())
            && self.segments.iter().all(|segment| segment.has_all_indexes())
    }

    /// If its empty files are lost, the next start makes them again.
    fn never_held_records(&self) -> bool {
        let has_zeros = self.config.preallocate || self.active().filled_to > 0;
        self.offsets.log_end == 0 && self.segments.len() == 1 && !has_zeros
    }
}
