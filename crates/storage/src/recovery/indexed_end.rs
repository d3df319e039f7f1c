//! The end of a segment that is trusted: its last batches, held against the last entries of its indexes.
//!
//! Entries have no checksum. One that was read wrong, or was lost in a failure of the power, would make the
//! segment's largest timestamp another one: look-ups by time would pass the segment over, retention would
//! let it go before its time.

use strom_protocol::records::NO_TIMESTAMP;

use super::load::{DiskRecords, LastEntries};
use super::resume::header_at;
use super::{Recovery, RecoveryError};
use crate::disk::{Disk, DiskError, DiskPath, FileId, FileKind, LogId, ReadFiles};
use crate::format::index_entry::{OffsetEntry, TimeEntry};
use crate::index::IndexFile;
use crate::log::ReadError;
use crate::scan::HeaderScan;
use crate::segment::Segment;

/// What the batches of a segment show from its last offset entry on: those before are covered by the time
/// entries that came with the offset entries.
struct LastBatches {
    first_timestamp: Option<i64>,
    end_offset: i64,
    largest_timestamp: i64,
    /// The batch of the last time entry is among them, and has its time.
    has_last_time: bool,
}

impl Recovery {
    /// Whether the segment ends as its indexes say. Of the last one the log's end is known then.
    pub(super) fn is_end_as_indexed(
        &mut self,
        disk: &dyn Disk,
        index: usize,
        last: &LastEntries,
    ) -> Result<bool, RecoveryError> {
        let Some(segment) = self.segments.get(index) else { return Ok(false) };
        let base_offset = segment.base_offset;
        let path = self.segment_file(base_offset, FileKind::Records);
        let source = DiskRecords { disk, path: path.clone(), segment: base_offset };
        let proved = match self.prove_end(&source, segment, last) {
            Ok(proved) => proved,
            Err(ReadError::Corrupt { .. }) => None,
            Err(error) => return Err(RecoveryError::from_read(error, &path)),
        };
        let Some(last_batches) = proved else { return Ok(false) };
        if let Some(next) = self.segments.get(index + 1) {
            return Ok(last_batches.end_offset <= next.base_offset);
        }
        let first_timestamp = match last.offset {
            None => last_batches.first_timestamp,
            Some(_) => match header_at(&source, 0, segment.size())? {
                Some(first) => Some(first.entry.max_timestamp),
                None => return Ok(false),
            },
        };
        self.log_end_offset = last_batches.end_offset;
        if let Some(segment) = self.segments.get_mut(index) {
            segment.state.first_timestamp = first_timestamp;
        }
        Ok(true)
    }

    /// `None` if an index says otherwise.
    fn prove_end(
        &self,
        source: &DiskRecords<'_>,
        segment: &Segment,
        last: &LastEntries,
    ) -> Result<Option<LastBatches>, ReadError> {
        let from = last.offset.map_or(0, |entry| u64::from(entry.position));
        let Some(batches) = last_batches(source, segment, from, last.time)? else {
            return Ok(None);
        };
        let noted = last.time.map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        let has_last_time = batches.has_last_time
            || match last.time {
                Some(entry) => self.has_time(source, segment, entry)?,
                None => true,
            };
        if batches.largest_timestamp > noted || !has_last_time {
            return Ok(None);
        }
        Ok(Some(batches))
    }

    /// Whether the batch that an entry names, before the last ones, has its time.
    fn has_time(
        &self,
        source: &DiskRecords<'_>,
        segment: &Segment,
        entry: TimeEntry,
    ) -> Result<bool, ReadError> {
        let kind = FileKind::OffsetIndex;
        let path = self.segment_file(segment.base_offset, kind);
        let files = OnDisk { disk: source.disk, path };
        // The path says which log it is.
        let index = IndexFile { files: &files, file: segment.file(LogId(0), kind) };
        let is_at_or_below = |it: &OffsetEntry| it.relative_offset <= entry.relative_offset;
        let count = segment.offsets.partition_point(index, is_at_or_below)?;
        let position = match count.checked_sub(1) {
            Some(before) => segment.offsets.get(before, index)?.map_or(0, |it| it.position),
            None => 0,
        };
        let offset = segment.base_offset + i64::from(entry.relative_offset);
        let mut scan = HeaderScan::new(source, u64::from(position), segment.size());
        while let Some(located) = scan.next()? {
            if located.entry.last_offset >= offset {
                return Ok(located.entry.max_timestamp == entry.timestamp);
            }
        }
        Ok(false)
    }
}

/// `None`: what stands there are no batches of this segment.
fn last_batches(
    source: &DiskRecords<'_>,
    segment: &Segment,
    from: u64,
    time: Option<TimeEntry>,
) -> Result<Option<LastBatches>, ReadError> {
    let base_offset = segment.base_offset;
    let mut batches = LastBatches {
        first_timestamp: None,
        end_offset: base_offset,
        largest_timestamp: NO_TIMESTAMP,
        has_last_time: false,
    };
    let mut scan = HeaderScan::new(source, from, segment.size());
    while let Some(located) = scan.next()? {
        let entry = &located.entry;
        // The checksum does not cover the offset.
        let last = entry.last_offset;
        if last < batches.end_offset || last - base_offset > i64::from(i32::MAX) {
            return Ok(None);
        }
        batches.end_offset = last + 1;
        batches.first_timestamp.get_or_insert(entry.max_timestamp);
        batches.largest_timestamp = batches.largest_timestamp.max(entry.max_timestamp);
        batches.has_last_time |= time.is_some_and(|time| {
            let offset = base_offset + i64::from(time.relative_offset);
            (entry.base_offset..=last).contains(&offset) && entry.max_timestamp == time.timestamp
        });
    }
    Ok(Some(batches))
}

/// A file that stands for all.
struct OnDisk<'a> {
    disk: &'a dyn Disk,
    path: DiskPath,
}

impl ReadFiles for OnDisk<'_> {
    fn read_at(&self, _: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.disk.read_at(&self.path, position, buffer)
    }
}
