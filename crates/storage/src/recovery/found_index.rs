//! The offset and time index that a scanned segment has on file, entry by entry held against the
//! batches.
//!
//! A stop and a start leave entries at other batches than one pass over the segment would. They are
//! as good if they are true: a file that is all true is gone on with, not written anew.

use crate::entry::BatchEntry;
use crate::format::index_entry::{IndexEntry, OffsetEntry, TimeEntry};
use crate::index::SegmentIndex;
use crate::segment::Segment;

/// Entries of one file, the first of them confirmed.
#[derive(Debug)]
pub(super) struct FoundIndex<E> {
    entries: Vec<E>,
    confirmed: usize,
}

impl<E> Default for FoundIndex<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), confirmed: 0 }
    }
}

impl<E: IndexEntry> FoundIndex<E> {
    pub(super) fn new(entries: Vec<E>) -> Self {
        Self { entries, confirmed: 0 }
    }

    fn next(&self) -> Option<E> {
        self.entries.get(self.confirmed).copied()
    }

    /// `index`, whose file goes on for `bytes` behind what it knows of it, with the file's entries
    /// if they are all of them true, and its own only behind them. `None` if the file is not like that.
    pub(super) fn join(
        &self,
        index: &SegmentIndex<E>,
        bytes: u64,
        is_behind: impl Fn(&E, &E) -> bool,
    ) -> Option<SegmentIndex<E>> {
        let is_all = self.confirmed == self.entries.len();
        let is_whole = bytes == self.entries.len() as u64 * E::LENGTH as u64;
        if !is_all || !is_whole {
            return None;
        }
        let is_new = |entry: &E| self.entries.last().is_none_or(|last| is_behind(last, entry));
        let count = u32::try_from(self.entries.len()).ok()?;
        Some(index.continued(count, is_new))
    }
}

#[derive(Debug, Default)]
pub(super) struct FoundIndexes {
    pub(super) offsets: FoundIndex<OffsetEntry>,
    pub(super) times: FoundIndex<TimeEntry>,
}

impl FoundIndexes {
    /// A batch at `position` was taken into the segment.
    pub(super) fn compare(&mut self, batch: &BatchEntry, position: u64, segment: &Segment) {
        let of = |entry: u32| segment.base_offset + i64::from(entry);
        if let Some(next) = self.offsets.next()
            && of(next.relative_offset) == batch.last_offset
            && u64::from(next.position) == position
        {
            self.offsets.confirmed += 1;
        }
        if let Some(next) = self.times.next()
            && next.timestamp == segment.state.max_timestamp
            && of(next.relative_offset) == segment.state.max_timestamp_offset
        {
            self.times.confirmed += 1;
        }
    }
}
