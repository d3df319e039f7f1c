//! From a time to an offset: ListOffsets by timestamp and its sentinels.
//!
//! Indexes and headers lead to a batch. To look into that is not done here: it may unfold to very much.

use strom_base::{Planted, planted};
use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{BatchHeader, NO_TIMESTAMP, outline_records};

use super::{Log, ReadError};
use crate::disk::{FileKind, ReadFiles};
use crate::entry::BatchEntry;
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

/// How far a search has come.
#[derive(Debug)]
pub enum Sought {
    /// There is none, or it is this.
    Found(Option<TimestampAndOffset>),
    /// The batch that has it, by its header.
    In(BatchSearch),
    /// As many headers were read as may be.
    NotBefore(SearchFrom),
    /// The batch that has it, by its header, is larger than may be read.
    TooLarge,
}

/// Where a search for a time goes on: none at or after it lies before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchFrom {
    offset: i64,
    /// Segment and position of the batch that begins there, when it was come to: a search that goes on from batch to
    /// batch does not begin at the index for each of them.
    place: Option<(i64, u64)>,
}

impl SearchFrom {
    #[must_use]
    pub fn offset(offset: i64) -> Self {
        Self { offset, place: None }
    }

    fn behind(entry: &BatchEntry, segment: i64, position: u64) -> Self {
        let place = Some((segment, position.saturating_add(entry.size as u64)));
        Self { offset: entry.last_offset.saturating_add(1), place }
    }
}

/// What a search may do.
#[derive(Clone, Copy, Debug)]
pub struct SearchLimits {
    /// Each header that is read and leads to nothing is taken from it.
    pub headers_left: usize,
    pub batch_bytes_max: usize,
}

/// A search within a batch.
#[derive(Debug)]
pub struct BatchSearch {
    header: BatchHeader,
    batch: Vec<u8>,
    unfolded_bytes_max: usize,
    wanted: Wanted,
    behind: SearchFrom,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// The first at or after this time, no earlier in the log than `from`.
    Since { timestamp: i64, from: i64 },
    /// The first of exactly this time.
    At { timestamp: i64 },
}

/// What a search within a batch has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// There is none in the log, or it is this.
    Found(Option<TimestampAndOffset>),
    /// The header has claimed too much.
    NotBefore(SearchFrom),
    /// There is more to look through than may be.
    TooLong,
}

impl BatchSearch {
    /// Memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batch.len()
    }

    /// With so much left it is never too long.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        if self.is_folded() { self.unfolded_bytes_max.max(self.bytes()) } else { self.bytes() }
    }

    /// Looks into the batch; what is looked through is taken from `bytes_left`. Records that cannot be read are
    /// answered by the batch's first offset, which misses nothing.
    #[must_use]
    pub fn perform(&self, bytes_left: &mut usize) -> Searched {
        let Some(left) = bytes_left.checked_sub(self.bytes()) else { return Searched::TooLong };
        let limit = self.unfolded_bytes_max.min(*bytes_left);
        let (mut found, mut codecs) = (None, Codecs::new());
        let walked =
            outline_records(&self.header, &self.batch, (&mut codecs, limit), &mut |record| {
                let timestamp = self.header.timestamp_at(record.timestamp_delta);
                let offset = self.header.offset_at(record.offset_delta);
                found = self.wanted.is(timestamp, offset).then_some((timestamp, offset));
                found.is_none()
            });
        let unfolded = usize::try_from(codecs.unfolded_bytes()).unwrap_or(usize::MAX);
        *bytes_left = left.min(bytes_left.saturating_sub(unfolded));
        match walked {
            Ok(()) => self.conclude(found),
            Err(_) if self.is_folded() && limit < self.unfolded_bytes_max => Searched::TooLong,
            Err(_) => self.conclude(Some((self.header.max_timestamp, self.header.base_offset))),
        }
    }

    fn is_folded(&self) -> bool {
        self.header.codec() != Ok(Codec::None)
    }

    fn conclude(&self, found: Option<(i64, i64)>) -> Searched {
        match (found, self.wanted) {
            (Some(found), _) => Searched::Found(Some(self.answer(found))),
            (None, Wanted::Since { .. }) => Searched::NotBefore(self.behind),
            (None, Wanted::At { .. }) => Searched::Found(None),
        }
    }

    fn answer(&self, (timestamp, offset): (i64, i64)) -> TimestampAndOffset {
        let epoch = self.header.partition_leader_epoch;
        TimestampAndOffset { timestamp, offset, leader_epoch: (epoch >= 0).then_some(epoch) }
    }
}

impl Wanted {
    fn is(self, time: i64, at: i64) -> bool {
        match self {
            Self::Since { timestamp, from } => time >= timestamp && at >= from,
            Self::At { timestamp } => time == timestamp,
        }
    }
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

    /// The first record at or after `timestamp`, among the written ones from `from` on. The index leads close to it,
    /// but where headers claim too much.
    ///
    /// # Errors
    /// The files cannot be read, or would block.
    pub fn seek_timestamp(
        &self,
        files: &dyn ReadFiles,
        (timestamp, from): (i64, SearchFrom),
        limits: &mut SearchLimits,
    ) -> Result<Sought, ReadError> {
        let SearchFrom { offset, place } = from;
        let from = offset.max(self.offsets.log_start);
        for segment in self.segments.iter().skip(self.segment_index(from)) {
            let largest = segment.largest_timestamp();
            if largest < timestamp.saturating_add(planted(Planted::LargestTimePassedOver).into()) {
                continue;
            }
            let source = self.records_of(files, segment);
            let (base_offset, end) = (segment.base_offset, self.written_size(segment));
            let place = place.filter(|(segment, _)| *segment == base_offset && from == offset);
            let position = match place {
                Some((_, position)) if begins_at(&source, (position, end), from)? => position,
                _ => self.position_of_time(files, segment, timestamp, from)?,
            };
            let mut scan = HeaderScan::new(&source, position, end);
            while let Some(located) = scan.next()? {
                let entry = &located.entry;
                if entry.max_timestamp >= timestamp && entry.last_offset >= from {
                    let wanted = Wanted::Since { timestamp, from };
                    return self.search(&source, &located, wanted, limits);
                }
                let Some(left) = limits.headers_left.checked_sub(1) else {
                    let from = SearchFrom::behind(entry, base_offset, located.position);
                    return Ok(Sought::NotBefore(from));
                };
                limits.headers_left = left;
            }
        }
        Ok(Sought::Found(None))
    }

    /// The first record with the largest timestamp (ListOffsets -3), among the written ones.
    ///
    /// # Errors
    /// The files cannot be read, or would block.
    pub fn seek_max_timestamp(
        &self,
        files: &dyn ReadFiles,
        limits: &SearchLimits,
    ) -> Result<Sought, ReadError> {
        let written = self.segments.iter().rev();
        let written = written.filter_map(|it| Some((it, self.written_state(it)?)));
        let newest = written.max_by_key(|(_, state)| state.max_timestamp);
        let Some((segment, state)) = newest.filter(|(_, state)| state.max_timestamp >= 0) else {
            return Ok(Sought::Found(None));
        };
        let (timestamp, offset) = (state.max_timestamp, state.max_timestamp_offset);
        let end = u64::from(state.size);
        match self.locate(files, segment, offset, end)? {
            Some(located) => {
                let source = self.records_of(files, segment);
                self.search(&source, &located, Wanted::At { timestamp }, limits)
            }
            None => Ok(Sought::Found(None)),
        }
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

    /// Reads the batch that has what is wanted, by its header.
    fn search(
        &self,
        source: &dyn RecordsSource,
        located: &Located,
        wanted: Wanted,
        limits: &SearchLimits,
    ) -> Result<Sought, ReadError> {
        let entry = &located.entry;
        let Some(header) = entry.header else {
            // An old message is one record, or a wrapper that is answered as one.
            let (timestamp, offset) = (entry.max_timestamp, entry.base_offset);
            let found = TimestampAndOffset { timestamp, offset, leader_epoch: None };
            return Ok(Sought::Found(Some(found)));
        };
        if entry.size > limits.batch_bytes_max {
            return Ok(Sought::TooLarge);
        }
        let (segment, position) = (source.segment(), located.position);
        let batch = read_batch(source, located)?;
        if !entry.is_intact(&batch) {
            return Err(ReadError::Corrupt { segment, position });
        }
        let behind = SearchFrom::behind(entry, segment, position);
        let unfolded_bytes_max = self.config.unfolded_bytes_max();
        Ok(Sought::In(BatchSearch { header, batch, unfolded_bytes_max, wanted, behind }))
    }
}

/// Whether a batch that begins with the offset stands there, still.
fn begins_at(
    source: &dyn RecordsSource,
    (position, end): (u64, u64),
    offset: i64,
) -> Result<bool, ReadError> {
    match HeaderScan::new(source, position, end).next() {
        Ok(located) => Ok(located.is_some_and(|it| it.entry.base_offset == offset)),
        Err(ReadError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
