//! Reading: from an offset to a range of one file.
//!
//! At the tail the recent batches answer; further back the offset index says where to begin and a
//! few batch headers are walked. The records themselves are never touched here.

use super::{Log, recent::RecentBatch};
use crate::disk::{DiskError, FileId, FileKind, ReadFiles};
use crate::index::IndexFile;
use crate::scan::{HeaderScan, Located, RecordsSource};
use crate::segment::Segment;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    pub offset: i64,
    pub max_bytes: u32,
    /// Exclusive: high watermark, last stable offset or log end offset; at most the written offset
    /// counts.
    pub upper_bound_offset: i64,
    /// The first batch is whole even when larger than `max_bytes` (KIP-74).
    pub at_least_one_batch: bool,
}

/// A range of one segment's records. It begins with the batch that holds the wanted offset (or the
/// first one behind it) and may end inside a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSlice {
    pub file: FileId,
    pub position: u64,
    /// Bytes; 0 at the end of what may be read, or when `max_bytes` cannot hold the first batch.
    pub length: u32,
    /// Base offset of the first batch; the asked offset for an empty slice.
    pub base_offset: i64,
    /// No record of the slice is at or past it.
    pub upper_bound_offset: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} is not within {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange { offset: i64, log_start_offset: i64, log_end_offset: i64 },
    /// Only from `ReadFiles` that do not block: ask again on a worker.
    #[error("the read would block")]
    WouldBlock,
    #[error("the log is corrupt at byte {position} of segment {segment}")]
    Corrupt { segment: i64, position: u64 },
    #[error(transparent)]
    Disk(DiskError),
}

impl From<DiskError> for ReadError {
    fn from(error: DiskError) -> ReadError {
        match error {
            DiskError::WouldBlock => ReadError::WouldBlock,
            error => ReadError::Disk(error),
        }
    }
}

/// One entry of a fetch answer's aborted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// The records of one segment of this log.
pub(super) struct SegmentRecords<'a> {
    pub(super) files: &'a dyn ReadFiles,
    pub(super) file: FileId,
}

impl RecordsSource for SegmentRecords<'_> {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.files.read_at(self.file, position, buffer)
    }

    fn segment(&self) -> i64 {
        self.file.segment
    }
}

/// A batch found by its offset.
#[derive(Clone, Copy, Debug)]
struct Found {
    position: u64,
    size: u64,
    base_offset: i64,
}

impl From<RecentBatch> for Found {
    fn from(batch: RecentBatch) -> Found {
        Found {
            position: u64::from(batch.position),
            size: u64::from(batch.size),
            base_offset: batch.base_offset,
        }
    }
}

impl From<Located> for Found {
    fn from(located: Located) -> Found {
        Found {
            position: located.position,
            size: located.entry.size as u64,
            base_offset: located.entry.base_offset,
        }
    }
}

/// The base offset of the batch at a position, and the first batch from there on that ends at or behind an
/// offset.
fn first_ending_at(
    source: &SegmentRecords<'_>,
    (position, end): (u64, u64),
    offset: i64,
) -> Result<(Option<i64>, Option<Located>), ReadError> {
    let (mut first, mut scan) = (None, HeaderScan::new(source, position, end));
    while let Some(located) = scan.next()? {
        first.get_or_insert(located.entry.base_offset);
        if located.entry.last_offset >= offset {
            return Ok((first, Some(located)));
        }
    }
    Ok((first, None))
}

/// Whether a search for the offset may begin at a batch with this base offset.
fn begins_within(base_offset: i64, segment: &Segment, offset: i64) -> bool {
    (segment.base_offset..=offset).contains(&base_offset)
}

impl Log {
    /// Where the records from `request.offset` on lie. Never crosses segments.
    ///
    /// # Errors
    /// `OffsetOutOfRange` outside of log start and log end; `WouldBlock` from files that do not.
    pub fn read(
        &self,
        files: &dyn ReadFiles,
        request: &ReadRequest,
    ) -> Result<ReadSlice, ReadError> {
        let offset = request.offset;
        if offset < self.offsets.log_start || offset > self.offsets.log_end {
            return Err(ReadError::OffsetOutOfRange {
                offset,
                log_start_offset: self.offsets.log_start,
                log_end_offset: self.offsets.log_end,
            });
        }
        let upper = request.upper_bound_offset.min(self.offsets.written);
        if offset >= upper {
            return Ok(self.empty_slice(offset));
        }
        // A segment may end in a gap that compaction left: the next one goes on.
        for index in self.segment_index(offset)..self.segments.len() {
            let Some(segment) = self.segments.get(index) else { break };
            if segment.base_offset >= upper {
                break;
            }
            let end = self.end_position(files, index, upper)?;
            if let Some(found) = self.find(files, index, offset, end)? {
                return Ok(self.slice(index, found, end, request, upper));
            }
        }
        Ok(self.empty_slice(offset))
    }

    fn slice(
        &self,
        index: usize,
        found: Found,
        end: u64,
        request: &ReadRequest,
        upper: i64,
    ) -> ReadSlice {
        let available = end.saturating_sub(found.position);
        let first = found.size.min(available);
        let mut length = available.min(u64::from(request.max_bytes));
        if length < first {
            length = if request.at_least_one_batch { first } else { 0 };
        }
        let segment = self.segments.get(index).map_or(0, |segment| segment.base_offset);
        let next = self.segments.get(index + 1).map_or(upper, |segment| segment.base_offset);
        ReadSlice {
            file: self.file(segment, FileKind::Records),
            position: found.position,
            length: length as u32,
            base_offset: found.base_offset,
            upper_bound_offset: upper.min(next),
        }
    }

    fn empty_slice(&self, offset: i64) -> ReadSlice {
        ReadSlice {
            file: self.file(self.active().base_offset, FileKind::Records),
            position: 0,
            length: 0,
            base_offset: offset,
            upper_bound_offset: offset,
        }
    }

    /// Where the records below `upper` end in a segment that begins below it.
    fn end_position(
        &self,
        files: &dyn ReadFiles,
        index: usize,
        upper: i64,
    ) -> Result<u64, ReadError> {
        let Some(segment) = self.segments.get(index) else { return Ok(0) };
        let next = self.segments.get(index + 1).map(|next| next.base_offset);
        let mut end = segment.size();
        if let Some(pending) = self.pending.front()
            && pending.mark.base_offset == segment.base_offset
        {
            end = u64::from(pending.mark.state.size);
        }
        let is_whole = upper == self.offsets.written || next.is_some_and(|next| upper >= next);
        if is_whole {
            return Ok(end);
        }
        let found = self.find(files, index, upper, end)?;
        Ok(found.map_or(end, |found| found.position))
    }

    /// The first batch of a segment that ends at or behind `offset`, before `end`.
    fn find(
        &self,
        files: &dyn ReadFiles,
        index: usize,
        offset: i64,
        end: u64,
    ) -> Result<Option<Found>, ReadError> {
        let Some(segment) = self.segments.get(index) else { return Ok(None) };
        let is_active = index + 1 == self.segments.len();
        if is_active && let Some(recent) = self.recent.find(offset) {
            let found = Found::from(recent);
            return Ok((found.position < end).then_some(found));
        }
        let located = self.locate(files, segment, offset, end)?;
        Ok(located.map(Found::from))
    }

    /// The same, by index and headers; by all headers of the segment where the index misleads, as one does
    /// that was read wrong or is damaged.
    pub(super) fn locate(
        &self,
        files: &dyn ReadFiles,
        segment: &Segment,
        offset: i64,
        end: u64,
    ) -> Result<Option<Located>, ReadError> {
        let position = self.index_position(files, segment, offset)?;
        let source = self.records_of(files, segment);
        if position > 0 {
            match first_ending_at(&source, (position, end), offset) {
                Ok((first, found))
                    if first.is_some_and(|it| begins_within(it, segment, offset)) =>
                {
                    return Ok(found);
                }
                Ok(_) | Err(ReadError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(first_ending_at(&source, (0, end), offset)?.1)
    }

    /// A position at or before the batch that holds `offset`.
    pub(super) fn index_position(
        &self,
        files: &dyn ReadFiles,
        segment: &Segment,
        offset: i64,
    ) -> Result<u64, ReadError> {
        let source =
            IndexFile { files, file: self.file(segment.base_offset, FileKind::OffsetIndex) };
        let relative = offset.saturating_sub(segment.base_offset);
        let at_or_below = segment
            .offsets
            .partition_point(source, |entry| i64::from(entry.relative_offset) <= relative)?;
        let Some(index) = at_or_below.checked_sub(1) else { return Ok(0) };
        let entry = segment.offsets.get(index, source)?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    pub(super) fn records_of<'a>(
        &self,
        files: &'a dyn ReadFiles,
        segment: &Segment,
    ) -> SegmentRecords<'a> {
        SegmentRecords { files, file: self.file(segment.base_offset, FileKind::Records) }
    }

    /// Aborted transactions that overlap `[from, upper)`, for `read_committed` fetches: `from` is
    /// the fetch offset, `upper` the slice's upper bound.
    ///
    /// # Errors
    /// The indexes cannot be read.
    pub fn aborted_transactions(
        &self,
        files: &dyn ReadFiles,
        from: i64,
        upper: i64,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut aborted = Vec::new();
        for segment in self.segments.iter().skip(self.segment_index(from)) {
            if segment.transactions.len() == 0 {
                continue;
            }
            let file = self.file(segment.base_offset, FileKind::TransactionIndex);
            for entry in segment.transactions.all(IndexFile { files, file })? {
                if entry.last_offset >= from && entry.first_offset < upper {
                    let (producer_id, first_offset) = (entry.producer_id, entry.first_offset);
                    aborted.push(AbortedTransaction { producer_id, first_offset });
                }
                if entry.last_stable_offset >= upper {
                    return Ok(aborted);
                }
            }
        }
        Ok(aborted)
    }
}
