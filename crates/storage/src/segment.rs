//! One segment: how much of it there is, what its indexes say, when it is full.

use strom_base::{Now, Planted, Random, planted};
use strom_protocol::records::NO_TIMESTAMP;

use crate::config::LogConfig;
use crate::disk::{DiskEffect, FileId, FileKind, LogId};
use crate::entry::BatchEntry;
use crate::format::index_entry::{OffsetEntry, TimeEntry, TransactionEntry};
use crate::index::SegmentIndex;

/// Positions in a segment are Kafka's `int`.
pub(crate) const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    /// Wall clock; stands in for the time of records that have none.
    pub(crate) created_ms: i64,
    pub(crate) state: SegmentState,
    /// Zeros were asked for behind the records, about up to this position; 0: the file ends with them.
    pub(crate) filled_to: u32,
    /// Closed, and a sync has named its records: it is done before any later one.
    pub(crate) is_asked: bool,
    pub(crate) offsets: SegmentIndex<OffsetEntry>,
    pub(crate) times: SegmentIndex<TimeEntry>,
    pub(crate) transactions: SegmentIndex<TransactionEntry>,
}

/// What an append changes besides the indexes: copied before each, to be put back if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentState {
    /// Bytes.
    pub(crate) size: u32,
    /// Of the first batch; decides when the segment is too old to grow.
    pub(crate) first_timestamp: Option<i64>,
    pub(crate) max_timestamp: i64,
    /// The last offset of the batch that had it.
    pub(crate) max_timestamp_offset: i64,
    pub(crate) bytes_since_index: u32,
    pub(crate) last_time_entry: Option<TimeEntry>,
}

/// A point to go back to within a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentMark {
    pub(crate) base_offset: i64,
    pub(crate) state: SegmentState,
    pub(crate) offset_entries: u32,
    pub(crate) time_entries: u32,
    pub(crate) transaction_entries: u32,
}

impl Default for SegmentState {
    fn default() -> Self {
        Self {
            size: 0,
            first_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset: -1,
            bytes_since_index: 0,
            last_time_entry: None,
        }
    }
}

impl Segment {
    pub(crate) fn new(base_offset: i64, created_ms: i64) -> Segment {
        Segment {
            base_offset,
            created_ms,
            state: SegmentState::default(),
            filled_to: 0,
            is_asked: false,
            offsets: SegmentIndex::default(),
            times: SegmentIndex::default(),
            transactions: SegmentIndex::default(),
        }
    }

    pub(crate) fn file(&self, log: LogId, kind: FileKind) -> FileId {
        FileId { log, segment: self.base_offset, kind }
    }

    pub(crate) fn size(&self) -> u64 {
        u64::from(self.state.size)
    }

    /// The age of a segment for retention.
    pub(crate) fn largest_timestamp(&self) -> i64 {
        if self.state.max_timestamp >= 0 { self.state.max_timestamp } else { self.created_ms }
    }

    pub(crate) fn mark(&self) -> SegmentMark {
        SegmentMark {
            base_offset: self.base_offset,
            state: self.state,
            offset_entries: self.offsets.len(),
            time_entries: self.times.len(),
            transaction_entries: self.transactions.len(),
        }
    }

    /// Goes back to a mark of this segment; cuts the files that are longer.
    pub(crate) fn reset(&mut self, mark: &SegmentMark, log: LogId, out: &mut Vec<DiskEffect>) {
        let file = self.file(log, FileKind::Records);
        self.state = mark.state;
        self.filled_to = 0;
        self.is_asked = false;
        out.push(DiskEffect::Truncate { file, length: self.size() });
        let file = self.file(log, FileKind::OffsetIndex);
        out.extend(self.offsets.truncate(mark.offset_entries, file));
        let file = self.file(log, FileKind::TimeIndex);
        out.extend(self.times.truncate(mark.time_entries, file));
        let file = self.file(log, FileKind::TransactionIndex);
        out.extend(self.transactions.truncate(mark.transaction_entries, file));
    }

    /// Takes a batch in that is about to be written behind the others.
    pub(crate) fn add(&mut self, batch: &BatchEntry, index_interval_bytes: u32) {
        let state = &mut self.state;
        if batch.max_timestamp > state.max_timestamp || planted(Planted::LastTimestampForLargest) {
            state.max_timestamp = batch.max_timestamp;
            state.max_timestamp_offset = batch.last_offset;
        }
        state.first_timestamp.get_or_insert(batch.max_timestamp);
        if state.bytes_since_index > index_interval_bytes {
            let relative_offset = (batch.last_offset - self.base_offset) as u32;
            self.offsets.push(OffsetEntry { relative_offset, position: state.size });
            state.bytes_since_index = 0;
            self.add_time_entry();
        }
        let size = batch.size as u32;
        self.state.size = self.state.size.saturating_add(size);
        self.state.bytes_since_index = self.state.bytes_since_index.saturating_add(size);
    }

    /// Notes the largest timestamp so far, if it is larger than the one noted last.
    pub(crate) fn add_time_entry(&mut self) {
        let last = self.state.last_time_entry.map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        if self.state.max_timestamp > last {
            let relative_offset = (self.state.max_timestamp_offset - self.base_offset) as u32;
            let entry = TimeEntry { timestamp: self.state.max_timestamp, relative_offset };
            self.times.push(entry);
            self.state.last_time_entry = Some(entry);
        }
    }

    /// Whether an append has to begin a new segment.
    pub(crate) fn must_roll(&self, append: &RollQuestion<'_>) -> bool {
        let config = append.config;
        let is_too_old = self.age_ms(append) > config.segment_age_max_ms() - self.jitter_ms(append);
        let limit = u64::from(config.segment_bytes).min(SEGMENT_BYTES_MAX);
        self.size() + append.bytes > limit && self.size() > 0
            || (self.size() > 0 && is_too_old)
            || self.offsets.len() >= config.offset_entries_max()
            || self.times.len() >= config.time_entries_max()
            || append.last_offset - self.base_offset > i64::from(i32::MAX)
    }

    /// By record timestamps, else by the clock.
    fn age_ms(&self, append: &RollQuestion<'_>) -> i64 {
        match self.state.first_timestamp {
            Some(first) if first >= 0 => append.max_timestamp.saturating_sub(first),
            _ => append.now.wall_ms.saturating_sub(self.created_ms),
        }
    }

    /// Segments of many logs that began together do not all end together.
    fn jitter_ms(&self, append: &RollQuestion<'_>) -> i64 {
        let bound = append.config.segment_jitter_ms.min(append.config.segment_ms).max(0);
        let seed = (u64::from(append.log.0) << 32) ^ self.base_offset as u64;
        Random::new(seed).below(bound as u64) as i64
    }
}

/// An append that asks whether it fits.
pub(crate) struct RollQuestion<'a> {
    pub(crate) config: &'a LogConfig,
    pub(crate) log: LogId,
    pub(crate) now: Now,
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: i64,
    pub(crate) last_offset: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(last_offset: i64, size: usize, max_timestamp: i64) -> BatchEntry {
        BatchEntry { base_offset: last_offset, last_offset, size, max_timestamp, header: None }
    }

    #[test]
    fn index_entries_are_sparse_and_times_only_grow() {
        let mut segment = Segment::new(100, 0);
        for (offset, timestamp) in [(100, 50), (101, 40), (102, 40), (103, 60)] {
            segment.add(&batch(offset, 3000, timestamp), 4096);
        }
        assert_eq!(segment.offsets.len(), 1);
        assert_eq!(segment.times.len(), 1);
        assert_eq!(segment.state.max_timestamp_offset, 103);
        segment.add_time_entry();
        segment.add_time_entry();
        assert_eq!(segment.times.len(), 2);
    }

    #[test]
    fn a_segment_is_full_by_size_age_and_offset() {
        let config = LogConfig { segment_bytes: 1000, segment_ms: 100, ..LogConfig::default() };
        let mut segment = Segment::new(0, 0);
        let now = Now::default();
        let question = |bytes, max_timestamp, last_offset| RollQuestion {
            config: &config,
            log: LogId(0),
            now,
            bytes,
            max_timestamp,
            last_offset,
        };
        assert!(!segment.must_roll(&question(1000, 500, 1)));
        segment.add(&batch(0, 600, 10), 4096);
        assert!(!segment.must_roll(&question(400, 110, 1)));
        assert!(segment.must_roll(&question(401, 110, 1)));
        assert!(segment.must_roll(&question(10, 111, 1)));
        assert!(segment.must_roll(&question(10, 10, i64::from(i32::MAX) + 1)));
    }
}
