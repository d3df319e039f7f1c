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

/// All that the segments so far have said.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// Behind the last record.
    pub(super) end_offset: Option<i64>,
    /// Leader epochs with the first offset of each.
    pub(super) epochs: Vec<(i32, i64)>,
    /// By producer id, every batch.
    producers: BTreeMap<i64, Vec<LastBatch>>,
}

impl Scanned {
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
            if batch.header.base_offset != next {
                return Err(format!("offset {next} is missing"));
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
        if next_base_offset.is_some_and(|expected| expected != next) {
            return Err(format!("it ends at {next}, the next begins at {next_base_offset:?}"));
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
            self.producers.entry(header.producer_id).or_default().push(LastBatch {
                epoch: header.producer_epoch,
                sequence: header.last_sequence(),
                offset: header.next_offset() - 1,
            });
        }
    }

    /// The last batch of each producer below an offset.
    pub(super) fn producers_before(&self, offset: i64) -> BTreeMap<i64, LastBatch> {
        let last = |batches: &Vec<LastBatch>| {
            batches.iter().rev().find(|batch| batch.offset < offset).copied()
        };
        self.producers.iter().filter_map(|(id, batches)| Some((*id, last(batches)?))).collect()
    }
}
