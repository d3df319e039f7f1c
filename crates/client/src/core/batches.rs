//! Gathers records into batches, one open batch per partition.

use super::partitioner::{Sticky, partition_for_key};
use super::record::ProducerRecord;
use super::sequences::{ProducerIdentity, Sequences};
use crate::core::metadata::Topic;
use crate::error::{ClientError, Refusal, Result};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use strom_base::Random;
use strom_protocol::ErrorCode;
use strom_protocol::compression::{Codecs, Compression};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

/// A batch that is ready to be sent.
#[derive(Clone, Debug)]
pub struct ReadyBatch {
    pub topic: String,
    pub partition: i32,
    pub bytes: Vec<u8>,
    pub record_count: i32,
}

#[derive(Clone, Copy, Debug)]
pub struct BatchSettings {
    /// A batch is closed before it grows beyond this, uncompressed.
    pub batch_bytes: usize,
    /// The largest record that is taken at all.
    pub request_bytes_max: usize,
    pub compression: Compression,
}

pub struct Accumulator {
    settings: BatchSettings,
    identity: Option<ProducerIdentity>,
    sequences: Sequences,
    open: BTreeMap<(String, i32), BatchBuilder>,
    ready: VecDeque<ReadyBatch>,
    sticky: BTreeMap<String, Sticky>,
    codecs: Codecs,
    random: Random,
}

impl Accumulator {
    #[must_use]
    pub fn new(settings: BatchSettings, random: Random) -> Self {
        Accumulator {
            settings,
            identity: None,
            sequences: Sequences::default(),
            open: BTreeMap::new(),
            ready: VecDeque::new(),
            sticky: BTreeMap::new(),
            codecs: Codecs::new(),
            random,
        }
    }

    /// Makes the batches from now on idempotent.
    pub fn set_identity(&mut self, identity: ProducerIdentity) {
        self.identity = Some(identity);
    }

    #[must_use]
    pub fn identity(&self) -> Option<ProducerIdentity> {
        self.identity
    }

    /// Bytes in open and ready batches.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let open: usize = self.open.values().map(BatchBuilder::size).sum();
        open + self.ready.iter().map(|batch| batch.bytes.len()).sum::<usize>()
    }

    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts a record into the batch of its partition.
    ///
    /// # Errors
    /// `Refused` when the record is too large or the partition does not exist; `Unwritable` when
    /// a full batch could not be closed.
    pub fn push(&mut self, record: &ProducerRecord, topic: &Topic) -> Result<()> {
        let size = size_of(record);
        if size > self.settings.request_bytes_max {
            let max = self.settings.request_bytes_max;
            let message = format!(
                "The message is {size} bytes when serialized which is larger than {max}, which is \
                 the value of the max.request.size configuration."
            );
            let code = ErrorCode::MessageTooLarge;
            return Err(Refusal { code, message: Some(message) }.into());
        }
        let mut key = (record.topic.clone(), self.choose(record, topic)?);
        if self.open.get(&key).is_some_and(|open| {
            open.record_count() > 0 && open.size().saturating_add(size) > self.settings.batch_bytes
        }) {
            self.close(&key)?;
            if record.key.is_none() && record.partition.is_none() {
                let available = available(topic);
                let sticky = self.sticky.entry(record.topic.clone()).or_default();
                key.1 = sticky.move_on(&available, &mut self.random);
            }
        }
        let open = self.open.entry(key.clone()).or_insert_with(|| {
            BatchBuilder::new(options(self.identity, self.sequences.next(&key)))
        });
        let headers: Vec<(&[u8], Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_deref()))
            .collect();
        let new = NewRecord {
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        open.append(&new).map(drop).map_err(unwritable)
    }

    fn choose(&mut self, record: &ProducerRecord, topic: &Topic) -> Result<i32> {
        let count = topic.partitions.len() as u32;
        if let Some(partition) = record.partition {
            if topic.partitions.iter().any(|known| known.index == partition) {
                return Ok(partition);
            }
            let message = format!(
                "Partition {partition} of topic {} with partition count {count} is not present",
                topic.name
            );
            let code = ErrorCode::UnknownTopicOrPartition;
            return Err(Refusal { code, message: Some(message) }.into());
        }
        if let Some(key) = &record.key {
            return Ok(partition_for_key(key, count));
        }
        let sticky = self.sticky.entry(record.topic.clone()).or_default();
        Ok(sticky.partition(&available(topic), &mut self.random))
    }

    /// Closes all open batches.
    ///
    /// # Errors
    /// `Unwritable` when the codec fails.
    pub fn close_all(&mut self) -> Result<()> {
        let keys: Vec<_> = self.open.keys().cloned().collect();
        keys.iter().try_for_each(|key| self.close(key))
    }

    fn close(&mut self, key: &(String, i32)) -> Result<()> {
        let Some(open) = self.open.remove(key) else { return Ok(()) };
        let record_count = open.record_count();
        let built = open.build_compressed(self.settings.compression, &mut self.codecs);
        let bytes = built.map_err(unwritable)?;
        self.sequences.advance(key, record_count);
        let (topic, partition) = key.clone();
        self.ready.push_back(ReadyBatch { topic, partition, bytes, record_count });
        Ok(())
    }

    /// Takes the oldest ready batch of every partition: what one round of requests may carry
    /// without endangering the order.
    pub fn take_round(&mut self) -> Vec<ReadyBatch> {
        let mut taken: BTreeMap<(String, i32), ReadyBatch> = BTreeMap::new();
        let mut rest = VecDeque::new();
        for batch in self.ready.drain(..) {
            let key = (batch.topic.clone(), batch.partition);
            match taken.entry(key) {
                Entry::Occupied(_) => rest.push_back(batch),
                Entry::Vacant(free) => {
                    free.insert(batch);
                }
            }
        }
        self.ready = rest;
        taken.into_values().collect()
    }

    /// Puts batches back before all others: they are tried again.
    pub fn put_back(&mut self, batches: Vec<ReadyBatch>) {
        for batch in batches.into_iter().rev() {
            self.ready.push_front(batch);
        }
    }
}

fn options(identity: Option<ProducerIdentity>, base_sequence: i32) -> BatchOptions {
    match identity {
        Some(identity) => BatchOptions {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            base_sequence,
            ..Default::default()
        },
        None => BatchOptions::default(),
    }
}

/// Partitions with a leader; all of them when none has one.
fn available(topic: &Topic) -> Vec<i32> {
    let with_leader = topic.partitions.iter().filter(|partition| partition.leader_id.is_some());
    let indexes: Vec<i32> = with_leader.map(|partition| partition.index).collect();
    if indexes.is_empty() {
        return topic.partitions.iter().map(|partition| partition.index).collect();
    }
    indexes
}

/// An upper bound of the record's bytes in a batch.
fn size_of(record: &ProducerRecord) -> usize {
    let bytes = |value: &Option<bytes::Bytes>| value.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.iter().map(|(name, value)| name.len() + bytes(value) + 10);
    bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>() + 31
}

fn unwritable(error: impl std::error::Error) -> ClientError {
    ClientError::Unwritable { api: "Produce", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::metadata::Partition;
    use bytes::Bytes;
    use strom_base::Uuid;
    use strom_protocol::compression::Codec;
    use strom_protocol::records::BatchHeader;

    fn topic(count: i32) -> Topic {
        let partition = |index| Partition {
            index,
            error: ErrorCode::None,
            leader_id: Some(1),
            leader_epoch: 0,
            replicas: vec![1],
            in_sync_replicas: vec![1],
            offline_replicas: vec![],
        };
        Topic {
            name: "t".to_owned(),
            id: Uuid::ZERO,
            error: ErrorCode::None,
            is_internal: false,
            partitions: (0..count).map(partition).collect(),
        }
    }

    fn accumulator(batch_bytes: usize) -> Accumulator {
        let compression = Compression::from(Codec::None);
        let settings = BatchSettings { batch_bytes, request_bytes_max: 1 << 20, compression };
        Accumulator::new(settings, Random::new(1))
    }

    fn record(value: &'static [u8]) -> ProducerRecord {
        ProducerRecord {
            topic: "t".to_owned(),
            value: Some(Bytes::from_static(value)),
            ..Default::default()
        }
    }

    #[test]
    fn a_full_batch_is_closed_and_sequences_go_on() {
        let mut accumulator = accumulator(160);
        accumulator.set_identity(ProducerIdentity { producer_id: 7, producer_epoch: 0 });
        for _ in 0..5 {
            accumulator.push(&record(b"0123456789"), &topic(1)).unwrap();
        }
        accumulator.close_all().unwrap();
        let mut sequences = Vec::new();
        while accumulator.has_ready() {
            for batch in accumulator.take_round() {
                let header = BatchHeader::parse(&batch.bytes).unwrap();
                assert_eq!(header.record_count, batch.record_count);
                sequences.push((header.base_sequence, header.record_count));
            }
        }
        assert!(sequences.len() > 1);
        let mut next = 0;
        for (base, count) in sequences {
            assert_eq!(base, next);
            next += count;
        }
        assert_eq!(next, 5);
    }

    #[test]
    fn one_round_holds_one_batch_per_partition_and_retries_come_first() {
        let mut accumulator = accumulator(70);
        for value in [b"a", b"b"] {
            accumulator.push(&record(value), &topic(1)).unwrap();
        }
        accumulator.close_all().unwrap();
        let first = accumulator.take_round();
        assert_eq!(first.len(), 1);
        let bytes = first[0].bytes.clone();
        accumulator.put_back(first);
        assert_eq!(accumulator.take_round()[0].bytes, bytes);
        assert!(accumulator.has_ready());
    }

    #[test]
    fn keys_decide_and_wrong_partitions_are_refused() {
        let mut accumulator = accumulator(1 << 16);
        let mut keyed = record(b"v");
        keyed.key = Some(Bytes::from_static(b"abc"));
        accumulator.push(&keyed, &topic(3)).unwrap();
        accumulator.close_all().unwrap();
        let expected = partition_for_key(b"abc", 3);
        assert_eq!(accumulator.take_round()[0].partition, expected);
        keyed.partition = Some(9);
        assert!(accumulator.push(&keyed, &topic(3)).is_err());
    }
}
