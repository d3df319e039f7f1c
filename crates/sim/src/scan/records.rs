//! The records of a log, batch by batch.

use std::collections::BTreeMap;

use strom_protocol::records::{BatchHeader, batches, verify_crc};

/// A batch and where it lies in its segment.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) position: u64,
    pub(super) header: BatchHeader,
}

/// What a producer's last batch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastBatch {
    pub(super) epoch: i16,
    pub(super) sequence: i32,
    pub(super) offset: i64,
}

/// A producer after one of its batches.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Of the batch's last record.
    offset: i64,
    timestamp_ms: i64,
    last: LastBatch,
}

/// All that the segments so far have said.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// A cleaner has been there: offsets may be missing, but never go back.
    has_holes: bool,
    /// Producers that have written nothing since may be forgotten.
    expired_before_ms: i64,
    /// Behind the last record.
    pub(super) end_offset: Option<i64>,
    /// Leader epochs with the first offset of each.
    pub(super) epochs: Vec<(i32, i64)>,
    /// By producer id, every batch.
    producers: BTreeMap<i64, Vec<Moment>>,
}

impl Scanned {
    pub(super) fn new(has_holes: bool, expired_before_ms: i64) -> Self {
        Self { has_holes, expired_before_ms, ..Self::default() }
    }

    /// Reads a segment, which ends where the next one begins.
    pub(super) fn segment(
        &mut self,
        base_offset: i64,
        next_base_offset: Option<i64>,
        bytes: &[u8],
    ) -> Result<Vec<Found>, String> {
        if self.end_offset.is_some_and(|end| end != base_offset) {
            return Err(format!("the one before ends at {:?}", self.end_offset));
        }
        let (mut found, mut position, mut next) = (Vec::new(), 0, base_offset);
        for batch in batches(bytes) {
            let batch = batch.map_err(|error| format!("at byte {position}: {error}"))?;
            if !verify_crc(batch.bytes) {
                return Err(format!("at byte {position}: the checksum is wrong"));
            }
            let base_offset = batch.header.base_offset;
            if base_offset < next || base_offset > next && !self.has_holes {
                return Err(format!("offset {next} is missing, there is {base_offset}"));
            }
            next = batch.header.next_offset();
            self.note(&batch.header);
            let length = batch.bytes.len() as u64;
            found.push(Found { position, header: batch.header });
            position += length;
        }
        if position != bytes.len() as u64 {
            return Err(format!("{} bytes behind the last batch", bytes.len() as u64 - position));
        }
        if let Some(expected) = next_base_offset {
            if expected < next || expected > next && !self.has_holes {
                return Err(format!("it ends at {next}, the next begins at {expected}"));
            }
            next = expected;
        }
        self.end_offset = Some(next);
        Ok(found)
    }

    fn note(&mut self, header: &BatchHeader) {
        let epoch = header.partition_leader_epoch;
        if epoch >= 0 && self.epochs.last().is_none_or(|(last, _)| epoch > *last) {
            self.epochs.push((epoch, header.base_offset));
        }
        if header.has_producer_id() {
            let moments = self.producers.entry(header.producer_id).or_default();
            moments.push(Moment {
                offset: header.last_offset(),
                timestamp_ms: header.max_timestamp,
                last: last_batch(header, moments.last().map(|it| it.last)),
            });
        }
    }

    /// The last batch of each producer below an offset.
    pub(super) fn producers_before(&self, offset: i64) -> BTreeMap<i64, LastBatch> {
        let last = |moments: &Vec<Moment>| {
            let last = moments.iter().rev().find(|moment| moment.offset < offset);
            last.filter(|moment| moment.timestamp_ms >= self.expired_before_ms).map(|it| it.last)
        };
        let producers = self.producers.iter();
        producers.filter_map(|(id, moments)| Some((*id, last(moments)?))).collect()
    }
}

/// What is known of a producer after a batch. The end of a transaction is no batch of the producer's: it
/// leaves the last one, unless it begins an epoch, in which there is none yet.
fn last_batch(header: &BatchHeader, before: Option<LastBatch>) -> LastBatch {
    let epoch = header.producer_epoch;
    if !header.is_control() {
        return LastBatch { epoch, sequence: header.last_sequence(), offset: header.last_offset() };
    }
    let before = before.filter(|it| it.epoch == epoch);
    before.unwrap_or(LastBatch { epoch, sequence: -1, offset: -1 })
}
