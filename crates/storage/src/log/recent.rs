//! The last batches of the active segment by offset and position: readers at the tail find their
//! place without a disk read.

use std::collections::VecDeque;

use crate::entry::BatchEntry;

/// What the remembered batches take.
#[cfg(test)]
pub(super) const BYTES_MAX: usize = KEPT * size_of::<RecentBatch>();
/// Batches remembered.
const KEPT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecentBatch {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) position: u32,
    pub(super) size: u32,
}

/// Contiguous in the file, oldest first.
#[derive(Debug, Default)]
pub(super) struct RecentBatches {
    batches: VecDeque<RecentBatch>,
}

impl RecentBatches {
    pub(super) fn push(&mut self, batch: &BatchEntry, position: u32) {
        if self.batches.len() == KEPT {
            self.batches.pop_front();
        }
        self.batches.push_back(RecentBatch {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            position,
            size: batch.size as u32,
        });
    }

    /// The first batch that ends at or behind `offset`, if it is surely among the remembered.
    pub(super) fn find(&self, offset: i64) -> Option<RecentBatch> {
        if self.batches.front()?.base_offset > offset {
            return None;
        }
        let index = self.batches.partition_point(|batch| batch.last_offset < offset);
        self.batches.get(index).copied()
    }

    pub(super) fn cut(&mut self, position: u32) {
        let kept = self.batches.partition_point(|batch| batch.position < position);
        self.batches.truncate(kept);
    }

    pub(super) fn clear(&mut self) {
        self.batches = VecDeque::new();
    }
}
