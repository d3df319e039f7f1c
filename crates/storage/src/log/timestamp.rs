//! From a time to an offset: ListOffsets by timestamp and its sentinels.

use strom_protocol::compression::Codecs;
use strom_protocol::records::{BatchHeader, NO_TIMESTAMP, outline_records};

use super::{Log, ReadError};
use crate::disk::{FileKind, ReadFiles};
use crate::format::index_entry::TimeEntry;
use crate::index::IndexFile;
use crate::scan::{HeaderScan, Located, RecordsSource, read_batch};
use crate::segment::{Segment, SegmentState};

/// `timestamp` and `leader_epoch` as ListOffsets answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// -1: none.
    pub timestamp: i64,
    pub offset: i64,
    pub leader_epoch: Option<i32>,
}

impl Log {
    /// ListOffsets -2.
    pub fn earliest(&self) -> TimestampAndOffset {
        let offset = self.offsets.log_start;
        let leader_epoch = self.epochs.at(offset);
        TimestampAndOffset { timestamp: NO_TIMESTAMP, offset, leader_epoch }
    }

    /// ListOffsets -1 as a replica sees it: the log end offset with the latest epoch.
    pub fn latest(&self) -> TimestampAndOffset {
        let offset = self.offsets.log_end;
        TimestampAndOffset { timestamp: NO_TIMESTAMP, offset, leader_epoch: self.latest_epoch() }
    }

    /// The first record at or after `timestamp`, among the written ones.
    ///
    /// # Errors
    /// The files cannot be read, or would block.
    pub fn offset_for_timestamp(
        &self,
        files: &dyn ReadFiles,
        timestamp: i64,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        let from = self.offsets.log_start;
        for segment in self.segments.iter().skip(self.segment_index(from)) {
            if segment.largest_timestamp() < timestamp {
                continue;
            }
            let position = self.position_of_time(files, segment, timestamp, from)?;
            let source = self.records_of(files, segment);
            let mut scan = HeaderScan::new(&source, position, self.written_size(segment));
            while let Some(located) = scan.next()? {
                let entry = located.entry;
                if entry.max_timestamp < timestamp || entry.last_offset < from {
                    continue;
                }
                let wanted = |time: i64, offset: i64| time >= timestamp && offset >= from;
                if let Some(found) = self.first_record(&source, &located, &wanted)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp (ListOffsets -3), among the written ones.
    ///
    /// # Errors
    /// The files cannot be read, or would block.
    pub fn max_timestamp(
        &self,
        files: &dyn ReadFiles,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        let written = self.segments.iter().rev();
        let written = written.filter_map(|it| Some((it, self.written_state(it)?)));
        let newest = written.max_by_key(|(_, state)| state.max_timestamp);
        let Some((segment, state)) = newest.filter(|(_, state)| state.max_timestamp >= 0) else {
            return Ok(None);
        };
        let (timestamp, offset) = (state.max_timestamp, state.max_timestamp_offset);
        let end = u64::from(state.size);
        let Some(located) = self.locate(files, segment, offset, end)? else { return Ok(None) };
        let source = self.records_of(files, segment);
        self.first_record(&source, &located, &|time, _| time == timestamp)
    }

    /// What a segment is without the appends that are not written yet; `None` when that is nothing.
    fn written_state(&self, segment: &Segment) -> Option<SegmentState> {
        match self.pending.front() {
            Some(pending) if pending.mark.base_offset == segment.base_offset => {
                Some(pending.mark.state)
            }
            Some(pending) if pending.mark.base_offset < segment.base_offset => None,
            _ => Some(segment.state),
        }
    }

    /// What may be read of a segment.
    fn written_size(&self, segment: &Segment) -> u64 {
        self.written_state(segment).map_or(0, |state| u64::from(state.size))
    }

    /// A position at or before the first record at or after `timestamp`.
    fn position_of_time(
        &self,
        files: &dyn ReadFiles,
        segment: &Segment,
        timestamp: i64,
        from: i64,
    ) -> Result<u64, ReadError> {
        let end = self.written_size(segment);
        let file = self.file(segment.base_offset, FileKind::TimeIndex);
        let source = IndexFile { files, file };
        let below = segment.times.partition_point(source, |entry| entry.timestamp < timestamp)?;
        let entry = match below.checked_sub(1) {
            Some(index) => segment.times.get(index, source)?,
            None => None,
        };
        let offset = match entry {
            Some(entry) if self.is_confirmed(files, segment, entry)? => {
                segment.base_offset.saturating_add(i64::from(entry.relative_offset))
            }
            _ => segment.base_offset,
        };
        let Some(located) = self.locate(files, segment, offset.max(from), end)? else {
            return Ok(end);
        };
        Ok(located.position)
    }

    /// Whether the batch that an entry names has the entry's timestamp. An index that was read wrong, or is
    /// damaged, leads past what is looked for.
    fn is_confirmed(
        &self,
        files: &dyn ReadFiles,
        segment: &Segment,
        entry: TimeEntry,
    ) -> Result<bool, ReadError> {
        let offset = segment.base_offset.saturating_add(i64::from(entry.relative_offset));
        let located = self.locate(files, segment, offset, self.written_size(segment))?;
        Ok(located.is_some_and(|it| it.entry.max_timestamp == entry.timestamp))
    }

    /// The first record of a batch that is wanted by its timestamp and offset.
    fn first_record(
        &self,
        source: &dyn RecordsSource,
        located: &Located,
        wanted: &dyn Fn(i64, i64) -> bool,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        let answer = |timestamp, offset, epoch: i32| TimestampAndOffset {
            timestamp,
            offset,
            leader_epoch: (epoch >= 0).then_some(epoch),
        };
        let entry = &located.entry;
        let Some(header) = &entry.header else {
            // An old message is one record, or a wrapper that is answered as one.
            return Ok(Some(answer(entry.max_timestamp, entry.base_offset, -1)));
        };
        let batch = read_batch(source, located)?;
        if !entry.is_intact(&batch) {
            let (segment, position) = (source.segment(), located.position);
            return Err(ReadError::Corrupt { segment, position });
        }
        let epoch = header.partition_leader_epoch;
        match find_record(header, &batch, self.config.unfolded_bytes_max(), wanted) {
            Some(found) => Ok(found.map(|(time, offset)| answer(time, offset, epoch))),
            // Records that cannot be read: the batch's first offset misses nothing.
            None => Ok(Some(answer(header.max_timestamp, header.base_offset, epoch))),
        }
    }
}

/// `None`: the records cannot be read.
fn find_record(
    header: &BatchHeader,
    batch: &[u8],
    limit: usize,
    wanted: &dyn Fn(i64, i64) -> bool,
) -> Option<Option<(i64, i64)>> {
    let mut found = None;
    let walked = outline_records(header, batch, (&mut Codecs::new(), limit), &mut |record| {
        let timestamp = header.timestamp_at(record.timestamp_delta);
        let offset = header.offset_at(record.offset_delta);
        found = wanted(timestamp, offset).then_some((timestamp, offset));
        found.is_none()
    });
    walked.is_ok().then_some(found)
}
