//! Where inside of a segment scanning may begin: shortly before the recovery point.
//!
//! All below the recovery point was synced, and the index files lack nothing of it. What an index says
//! has to be proved all the same: its entries grow, the batch that one of them names is there and
//! whole, and its epoch is known. Without a proof the segment is read whole.

use super::found_index::{FoundIndex, FoundIndexes};
use super::load::DiskRecords;
use super::segment_scan::SegmentScan;
use super::{Recovery, RecoveryError};
use crate::disk::{Disk, DiskError, FileKind};
use crate::entry::BatchEntry;
use crate::format::index_entry::{IndexEntry, OffsetEntry, TimeEntry, TransactionEntry};
use crate::index::SegmentIndex;
use crate::log::ReadError;
use crate::scan::{HeaderScan, Located, read_batch};

/// An index above this is not ours.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// A scan that begins at a batch inside of its segment.
pub(super) struct Resume {
    /// The batch's first offset.
    pub(super) offset: i64,
    pub(super) scan: Box<SegmentScan>,
}

impl Recovery {
    /// `None`: the segment has to be read whole.
    pub(super) fn find_resume(&mut self, disk: &dyn Disk) -> Result<Option<Resume>, RecoveryError> {
        let index = self.scan_from;
        let Some(segment) = self.segments.get(index) else { return Ok(None) };
        let (base_offset, size) = (segment.base_offset, segment.size());
        let below = self.options.recovery_point.saturating_sub(base_offset);
        if self.options.clean || below <= 0 {
            return Ok(None);
        }
        let mut offsets = self.offset_entries(disk, base_offset)?;
        let count = offsets.partition_point(|it| i64::from(it.relative_offset) < below);
        let Some(begin) = count.checked_sub(1).and_then(|last| offsets.get(last)).copied() else {
            return Ok(None);
        };
        let mut times = self.time_entries(disk, base_offset)?;
        // An offset entry never comes without a time, unless the file was taken away.
        if times.is_empty() {
            return Ok(None);
        }
        let later = times.partition_point(|it| it.relative_offset <= begin.relative_offset);
        let found = FoundIndexes {
            offsets: FoundIndex::new(offsets.split_off(count - 1)),
            times: FoundIndex::new(times.split_off(later)),
        };
        let path = self.segment_file(base_offset, FileKind::Records);
        let source = DiskRecords { disk, path, segment: base_offset };
        let Some(first) = header_at(&source, 0, size)? else { return Ok(None) };
        let position = u64::from(begin.position);
        let Some(located) = header_at(&source, position, size)? else { return Ok(None) };
        let is_named = located.entry.last_offset == base_offset + i64::from(begin.relative_offset);
        let epoch = located.entry.header.map(|header| header.partition_leader_epoch);
        let is_known = epoch.is_some() && self.epochs.at(located.entry.base_offset) == epoch;
        let is_whole =
            || read_batch(&source, &located).is_ok_and(|batch| located.entry.is_intact(&batch));
        if !is_named || !is_known || !is_whole() {
            return Ok(None);
        }
        let mut scan = self.scan_at(disk, &located, (count - 1, &times), &first.entry)?;
        scan.found = found;
        let offset = located.entry.base_offset;
        // For look-ups until the scan is done.
        if let Some(segment) = self.segments.get_mut(index) {
            segment.offsets = SegmentIndex::from_file(count as u32);
        }
        Ok(Some(Resume { offset, scan: Box::new(scan) }))
    }

    /// The segment as it was before that batch was taken in.
    fn scan_at(
        &self,
        disk: &dyn Disk,
        located: &Located,
        (offset_count, times): (usize, &[TimeEntry]),
        first: &BatchEntry,
    ) -> Result<SegmentScan, RecoveryError> {
        let base_offset = self.base_offset(self.scan_from);
        let begin = located.entry.base_offset;
        let grows = |a: &TransactionEntry, b: &TransactionEntry| a.last_offset < b.last_offset;
        let transactions = self.prefix(disk, (base_offset, FileKind::TransactionIndex), grows)?;
        let transaction_count = transactions.partition_point(|entry| entry.last_offset < begin);
        let mut scan = SegmentScan::new(base_offset);
        scan.end_offset = begin;
        let segment = &mut scan.segment;
        segment.offsets = SegmentIndex::from_file(offset_count as u32);
        segment.times = SegmentIndex::from_file(times.len() as u32);
        if transaction_count > 0 {
            segment.transactions = SegmentIndex::from_file(transaction_count as u32);
        }
        let state = &mut segment.state;
        state.size = located.position as u32;
        state.first_timestamp = Some(first.max_timestamp);
        state.last_time_entry = times.last().copied();
        if let Some(last) = times.last() {
            state.max_timestamp = last.timestamp;
            state.max_timestamp_offset = base_offset + i64::from(last.relative_offset);
        }
        // The batch had an entry, and gets it again.
        state.bytes_since_index = u32::MAX;
        Ok(scan)
    }

    pub(super) fn offset_entries(
        &self,
        disk: &dyn Disk,
        base_offset: i64,
    ) -> Result<Vec<OffsetEntry>, RecoveryError> {
        let grows = |a: &OffsetEntry, b: &OffsetEntry| {
            a.relative_offset < b.relative_offset && a.position < b.position
        };
        let mut entries = self.prefix(disk, (base_offset, FileKind::OffsetIndex), grows)?;
        // No log has an entry for its first batch: these are zeros of a write that was lost.
        if entries.first().is_some_and(|first| first.position == 0) {
            entries.clear();
        }
        Ok(entries)
    }

    pub(super) fn time_entries(
        &self,
        disk: &dyn Disk,
        base_offset: i64,
    ) -> Result<Vec<TimeEntry>, RecoveryError> {
        let grows = |a: &TimeEntry, b: &TimeEntry| {
            a.relative_offset < b.relative_offset && a.timestamp < b.timestamp
        };
        let mut entries = self.prefix(disk, (base_offset, FileKind::TimeIndex), grows)?;
        // Apache Kafka makes its indexes of zeros, and what is killed leaves them; so does a write that was
        // lost when the power failed.
        let zeros = TimeEntry { timestamp: 0, relative_offset: 0 };
        if entries.first() == Some(&zeros) {
            entries.clear();
        }
        Ok(entries)
    }

    /// The entries of an index file up to where they no longer grow.
    fn prefix<E: IndexEntry>(
        &self,
        disk: &dyn Disk,
        (base_offset, kind): (i64, FileKind),
        grows: impl Fn(&E, &E) -> bool,
    ) -> Result<Vec<E>, RecoveryError> {
        let length = self.index_lengths.get(&(base_offset, kind)).copied().unwrap_or(0);
        if length == 0 || length > INDEX_BYTES_MAX {
            return Ok(Vec::new());
        }
        let bytes = match disk.read_file(&self.segment_file(base_offset, kind), INDEX_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(DiskError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut entries: Vec<E> = Vec::with_capacity(bytes.len() / E::LENGTH);
        for piece in bytes.chunks_exact(E::LENGTH) {
            match E::decode(piece) {
                Some(entry) if entries.last().is_none_or(|last| grows(last, &entry)) => {
                    entries.push(entry);
                }
                _ => break,
            }
        }
        Ok(entries)
    }
}

/// The batch at a position, `None` when no header stands there.
pub(super) fn header_at(
    source: &DiskRecords<'_>,
    position: u64,
    size: u64,
) -> Result<Option<Located>, RecoveryError> {
    match HeaderScan::new(source, position, size).next() {
        Ok(located) => Ok(located),
        Err(ReadError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(RecoveryError::from_read(error, &source.path)),
    }
}
