//! A segment that was read whole, compared with its index files: what differs is written and
//! synced, what is as it should be is left alone.

use super::segment_scan::SegmentScan;
use super::{Recovery, RecoveryError};
use crate::disk::{Disk, FileKind};
use crate::format::index_entry::IndexEntry;
use crate::index::{INDEX_TAIL_MAX, SegmentIndex};
use crate::segment::Segment;

/// More zeros at the end of a file than a log puts there ahead are cut off unread.
const FILLED_BYTES_MAX: u64 = 8 << 20;

impl Recovery {
    /// Takes a scanned segment for what it is; cuts its file if asked.
    pub(super) fn keep_scanned(
        &mut self,
        disk: &mut dyn Disk,
        index: usize,
        scan: SegmentScan,
        is_bad: bool,
    ) -> Result<(), RecoveryError> {
        let (mut segment, found) = (scan.segment, scan.found);
        segment.add_time_entry();
        if is_bad && self.is_filled(disk, index, segment.size())? {
            segment.filled_to = self.segments.get(index).map_or(0, |found| found.state.size);
        } else if is_bad {
            // Synced at once: what lay behind the cut must not come back behind what is appended.
            let records = self.segment_file(segment.base_offset, FileKind::Records);
            let length = self.segments.get(index).map_or(0, Segment::size);
            self.truncated_bytes += length.saturating_sub(segment.size());
            disk.truncate(&records, segment.size())?;
            disk.sync(&records)?;
        }
        let base_offset = segment.base_offset;
        // The active segment's indexes may lag behind in their files, as while the log runs.
        let is_active = is_bad || index + 1 == self.segments.len();
        let may_lag = if is_active { INDEX_TAIL_MAX } else { 0 };
        let file = (base_offset, FileKind::OffsetIndex);
        let joined = found.offsets.join(&segment.offsets, self.behind(file, &segment.offsets), {
            |last, own| own.relative_offset > last.relative_offset && own.position > last.position
        });
        let offsets = joined.as_ref().unwrap_or(&segment.offsets);
        segment.offsets = self.keep_index(disk, file, offsets.clone(), may_lag)?;
        let file = (base_offset, FileKind::TimeIndex);
        let joined = found.times.join(&segment.times, self.behind(file, &segment.times), {
            |last, own| own.relative_offset > last.relative_offset && own.timestamp > last.timestamp
        });
        let times = joined.as_ref().unwrap_or(&segment.times);
        segment.times = self.keep_index(disk, file, times.clone(), may_lag)?;
        let file = (base_offset, FileKind::TransactionIndex);
        if segment.transactions.len() > 0 {
            segment.transactions = self.keep_index(disk, file, segment.transactions, 0)?;
        } else if self.index_lengths.contains_key(&file) {
            disk.remove_file(&self.segment_file(base_offset, FileKind::TransactionIndex))?;
            self.has_new_names = true;
        }
        if let Some(slot) = self.segments.get_mut(index) {
            *slot = segment;
        }
        Ok(())
    }

    /// Whether the last segment has zeros and nothing else behind `end`: those that were put there for
    /// records to come. They may stay, and come back if they are cut.
    fn is_filled(&self, disk: &dyn Disk, index: usize, end: u64) -> Result<bool, RecoveryError> {
        let Some(found) = self.segments.get(index) else { return Ok(false) };
        let length = found.size().saturating_sub(end);
        if index + 1 < self.segments.len() || length > FILLED_BYTES_MAX || self.options.syncs_kept {
            return Ok(false);
        }
        let mut bytes = vec![0; length as usize];
        let path = self.segment_file(found.base_offset, FileKind::Records);
        let read = disk.read_at(&path, end, &mut bytes)?;
        Ok(read == bytes.len() && bytes.iter().all(|byte| *byte == 0))
    }

    /// Bytes that an index's file has behind the entries known to lie in it.
    fn behind<E: IndexEntry>(&self, file: (i64, FileKind), index: &SegmentIndex<E>) -> u64 {
        let length = self.index_lengths.get(&file).copied().unwrap_or(0);
        length.saturating_sub(u64::from(index.on_file()) * E::LENGTH as u64)
    }

    /// Makes an index's file hold what the index does, but for at most `may_lag` entries at the
    /// end, which stay in memory.
    fn keep_index<E: IndexEntry>(
        &mut self,
        disk: &mut dyn Disk,
        (base_offset, kind): (i64, FileKind),
        index: SegmentIndex<E>,
        may_lag: usize,
    ) -> Result<SegmentIndex<E>, RecoveryError> {
        let path = self.segment_file(base_offset, kind);
        let length = self.index_lengths.get(&(base_offset, kind)).copied();
        let (position, bytes) = (u64::from(index.on_file()) * E::LENGTH as u64, index.tail_bytes());
        let there = length.unwrap_or(0).saturating_sub(position);
        let mut sound = 0;
        let expected = usize::try_from(there).ok().and_then(|there| bytes.get(..there));
        if let Some(expected) = expected.filter(|it| !it.is_empty()) {
            let mut found = vec![0; expected.len()];
            let read = disk.read_at(&path, position, &mut found)?;
            let is_sound = read == found.len() && found == expected && read % E::LENGTH == 0;
            sound = if is_sound { read / E::LENGTH } else { 0 };
        }
        let is_sound = sound as u64 * E::LENGTH as u64 == there;
        let lag = bytes.len() / E::LENGTH - sound;
        let is_there = length.is_some() || (may_lag > 0 && position == 0);
        if is_sound && is_there && lag <= may_lag {
            let entries = index.on_file() + sound as u32;
            return Ok(index.found_on_file(entries, length.is_some()));
        }
        disk.write_at(&path, position, &bytes)?;
        disk.truncate(&path, position + bytes.len() as u64)?;
        disk.sync(&path)?;
        self.has_new_names |= length.is_none();
        Ok(SegmentIndex::from_file(index.len()))
    }
}
