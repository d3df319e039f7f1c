//! What a log knows of its idempotent and transactional producers (KIP-98, KIP-890).
//!
//! Checking comes first and changes nothing; applying cannot fail and tells how to undo it, because
//! the write it belongs to still may fail.

pub mod entry;
pub(crate) mod marker;

use std::collections::BTreeMap;

use strom_base::Now;
use strom_protocol::records::{BatchHeader, EndTransactionMarker};

pub use entry::{BatchMetadata, ProducerEntry};
pub(crate) use marker::marker_of;

use crate::format::producer_snapshot::{self, SnapshotEntry};

/// The producers of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProducerStates {
    entries: BTreeMap<i64, Box<ProducerEntry>>,
    /// Open transactions: first offset to producer.
    ongoing: BTreeMap<i64, i64>,
    /// Ended transactions whose marker is not below the high watermark yet: first to last offset.
    unreplicated: BTreeMap<i64, i64>,
}

/// How a producer's entry was before a batch.
#[derive(Clone, Debug)]
pub(crate) struct ProducerUndo {
    producer_id: i64,
    before: Before,
}

#[derive(Clone, Debug)]
enum Before {
    /// There was none.
    Unknown,
    /// There was none, and the batch was the first of this epoch.
    Beginning(i16),
    Known(Box<ProducerEntry>),
}

/// A transaction that a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// The marker's.
    pub(crate) last_offset: i64,
    pub(crate) is_aborted: bool,
    pub(crate) last_stable_offset: i64,
}

impl ProducerStates {
    pub(crate) fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.entries.get(&producer_id).map(|entry| &**entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ProducerEntry> {
        self.entries.values().map(|entry| &**entry)
    }

    /// Takes a batch in. `marker` is what a control batch says.
    pub(crate) fn apply(
        &mut self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
    ) -> (ProducerUndo, Option<CompletedTransaction>) {
        let producer_id = header.producer_id;
        let before = match self.entries.get(&producer_id) {
            Some(entry) => Before::Known(entry.clone()),
            None if header.base_sequence == 0 => Before::Beginning(header.producer_epoch),
            None => Before::Unknown,
        };
        let undo = ProducerUndo { producer_id, before };
        let entry = self
            .entries
            .entry(producer_id)
            .or_insert_with(|| Box::new(ProducerEntry::new(producer_id)));
        if header.is_control() {
            let Some(marker) = marker else { return (undo, None) };
            let first_offset = entry.end_transaction(header, marker);
            let completed = first_offset.map(|first_offset| {
                self.complete(first_offset, header.base_offset, producer_id, marker)
            });
            return (undo, completed);
        }
        let had_transaction = entry.transaction_first_offset.is_some();
        entry.add_batch(header);
        if header.is_transactional() && !had_transaction {
            entry.transaction_first_offset = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, producer_id);
        }
        (undo, None)
    }

    fn complete(
        &mut self,
        first_offset: i64,
        last_offset: i64,
        producer_id: i64,
        marker: EndTransactionMarker,
    ) -> CompletedTransaction {
        self.ongoing.remove(&first_offset);
        self.unreplicated.insert(first_offset, last_offset);
        let next_open = self.ongoing.keys().next().copied();
        CompletedTransaction {
            producer_id,
            first_offset,
            last_offset,
            is_aborted: !marker.is_commit,
            last_stable_offset: next_open.unwrap_or(last_offset.saturating_add(1)),
        }
    }

    /// Puts back what a snapshot leaves out: the batches before each producer's last, of its present
    /// epoch, in the order of the log.
    pub(crate) fn recall(&mut self, found: &BTreeMap<i64, (i16, Vec<BatchMetadata>)>) {
        for (producer_id, (epoch, batches)) in found {
            if let Some(entry) = self.entries.get_mut(producer_id)
                && entry.producer_epoch == *epoch
            {
                entry.recall(batches);
            }
        }
    }

    /// Takes batches back, the newest undo first. `end_offset` is the log's end afterwards.
    ///
    /// Who was about to begin is remembered: behind the batch that failed others are under way, and as
    /// the first of a stranger they would be taken, though the producer is to send all of them again.
    pub(crate) fn undo(&mut self, undos: impl Iterator<Item = ProducerUndo>, end_offset: i64) {
        for ProducerUndo { producer_id, before } in undos {
            match before {
                Before::Known(entry) => {
                    self.entries.insert(producer_id, entry);
                }
                Before::Beginning(epoch) => {
                    if let Some(entry) = self.entries.get_mut(&producer_id) {
                        entry.begin_again(epoch);
                    }
                }
                Before::Unknown => {
                    self.entries.remove(&producer_id);
                }
            }
        }
        self.unreplicated.retain(|_, last_offset| *last_offset < end_offset);
        self.find_ongoing();
    }

    fn find_ongoing(&mut self) {
        let open =
            |entry: &ProducerEntry| Some((entry.transaction_first_offset?, entry.producer_id));
        self.ongoing = self.entries.values().filter_map(|entry| open(entry)).collect();
    }

    /// The first offset that `read_committed` must not pass, whatever the high watermark.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        let undecided = self.ongoing.keys().next();
        let unreplicated = self.unreplicated.keys().next();
        undecided.into_iter().chain(unreplicated).min().copied()
    }

    /// Ended transactions count as decided once their marker is below the high watermark.
    pub(crate) fn on_high_watermark(&mut self, high_watermark: i64) {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, last_offset| *last_offset >= high_watermark);
        }
    }

    /// What lies below the log's start no longer holds anything up.
    pub(crate) fn on_log_start(&mut self, log_start_offset: i64) {
        self.unreplicated.retain(|_, last_offset| *last_offset >= log_start_offset);
    }

    /// Forgets producers without an open transaction that were silent for `expiration_ms`.
    pub(crate) fn expire(&mut self, now: Now, expiration_ms: i64) {
        self.entries.retain(|_, entry| !entry.is_expired(now, expiration_ms));
    }

    /// The bytes of a `.snapshot` file.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        producer_snapshot::format(self.entries.values().map(|entry| entry.to_snapshot()))
    }

    /// From a `.snapshot` file.
    pub(crate) fn from_snapshot(entries: &[SnapshotEntry]) -> ProducerStates {
        let mut states = ProducerStates::default();
        for entry in entries.iter().map(ProducerEntry::from_snapshot) {
            states.entries.insert(entry.producer_id, Box::new(entry));
        }
        states.find_ongoing();
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    fn batch(base_offset: i64, base_sequence: i32, attributes: i16) -> BatchHeader {
        BatchHeader {
            base_offset,
            batch_length: 49,
            partition_leader_epoch: 0,
            crc: 0,
            attributes,
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 1,
            producer_epoch: 0,
            base_sequence,
            record_count: 1,
        }
    }

    #[test]
    fn an_open_transaction_holds_the_stable_offset_until_its_marker_is_replicated() {
        let mut states = ProducerStates::default();
        states.apply(&batch(10, 0, TRANSACTIONAL), None);
        assert_eq!(states.first_unstable_offset(), Some(10));
        let marker = EndTransactionMarker { is_commit: false, coordinator_epoch: 3 };
        let control = batch(11, -1, TRANSACTIONAL | CONTROL);
        let (undo, completed) = states.apply(&control, Some(marker));
        let completed = completed.unwrap();
        assert!(completed.is_aborted);
        assert_eq!((completed.first_offset, completed.last_stable_offset), (10, 12));
        states.on_high_watermark(11);
        assert_eq!(states.first_unstable_offset(), Some(10));
        let mut undone = states.clone();
        undone.undo([undo].into_iter(), 11);
        assert_eq!(undone.first_unstable_offset(), Some(10));
        states.on_high_watermark(12);
        assert_eq!(states.first_unstable_offset(), None);
    }

    #[test]
    fn a_beginning_that_was_taken_back_is_still_the_beginning() {
        let mut states = ProducerStates::default();
        let (undo, _) = states.apply(&batch(10, 0, TRANSACTIONAL), None);
        states.undo([undo].into_iter(), 10);
        assert_eq!(states.first_unstable_offset(), None);
        let entry = states.get(1).unwrap();
        assert!(entry.duplicate_of(&batch(10, 0, 0)).is_none(), "it was never written");
        assert!(entry.check_sequence(&batch(10, 1, 0)).is_err(), "it was sent behind that one");
        assert!(entry.check_sequence(&batch(10, 0, 0)).is_ok());
    }

    #[test]
    fn a_snapshot_keeps_the_last_batch_of_each_producer() {
        let mut states = ProducerStates::default();
        states.apply(&batch(10, 0, 0), None);
        states.apply(&batch(11, 1, 0), None);
        let entries = producer_snapshot::parse(&states.snapshot()).unwrap();
        let read = ProducerStates::from_snapshot(&entries);
        assert_eq!(read.get(1).unwrap().last_sequence(), Some(1));
        assert_eq!(read.snapshot(), states.snapshot());
    }

    #[test]
    fn who_is_silent_for_long_is_forgotten() {
        const DAY_MS: i64 = 86_400_000;
        let hours = |monotonic: u64, wall: i64| Now {
            monotonic_ms: monotonic * 3_600_000,
            wall_ms: wall * 3_600_000,
        };
        let mut states = ProducerStates::default();
        let is_there = |states: &mut ProducerStates, now| {
            states.expire(now, DAY_MS);
            states.get(1).is_some()
        };
        states.apply(&batch(10, 0, 0), None);
        assert!(is_there(&mut states, hours(0, 0)));
        assert!(is_there(&mut states, hours(0, 10_000)), "the clock on the wall has jumped");
        states.apply(&batch(11, 1, 0), None);
        assert!(is_there(&mut states, hours(2, 10_000)), "it has just sent something");
        assert!(
            !is_there(&mut states, hours(3, 10_000)),
            "it was there long before, for all we know"
        );
        states.apply(&batch(12, 2, 0), None);
        assert!(is_there(&mut states, hours(4, -10_000)));
        assert!(!is_there(&mut states, hours(28, -10_000)), "the clock on the wall is far behind");
    }
}
