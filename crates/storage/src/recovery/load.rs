//! A segment that is trusted: what its index files say.

use super::replay::Replay;
use super::segment_scan::SegmentScan;
use super::{Recovery, RecoveryError, Stage};
use crate::disk::{Disk, DiskError, DiskPath, FileKind};
use crate::format::index_entry::{IndexEntry, OffsetEntry, TimeEntry, TransactionEntry};
use crate::index::SegmentIndex;
use crate::scan::RecordsSource;

/// A records file as the job reads it.
pub(super) struct DiskRecords<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) path: DiskPath,
    pub(super) segment: i64,
}

impl RecordsSource for DiskRecords<'_> {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.disk.read_at(&self.path, position, buffer)
    }

    fn segment(&self) -> i64 {
        self.segment
    }
}

impl Recovery {
    pub(super) fn load(&mut self, disk: &mut dyn Disk, index: usize) -> Result<u64, RecoveryError> {
        if index >= self.scan_from {
            self.begin_replay(disk)?;
            return Ok(1);
        }
        let is_trusted = match self.load_indexes(disk, index)? {
            Some(last) => self.is_end_as_indexed(disk, index, &last)?,
            None => false,
        };
        let is_last = index + 1 == self.segments.len();
        if is_trusted {
            self.stage = Stage::Load { next: index + 1 };
        } else if is_last {
            // The stop was not as clean as it was said to be.
            self.scan_from = index;
            self.stage = Stage::Load { next: index };
        } else {
            let scan = Box::new(SegmentScan::new(self.base_offset(index)));
            self.stage = Stage::Reindex { index, scan };
        }
        Ok(1)
    }

    pub(super) fn base_offset(&self, index: usize) -> i64 {
        self.segments.get(index).map_or(0, |segment| segment.base_offset)
    }

    /// `None` when an index file is missing or damaged.
    fn load_indexes(
        &mut self,
        disk: &dyn Disk,
        index: usize,
    ) -> Result<Option<LastEntries>, RecoveryError> {
        let base_offset = self.base_offset(index);
        let offsets = self.index_end::<OffsetEntry>(disk, base_offset, FileKind::OffsetIndex)?;
        let times = self.index_end::<TimeEntry>(disk, base_offset, FileKind::TimeIndex)?;
        let kind = FileKind::TransactionIndex;
        let transactions = self.index_end::<TransactionEntry>(disk, base_offset, kind)?;
        let Some(segment) = self.segments.get_mut(index) else { return Ok(None) };
        if let IndexEnd::At { count, .. } = transactions {
            segment.transactions = SegmentIndex::from_file(count);
        }
        let IndexEnd::At { count: offset_count, last: offset } = offsets else { return Ok(None) };
        let IndexEnd::At { count: time_count, last: time } = times else { return Ok(None) };
        let size = segment.state.size;
        let is_sane = offset
            .is_none_or(|entry: OffsetEntry| entry.relative_offset > 0 && entry.position < size)
            && time.is_none_or(|entry: TimeEntry| entry.timestamp >= 0 && !is_hole(entry));
        if !is_sane {
            return Ok(None);
        }
        segment.offsets = SegmentIndex::from_file(offset_count);
        segment.times = SegmentIndex::from_file(time_count);
        segment.state.last_time_entry = time;
        if let Some(entry) = time {
            segment.state.max_timestamp = entry.timestamp;
            segment.state.max_timestamp_offset =
                segment.base_offset + i64::from(entry.relative_offset);
        }
        Ok(Some(LastEntries { offset, time }))
    }

    fn index_end<E: IndexEntry>(
        &self,
        disk: &dyn Disk,
        base_offset: i64,
        kind: FileKind,
    ) -> Result<IndexEnd<E>, RecoveryError> {
        let length = self.index_lengths.get(&(base_offset, kind));
        Ok(last_entry(disk, &self.segment_file(base_offset, kind), length)?)
    }

    /// After a clean stop that was as clean as it was said to be.
    pub(super) fn is_all_trusted(&self) -> bool {
        self.options.clean && self.scan_from >= self.segments.len()
    }

    fn begin_replay(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        let resume = self.find_resume(disk)?;
        let end = match (&resume, self.segments.get(self.scan_from)) {
            (Some(resume), _) => resume.offset,
            (None, Some(segment)) => segment.base_offset,
            (None, None) => self.log_end_offset,
        };
        let from = match self.is_all_trusted() && self.snapshots.is_empty() {
            // A clean stop leaves no snapshot where there are no producers.
            true => end,
            false => self.load_snapshot(disk, end)?,
        };
        let replay = Replay { next_offset: from, end_offset: end, resume };
        self.stage = Stage::Replay(Box::new(replay));
        Ok(())
    }
}

/// Of a segment's index files.
pub(super) struct LastEntries {
    pub(super) offset: Option<OffsetEntry>,
    pub(super) time: Option<TimeEntry>,
}

enum IndexEnd<E> {
    Unusable,
    At { count: u32, last: Option<E> },
}

fn last_entry<E: IndexEntry>(
    disk: &dyn Disk,
    path: &DiskPath,
    length: Option<&u64>,
) -> Result<IndexEnd<E>, DiskError> {
    let Some(length) = length.copied() else { return Ok(IndexEnd::Unusable) };
    let size = E::LENGTH as u64;
    let Ok(count) = u32::try_from(length / size) else { return Ok(IndexEnd::Unusable) };
    if length % size != 0 {
        return Ok(IndexEnd::Unusable);
    }
    if count == 0 {
        return Ok(IndexEnd::At { count, last: None });
    }
    let mut bytes = vec![0; E::LENGTH];
    let read = disk.read_at(path, length - size, &mut bytes)?;
    match E::decode(bytes.get(..read).unwrap_or_default()) {
        Some(last) => Ok(IndexEnd::At { count, last: Some(last) }),
        None => Ok(IndexEnd::Unusable),
    }
}

/// An entry that was given a place in the file and never got there. A roll adds the last one, which may
/// lie below a recovery point of long ago.
fn is_hole(entry: TimeEntry) -> bool {
    entry.timestamp == 0 && entry.relative_offset == 0
}
