//! Cutting the end of a log off: a follower that parted from its leader (KIP-101, KIP-595).
//!
//! Where to cut and what the producers were by then has to be read, so there is a plan first, which
//! may be made on a worker, and then the cut, which reads nothing.

use strom_base::Now;
use strom_protocol::records::NO_TIMESTAMP;

use super::{Log, Out, ReadError};
use crate::disk::{FileKind, ReadFiles, Ticket};
use crate::format::producer_snapshot;
use crate::index::IndexFile;
use crate::producers::{ProducerStates, marker_of};
use crate::scan::{HeaderScan, read_batch};
use crate::segment::{Segment, SegmentMark, SegmentState};

/// A producer snapshot is read in chunks of this.
const SNAPSHOT_CHUNK: usize = 64 << 10;

/// Where to cut, found by reading: see `Log::plan_truncation`.
#[derive(Clone, Debug)]
pub struct Truncation {
    offset: i64,
    cut: Cut,
}

#[derive(Clone, Debug)]
enum Cut {
    /// The log ends there or before.
    Nothing,
    /// The offset is below the first segment.
    Everything,
    Segment {
        mark: SegmentMark,
        producers: Box<ProducerStates>,
    },
}

impl Log {
    /// Where to cut so that `offset` becomes the log end offset. Reads only; good until the log
    /// changes.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn plan_truncation(
        &self,
        files: &dyn ReadFiles,
        offset: i64,
    ) -> Result<Truncation, ReadError> {
        if offset >= self.offsets.log_end {
            return Ok(Truncation { offset, cut: Cut::Nothing });
        }
        let segment = match self.segments.get(self.segment_index(offset)) {
            Some(segment) if segment.base_offset <= offset => segment,
            _ => return Ok(Truncation { offset, cut: Cut::Everything }),
        };
        let mark = self.mark_at(files, segment, offset)?;
        let producers = Box::new(self.producers_at(files, offset)?);
        Ok(Truncation { offset, cut: Cut::Segment { mark, producers } })
    }

    /// Cuts as planned. Returns the tickets of pending appends that were cut off.
    pub fn truncate(&mut self, now: Now, plan: Truncation, out: &mut Out) -> Vec<Ticket> {
        match plan.cut {
            Cut::Nothing => Vec::new(),
            Cut::Everything => self.truncate_fully_and_start_at(now, plan.offset, out),
            Cut::Segment { mark, producers } => {
                let tickets = self.forget_pending(plan.offset);
                while self.active().base_offset > mark.base_offset {
                    let Some(segment) = self.segments.pop() else { break };
                    self.retire_segment(&segment, now, out);
                }
                let log = self.identity.id;
                self.active_mut().reset(&mark, log, out);
                self.void_promises(plan.offset, mark.base_offset);
                self.remove_snapshots(plan.offset + 1, i64::MAX, out);
                self.producers = *producers;
                self.producers.on_high_watermark(self.offsets.high_watermark);
                self.after_cut(plan.offset, out);
                tickets
            }
        }
    }

    /// Drops everything and starts empty at `offset`.
    pub fn truncate_fully_and_start_at(
        &mut self,
        now: Now,
        offset: i64,
        out: &mut Out,
    ) -> Vec<Ticket> {
        let tickets = self.forget_pending(i64::MIN);
        for segment in std::mem::take(&mut self.segments) {
            self.retire_segment(&segment, now, out);
        }
        self.remove_snapshots(0, i64::MAX, out);
        self.segments.push(Segment::new(offset, now.wall_ms));
        self.void_promises(i64::MIN, i64::MIN);
        self.create_records_file(out);
        self.producers = ProducerStates::default();
        self.after_cut(offset, out);
        self.offsets = super::Offsets {
            log_start: offset,
            high_watermark: offset,
            synced: offset,
            recovery_point: offset,
            written: offset,
            log_end: offset,
        };
        if !self.epochs.entries().is_empty() {
            self.epochs.clear();
            self.write_epochs(offset, out);
        }
        tickets
    }

    fn after_cut(&mut self, offset: i64, out: &mut Out) {
        self.recent.clear();
        self.offsets.cut(offset);
        if self.epochs.truncate_from_end(offset) {
            self.write_epochs(offset, out);
        }
    }

    fn forget_pending(&mut self, offset: i64) -> Vec<Ticket> {
        let log = self.identity.id;
        let first = self.pending.partition_point(|append| append.last_offset < offset);
        let gone = self.pending.drain(first..);
        gone.map(|append| Ticket { log, sequence: append.sequence }).collect()
    }

    /// The segment as it is when it ends before the batch that holds `offset`.
    fn mark_at(
        &self,
        files: &dyn ReadFiles,
        segment: &Segment,
        offset: i64,
    ) -> Result<SegmentMark, ReadError> {
        let located = self.locate(files, segment, offset, segment.size())?;
        let size = located.map_or(segment.size(), |located| located.position);
        let relative = offset - segment.base_offset;
        let (log, base_offset) = (self.identity.id, segment.base_offset);
        let source = |kind| IndexFile { files, file: segment.file(log, kind) };
        let offset_entries =
            segment.offsets.partition_point(source(FileKind::OffsetIndex), |entry| {
                u64::from(entry.position) < size
            })?;
        let times = source(FileKind::TimeIndex);
        let time_entries = segment
            .times
            .partition_point(times, |entry| i64::from(entry.relative_offset) < relative)?;
        let transaction_entries =
            segment.transactions.partition_point(source(FileKind::TransactionIndex), |entry| {
                entry.last_offset < offset
            })?;
        let last_time_entry = match time_entries.checked_sub(1) {
            Some(last) => segment.times.get(last, times)?,
            None => None,
        };
        let mut state = SegmentState { size: size as u32, last_time_entry, ..Default::default() };
        self.fill_state(files, segment, &mut state)?;
        Ok(SegmentMark { base_offset, state, offset_entries, time_entries, transaction_entries })
    }

    /// Timestamps of the kept part: from the time index, then from the batches behind it.
    fn fill_state(
        &self,
        files: &dyn ReadFiles,
        segment: &Segment,
        state: &mut SegmentState,
    ) -> Result<(), ReadError> {
        let source = self.records_of(files, segment);
        let end = u64::from(state.size);
        let first = HeaderScan::new(&source, 0, end).next()?;
        state.first_timestamp = first.map(|located| located.entry.max_timestamp);
        let mut from = 0;
        if let Some(entry) = state.last_time_entry {
            state.max_timestamp = entry.timestamp;
            state.max_timestamp_offset = segment.base_offset + i64::from(entry.relative_offset);
            from = self.index_position(files, segment, state.max_timestamp_offset)?.min(end);
        } else {
            state.max_timestamp = NO_TIMESTAMP;
        }
        let mut scan = HeaderScan::new(&source, from, end);
        while let Some(located) = scan.next()? {
            if located.entry.max_timestamp > state.max_timestamp {
                state.max_timestamp = located.entry.max_timestamp;
                state.max_timestamp_offset = located.entry.last_offset;
            }
        }
        Ok(())
    }

    /// Producer state before `offset`: the newest snapshot that is not behind it, then the batches.
    fn producers_at(
        &self,
        files: &dyn ReadFiles,
        offset: i64,
    ) -> Result<ProducerStates, ReadError> {
        if self.producers.is_empty() {
            return Ok(ProducerStates::default());
        }
        let newest = self.snapshots.partition_point(|snapshot| *snapshot <= offset);
        let (mut states, from) = match newest.checked_sub(1).and_then(|i| self.snapshots.get(i)) {
            Some(snapshot) => (self.read_snapshot(files, *snapshot)?, *snapshot),
            None => {
                let first = self.segments.first().map_or(0, |segment| segment.base_offset);
                (ProducerStates::default(), first)
            }
        };
        for segment in self.segments.iter().skip(self.segment_index(from)) {
            if segment.base_offset >= offset {
                break;
            }
            let source = self.records_of(files, segment);
            let start = self.index_position(files, segment, from)?;
            let mut scan = HeaderScan::new(&source, start, segment.size());
            while let Some(located) = scan.next()? {
                if located.entry.last_offset >= offset {
                    break;
                }
                let header = located.entry.header.filter(|header| header.has_producer_id());
                let Some(header) = header.filter(|header| header.base_offset >= from) else {
                    continue;
                };
                let marker = match header.is_control() {
                    true => marker_of(&header, &read_batch(&source, &located)?),
                    false => None,
                };
                states.apply(&header, marker);
            }
        }
        Ok(states)
    }

    /// A damaged snapshot counts as empty: what it knew is older than what is asked.
    fn read_snapshot(
        &self,
        files: &dyn ReadFiles,
        offset: i64,
    ) -> Result<ProducerStates, ReadError> {
        let file = self.file(offset, FileKind::ProducerSnapshot);
        let mut bytes = Vec::new();
        loop {
            let start = bytes.len();
            bytes.resize(start + SNAPSHOT_CHUNK, 0);
            let chunk = bytes.get_mut(start..).unwrap_or_default();
            let read = files.read_at(file, start as u64, chunk)?;
            bytes.truncate(start + read);
            if read < SNAPSHOT_CHUNK {
                break;
            }
        }
        let entries = producer_snapshot::parse(&bytes).unwrap_or_default();
        Ok(ProducerStates::from_snapshot(&entries))
    }
}
