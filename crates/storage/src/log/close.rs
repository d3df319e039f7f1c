//! The orderly end of a log: what the next start may trust.

use strom_base::Now;

use super::{Log, Out};
use crate::disk::{DiskEffect, Ticket};

impl Log {
    /// Clean shutdown: indexes complete, producer snapshot at the log end, sync. All of it is done
    /// once [`Log::has_pending`] is false again; the ticket is the sync's. Without one there is
    /// nothing to sync: a node with thousands of quiet logs must not sync each of them.
    pub fn close(&mut self, now: Now, out: &mut Out) -> Option<Ticket> {
        if self.is_as_opened() || !self.has_folder() {
            return None;
        }
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
        self.write_snapshot(self.offsets.log_end, out);
        self.remove_old_snapshots(out);
        Some(self.sync(now, out))
    }

    /// The disk was asked for nothing since recovery, and that found everything complete and synced.
    fn is_as_opened(&self) -> bool {
        self.next_sequence == 0
            && self.active().filled_to == 0
            && self.offsets.synced == self.offsets.log_end
            && self.snapshots.last() == Some(&self.offsets.log_end)
            && self.segments.iter().all(|segment| segment.has_all_indexes())
    }

    /// If its empty files are lost, the next start makes them again.
    fn never_held_records(&self) -> bool {
        let has_zeros = self.config.preallocate || self.active().filled_to > 0;
        self.offsets.log_end == 0 && self.segments.len() == 1 && !has_zeros
    }
}
