//! What a leader demands of a produced batch, from cheap (the header) to dear (every record).

use std::ops::RangeInclusive;

use super::pieces::RecordOutline;
use super::record::{LEAST_RECORD, outline_records};
use super::{BatchError, BatchHeader, HEADER_LENGTH};
use crate::compression::Codecs;

/// Checks what the header alone shows of a batch that a client produced (KAFKA's `LogValidator`):
/// it holds as many records as offsets and no more than its bytes can be, it counts from 0, it is no
/// control batch, and a producer's batch has a sequence. The CRC is the caller's.
///
/// # Errors
/// The first demand that is not met.
pub fn check_produced_header(header: &BatchHeader) -> Result<(), BatchError> {
    if header.base_offset != 0 {
        return Err(BatchError::BaseOffset(header.base_offset));
    }
    if header.record_count == 0 {
        return Err(BatchError::RecordCount(0));
    }
    if i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        return Err(BatchError::CountMismatch {
            count: header.record_count,
            last_offset_delta: header.last_offset_delta,
        });
    }
    if header.is_control() {
        return Err(BatchError::ControlBatch);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(BatchError::Sequence(header.base_sequence));
    }
    let size = header.size().saturating_sub(HEADER_LENGTH);
    let possible = size.saturating_mul(header.codec()?.largest_ratio()) / LEAST_RECORD;
    if usize::try_from(header.record_count).unwrap_or(usize::MAX) > possible {
        return Err(BatchError::TooFewBytes { count: header.record_count, size });
    }
    Ok(())
}

/// What a topic demands of each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordDemands {
    /// Compacted topics take no record without a key.
    pub keys: bool,
    /// Timestamps allowed, in milliseconds; -1 (none) always is. `None`: any.
    pub timestamps: Option<RangeInclusive<i64>>,
}

/// Why one record is refused while its bytes are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    NoKey,
    Timestamp(i64),
}

/// What a walk over all records found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSummary {
    /// The largest, -1 when none has one.
    pub max_timestamp: i64,
    /// Of the first record with that timestamp.
    pub offset_of_max_timestamp: i64,
    /// Index in the batch and reason, in order; the first [`REJECTED_MAX`] of them.
    pub rejected: Vec<(i32, Rejection)>,
    pub rejected_count: u32,
    pub rejects_timestamps: bool,
}

/// Refused records that are told one by one, at most.
pub const REJECTED_MAX: usize = 1000;

/// Walks the records of a whole batch: every one must be sound, count from 0 without gaps, and
/// together they must fill the body. At most `limit` bytes are unfolded, a piece at a time.
///
/// # Errors
/// The first record whose bytes or offset are wrong. Records that only miss a demand are in the
/// summary: a producer gets told each of them (KIP-467).
pub fn walk_records(
    header: &BatchHeader,
    batch: &[u8],
    (codecs, limit): (&mut Codecs, usize),
    demands: &RecordDemands,
) -> Result<RecordSummary, BatchError> {
    let mut summary = RecordSummary {
        max_timestamp: super::NO_TIMESTAMP,
        offset_of_max_timestamp: header.last_offset(),
        rejected: Vec::new(),
        rejected_count: 0,
        rejects_timestamps: false,
    };
    let (mut index, mut misplaced) = (0i32, None);
    outline_records(header, batch, (codecs, limit), &mut |record| {
        if record.offset_delta != index {
            misplaced = Some(BatchError::OffsetDelta { index, delta: record.offset_delta });
            return false;
        }
        let timestamp = header.timestamp_at(record.timestamp_delta);
        if timestamp > summary.max_timestamp {
            summary.max_timestamp = timestamp;
            summary.offset_of_max_timestamp = header.offset_at(record.offset_delta);
        }
        if let Some(rejection) = demands.rejection(&record, timestamp) {
            summary.rejected_count += 1;
            summary.rejects_timestamps |= matches!(rejection, Rejection::Timestamp(_));
            if summary.rejected.len() < REJECTED_MAX {
                summary.rejected.push((index, rejection));
            }
        }
        index += 1;
        true
    })?;
    misplaced.map_or(Ok(summary), Err)
}

impl RecordDemands {
    fn rejection(&self, record: &RecordOutline, timestamp: i64) -> Option<Rejection> {
        if self.keys && !record.has_key {
            return Some(Rejection::NoKey);
        }
        let in_range = self.timestamps.as_ref().is_none_or(|range| range.contains(&timestamp));
        (!in_range && timestamp != super::NO_TIMESTAMP).then_some(Rejection::Timestamp(timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchBuilder, BatchOptions, NewRecord};

    fn batch(records: &[(i64, Option<&[u8]>)]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for (timestamp_ms, key) in records {
            let record = NewRecord { timestamp_ms: *timestamp_ms, key: *key, ..Default::default() };
            builder.append(&record).unwrap();
        }
        builder.build()
    }

    #[test]
    fn records_that_miss_a_demand_are_named_each() {
        let bytes = batch(&[(10, Some(b"k")), (50, None), (50, Some(b"k")), (-1, Some(b"k"))]);
        let header = BatchHeader::parse(&bytes).unwrap();
        let demands = RecordDemands { keys: true, timestamps: Some(0..=20) };
        let codecs = (&mut Codecs::new(), 1 << 20);
        let summary = walk_records(&header, &bytes, codecs, &demands).unwrap();
        assert_eq!((summary.max_timestamp, summary.offset_of_max_timestamp), (50, 1));
        assert_eq!(summary.rejected, [(1, Rejection::NoKey), (2, Rejection::Timestamp(50))]);
    }

    #[test]
    fn wrong_counts_and_foreign_batches_are_refused() {
        let good = BatchHeader::parse(&batch(&[(1, None), (2, None)])).unwrap();
        assert_eq!(check_produced_header(&good), Ok(()));
        let check = |change: fn(&mut BatchHeader)| {
            let mut header = good;
            change(&mut header);
            check_produced_header(&header).unwrap_err()
        };
        let mismatch = BatchError::CountMismatch { count: 3, last_offset_delta: 1 };
        assert_eq!(check(|h| h.record_count = 3), mismatch);
        assert_eq!(check(|h| h.record_count = 0), BatchError::RecordCount(0));
        let claim =
            |h: &mut BatchHeader| (h.record_count, h.last_offset_delta) = (1 << 20, (1 << 20) - 1);
        let too_few = BatchError::TooFewBytes { count: 1 << 20, size: good.size() - HEADER_LENGTH };
        assert_eq!(check(claim), too_few);
        assert_eq!(check(|h| h.base_offset = 4), BatchError::BaseOffset(4));
        assert_eq!(check(|h| h.attributes |= 0x20), BatchError::ControlBatch);
        assert_eq!(check(|h| h.producer_id = 4), BatchError::Sequence(-1));
        assert_eq!(check(|h| h.attributes |= 0x07), BatchError::UnknownCodec(7));
    }
}
