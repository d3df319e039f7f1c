//! One producer on one partition: its epoch, its last five batches, its open transaction.

use strom_base::{Now, Planted, planted};
use strom_protocol::records::{
    BatchHeader, EndTransactionMarker, NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP,
};

use crate::format::producer_snapshot::SnapshotEntry;
use crate::log::AppendError;

/// Batches remembered for a producer: the most an idempotent Java producer has in flight.
pub const BATCHES_KEPT: usize = 5;
const NO_COORDINATOR_EPOCH: i32 = -1;

/// One appended batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BatchMetadata {
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    pub timestamp: i64,
}

impl BatchMetadata {
    pub(crate) fn of(header: &BatchHeader) -> BatchMetadata {
        BatchMetadata {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        // Sequences wrap from the largest to 0.
        if first < 0 { (first + i64::from(i32::MAX) + 1) as i32 } else { first as i32 }
    }

    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    pub producer_id: i64,
    /// -1 until the first batch.
    pub producer_epoch: i16,
    /// Of the last marker; -1 for none.
    pub coordinator_epoch: i32,
    pub last_timestamp: i64,
    pub transaction_first_offset: Option<i64>,
    /// Oldest first; the first `batch_count` count.
    batches: [BatchMetadata; BATCHES_KEPT],
    batch_count: u8,
    silence: Silence,
}

/// Since when nothing came from a producer, as far as the checks of that have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    since_ms: u64,
    /// Of the last batch at the last check, and of whatever came last.
    last: (Option<i64>, i64),
}

impl Silence {
    const NEVER_CHECKED: Silence = Silence { since_ms: u64::MAX, last: (None, i64::MIN) };
}

/// A clock on the wall that says that a producer is long gone may be wrong: who was there within this
/// time of the process is kept.
const TRUSTED_SILENCE_MS: u64 = 3_600_000;

impl ProducerEntry {
    pub(super) fn new(producer_id: i64) -> ProducerEntry {
        ProducerEntry {
            producer_id,
            producer_epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            last_timestamp: NO_TIMESTAMP,
            transaction_first_offset: None,
            batches: [BatchMetadata::default(); BATCHES_KEPT],
            batch_count: 0,
            silence: Silence::NEVER_CHECKED,
        }
    }

    pub fn batches(&self) -> &[BatchMetadata] {
        self.batches.get(..usize::from(self.batch_count)).unwrap_or_default()
    }

    /// `None`: no batch since the epoch began.
    pub fn last_sequence(&self) -> Option<i32> {
        Some(self.batches().last()?.last_sequence)
    }

    /// The batch that was sent before, if this one is it again.
    pub(crate) fn duplicate_of(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        if header.producer_epoch != self.producer_epoch {
            return None;
        }
        let is_same = |batch: &&BatchMetadata| {
            batch.first_sequence() == header.base_sequence
                && batch.last_sequence == header.last_sequence()
        };
        self.batches().iter().find(is_same).copied()
    }

    /// An epoch below the current one is a fenced producer's. A marker under transactions
    /// version 2 carries an epoch above the current one (KIP-890).
    pub(crate) fn check_epoch(&self, epoch: i16, must_grow: bool) -> Result<(), AppendError> {
        let current = self.producer_epoch;
        if epoch < current || (must_grow && epoch == current) {
            let producer_id = self.producer_id;
            return Err(AppendError::InvalidProducerEpoch { producer_id, epoch, current });
        }
        Ok(())
    }

    pub(crate) fn check_coordinator_epoch(&self, epoch: i32) -> Result<(), AppendError> {
        let current = self.coordinator_epoch;
        if current > epoch {
            return Err(AppendError::CoordinatorFenced { epoch, current });
        }
        Ok(())
    }

    /// A producer that is not known, perhaps because its records were deleted, may begin anywhere;
    /// a known one continues, or begins a new epoch at 0.
    pub(crate) fn check_sequence(&self, header: &BatchHeader) -> Result<(), AppendError> {
        if self.producer_epoch == NO_PRODUCER_EPOCH {
            return Ok(());
        }
        let first = header.base_sequence;
        let in_order = if header.producer_epoch == self.producer_epoch {
            let last = self.last_sequence().unwrap_or(NO_SEQUENCE);
            i64::from(first) == i64::from(last) + 1
                || (first == 0 && last == i32::MAX && !planted(Planted::SequenceDoesNotWrap))
        } else {
            first == 0
        };
        if in_order {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: self.producer_id,
            first_sequence: first,
            last_sequence: self.last_sequence().unwrap_or(NO_SEQUENCE),
        })
    }

    pub(super) fn add_batch(&mut self, header: &BatchHeader) {
        self.enter_epoch(header.producer_epoch);
        let batch = BatchMetadata::of(header);
        if usize::from(self.batch_count) == BATCHES_KEPT {
            self.batches.rotate_left(1);
        } else {
            self.batch_count += 1;
        }
        if let Some(slot) = self.batches.get_mut(usize::from(self.batch_count) - 1) {
            *slot = batch;
        }
        self.last_timestamp = header.max_timestamp;
    }

    /// Puts the batches before the last one back, as they were found in the log.
    pub(super) fn recall(&mut self, found: &[BatchMetadata]) {
        let Some(last) = self.batches().last().copied() else { return };
        let is_last = |batch: &BatchMetadata| {
            batch.last_offset == last.last_offset && batch.last_sequence == last.last_sequence
        };
        let Some(end) = found.iter().rposition(is_last) else { return };
        let older = found.get(end.saturating_sub(BATCHES_KEPT - 1)..end).unwrap_or_default();
        let kept = older.iter().chain(std::iter::once(&last));
        self.batch_count = 0;
        for (slot, batch) in self.batches.iter_mut().zip(kept) {
            *slot = *batch;
            self.batch_count += 1;
        }
    }

    /// The first offset of the transaction that the marker ended, if one was open.
    pub(super) fn end_transaction(
        &mut self,
        header: &BatchHeader,
        marker: EndTransactionMarker,
    ) -> Option<i64> {
        self.enter_epoch(header.producer_epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = header.max_timestamp;
        self.transaction_first_offset.take()
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.producer_epoch != epoch {
            self.producer_epoch = epoch;
            self.batch_count = 0;
        }
    }

    /// Nothing of this epoch was written: it begins with sequence 0.
    pub(super) fn begin_again(&mut self, epoch: i16) {
        *self = ProducerEntry {
            producer_epoch: epoch,
            last_timestamp: self.last_timestamp,
            ..ProducerEntry::new(self.producer_id)
        };
    }

    /// Whether it was silent for so long: by the clock of the process, or by that on the wall, which alone
    /// lets nobody go who was there of late. Who has a transaction open stays.
    pub(super) fn is_expired(&mut self, now: Now, expiration_ms: i64) -> bool {
        let last = (self.batches().last().map(|batch| batch.last_offset), self.last_timestamp);
        if self.silence == Silence::NEVER_CHECKED || self.silence.last != last {
            self.silence = Silence { since_ms: now.monotonic_ms, last };
        }
        let expiration_ms = expiration_ms.max(0) as u64;
        let silent_ms = now.monotonic_ms.saturating_sub(self.silence.since_ms);
        let by_wall_ms = now.wall_ms.saturating_sub(self.last_timestamp).max(0) as u64;
        let is_long_gone =
            by_wall_ms >= expiration_ms && silent_ms >= expiration_ms.min(TRUSTED_SILENCE_MS);
        let is_long_gone =
            is_long_gone || (by_wall_ms >= expiration_ms && planted(Planted::SilentAtOnce));
        self.transaction_first_offset.is_none() && (is_long_gone || silent_ms >= expiration_ms)
    }

    pub(super) fn to_snapshot(&self) -> SnapshotEntry {
        let none = BatchMetadata {
            last_sequence: NO_SEQUENCE,
            last_offset: -1,
            offset_delta: 0,
            timestamp: self.last_timestamp,
        };
        let last = self.batches().last().copied().unwrap_or(none);
        SnapshotEntry {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            last_sequence: last.last_sequence,
            last_offset: last.last_offset,
            offset_delta: last.offset_delta,
            timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            transaction_first_offset: self.transaction_first_offset.unwrap_or(-1),
        }
    }

    pub(super) fn from_snapshot(snapshot: &SnapshotEntry) -> ProducerEntry {
        let mut entry = ProducerEntry::new(snapshot.producer_id);
        entry.producer_epoch = snapshot.producer_epoch;
        entry.coordinator_epoch = snapshot.coordinator_epoch;
        entry.last_timestamp = snapshot.timestamp;
        let first_offset = snapshot.transaction_first_offset;
        entry.transaction_first_offset = (first_offset >= 0).then_some(first_offset);
        if snapshot.last_offset >= 0 {
            entry.batch_count = 1;
            entry.batches[0] = BatchMetadata {
                last_sequence: snapshot.last_sequence,
                last_offset: snapshot.last_offset,
                offset_delta: snapshot.offset_delta,
                timestamp: snapshot.timestamp,
            };
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base_sequence: i32, last_offset_delta: i32, producer_epoch: i16) -> BatchHeader {
        BatchHeader {
            base_offset: 100,
            batch_length: 49,
            partition_leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 1,
            producer_epoch,
            base_sequence,
            record_count: last_offset_delta + 1,
        }
    }

    #[test]
    fn sequences_continue_and_wrap() {
        let mut entry = ProducerEntry::new(1);
        assert!(entry.check_sequence(&batch(55, 0, 0)).is_ok(), "unknown producers begin anywhere");
        entry.add_batch(&batch(i32::MAX - 2, 2, 0));
        assert!(entry.check_sequence(&batch(0, 0, 0)).is_ok());
        assert!(entry.check_sequence(&batch(1, 0, 0)).is_err());
        entry.add_batch(&batch(i32::MAX - 1, 3, 0));
        assert_eq!(entry.last_sequence(), Some(1));
        assert!(entry.duplicate_of(&batch(i32::MAX - 1, 3, 0)).is_some());
        assert!(entry.check_sequence(&batch(2, 0, 0)).is_ok());
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_an_old_one_is_fenced() {
        let mut entry = ProducerEntry::new(1);
        entry.add_batch(&batch(0, 0, 3));
        assert!(entry.check_sequence(&batch(0, 0, 4)).is_ok());
        assert!(entry.check_sequence(&batch(1, 0, 4)).is_err());
        assert!(entry.check_epoch(2, false).is_err());
        assert!(entry.check_epoch(3, false).is_ok());
        assert!(entry.check_epoch(3, true).is_err());
    }

    #[test]
    fn only_the_last_five_batches_are_duplicates() {
        let mut entry = ProducerEntry::new(1);
        (0..6).for_each(|sequence| entry.add_batch(&batch(sequence, 0, 0)));
        assert!(entry.duplicate_of(&batch(0, 0, 0)).is_none());
        assert!(entry.duplicate_of(&batch(1, 0, 0)).is_some());
        assert!(entry.duplicate_of(&batch(1, 1, 0)).is_none());
        assert!(entry.duplicate_of(&batch(5, 0, 1)).is_none());
    }
}
