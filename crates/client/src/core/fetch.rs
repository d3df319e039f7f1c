//! Where a consumer reads, what it asks for, and the records in the answers.

use super::record::{ConsumedRecord, TimestampKind};
use crate::core::metadata::Metadata;
use crate::error::{ClientError, Result};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::{FetchResponse, PartitionData};
use strom_protocol::records::{self, BatchHeader, RawBatch, RecordHeader, TimestampType};
use strom_protocol::{ErrorCode, Records, compression::Codecs};

pub type TopicPartition = (String, i32);

#[derive(Clone, Copy, Debug)]
pub struct FetchSettings {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
    /// 0 reads everything, 1 only what is committed.
    pub isolation_level: i8,
    /// The most that one batch may take when decompressed.
    pub batch_bytes_max: usize,
}

impl Default for FetchSettings {
    fn default() -> Self {
        FetchSettings {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            isolation_level: 0,
            batch_bytes_max: 256 << 20,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// What is asked for next.
    pub fetch_offset: i64,
    /// What the caller has not yet been given: the offset to commit.
    pub next_offset: i64,
}

/// The partitions of a consumer, their positions and the records not yet handed out.
#[derive(Default)]
pub struct Fetcher {
    settings: FetchSettings,
    positions: BTreeMap<TopicPartition, Position>,
    records: VecDeque<ConsumedRecord>,
    codecs: Codecs,
}

/// What the driver has to do for a partition before it can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The offset is not in the log: reset by the consumer's policy.
    OutOfRange(TopicPartition),
    /// Leaders have moved.
    Stale,
    Refused(TopicPartition, ErrorCode),
}

impl Fetcher {
    #[must_use]
    pub fn new(settings: FetchSettings) -> Self {
        Fetcher { settings, ..Default::default() }
    }

    #[must_use]
    pub fn settings(&self) -> &FetchSettings {
        &self.settings
    }

    /// Replaces all positions; records of partitions that are gone are dropped.
    pub fn assign(&mut self, offsets: BTreeMap<TopicPartition, i64>) {
        self.records.clear();
        self.positions = offsets
            .into_iter()
            .map(|(key, offset)| (key, Position { fetch_offset: offset, next_offset: offset }))
            .collect();
    }

    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        let position = Position { fetch_offset: offset, next_offset: offset };
        self.positions.insert(partition.clone(), position);
    }

    #[must_use]
    pub fn positions(&self) -> &BTreeMap<TopicPartition, Position> {
        &self.positions
    }

    /// Hands out the next record.
    pub fn pop(&mut self) -> Option<ConsumedRecord> {
        let record = self.records.pop_front()?;
        let key = (record.topic.clone(), record.partition);
        if let Some(position) = self.positions.get_mut(&key) {
            position.next_offset = record.offset.saturating_add(1);
        }
        Some(record)
    }

    #[must_use]
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// The nodes that lead partitions of this consumer, ascending.
    #[must_use]
    pub fn leaders(&self, metadata: &Metadata) -> BTreeSet<i32> {
        let leader = |(topic, index): &TopicPartition| metadata.leader(topic, *index);
        self.positions.keys().filter_map(leader).collect()
    }

    /// Whether some partition has no leader that is known.
    #[must_use]
    pub fn is_stale(&self, metadata: &Metadata) -> bool {
        self.positions.keys().any(|(topic, index)| metadata.leader(topic, *index).is_none())
    }

    /// What to ask the node for.
    #[must_use]
    pub fn request<'a>(&'a self, metadata: &Metadata, node: i32) -> FetchRequest<'a> {
        let mut topics: Vec<FetchTopic<'a>> = Vec::new();
        for ((topic, index), position) in &self.positions {
            if metadata.leader(topic, *index) != Some(node) {
                continue;
            }
            let partition = FetchPartition {
                partition: *index,
                fetch_offset: position.fetch_offset,
                partition_max_bytes: self.settings.partition_max_bytes,
                ..Default::default()
            };
            match topics.last_mut() {
                Some(last) if last.topic == topic => last.partitions.push(partition),
                _ => topics.push(FetchTopic {
                    topic,
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        FetchRequest {
            max_wait_ms: self.settings.max_wait_ms,
            min_bytes: self.settings.min_bytes,
            max_bytes: self.settings.max_bytes,
            isolation_level: self.settings.isolation_level,
            topics,
            ..Default::default()
        }
    }

    /// Takes the records of an answer.
    ///
    /// # Errors
    /// `MalformedBatch` when a batch's checksum or form is wrong.
    pub fn on_response(&mut self, response: &FetchResponse<'_>) -> Result<Vec<Trouble>> {
        let mut troubles = Vec::new();
        for topic in &response.responses {
            for partition in &topic.partitions {
                let key = (topic.topic.to_owned(), partition.partition_index);
                let Some(position) = self.positions.get(&key).copied() else { continue };
                match ErrorCode::from_code(partition.error_code) {
                    ErrorCode::None => self.take(&key, position, partition)?,
                    ErrorCode::OffsetOutOfRange => troubles.push(Trouble::OutOfRange(key)),
                    code if code.is_retriable() => troubles.push(Trouble::Stale),
                    code => troubles.push(Trouble::Refused(key, code)),
                }
            }
        }
        Ok(troubles)
    }

    fn take(
        &mut self,
        key: &TopicPartition,
        position: Position,
        data: &PartitionData<'_>,
    ) -> Result<()> {
        let Some(Records::Inline(bytes)) = data.records else { return Ok(()) };
        let malformed = |reason: String| ClientError::MalformedBatch {
            partition: format!("{}-{}", key.0, key.1),
            reason,
        };
        let aborted = data.aborted_transactions.as_deref().unwrap_or_default();
        let mut aborted: Vec<(i64, i64)> =
            aborted.iter().map(|entry| (entry.first_offset, entry.producer_id)).collect();
        aborted.sort_unstable_by(|left, right| right.cmp(left));
        let mut reading = Reading {
            key,
            fetch_offset: position.fetch_offset,
            aborted,
            aborting: BTreeSet::new(),
            bytes_max: self.settings.batch_bytes_max,
        };
        for batch in records::batches(bytes) {
            let batch = batch.map_err(|error| malformed(error.to_string()))?;
            reading
                .batch(&batch, &mut self.codecs, &mut self.records)
                .map_err(|error| malformed(error.to_string()))?;
        }
        let fetch_offset = reading.fetch_offset;
        if let Some(stored) = self.positions.get_mut(key) {
            stored.fetch_offset = fetch_offset;
            // Nothing in between is for the caller: markers, or what was aborted.
            if self.records.is_empty() && stored.next_offset == position.fetch_offset {
                stored.next_offset = fetch_offset;
            }
        }
        Ok(())
    }
}

/// The walk over the batches of one partition's answer.
struct Reading<'a> {
    key: &'a TopicPartition,
    fetch_offset: i64,
    /// Aborted transactions (first offset, producer id) that have not begun yet, latest first.
    aborted: Vec<(i64, i64)>,
    /// Producers whose current transaction was aborted.
    aborting: BTreeSet<i64>,
    bytes_max: usize,
}

impl Reading<'_> {
    fn batch(
        &mut self,
        batch: &RawBatch<'_>,
        codecs: &mut Codecs,
        output: &mut VecDeque<ConsumedRecord>,
    ) -> std::result::Result<(), records::BatchError> {
        let header = batch.header;
        if header.next_offset() <= self.fetch_offset {
            return Ok(());
        }
        if !records::verify_crc(batch.bytes) {
            return Err(records::BatchError::Crc);
        }
        while let Some((first_offset, producer_id)) = self.aborted.last().copied() {
            if first_offset > header.last_offset() {
                break;
            }
            self.aborted.pop();
            self.aborting.insert(producer_id);
        }
        if header.is_control() {
            self.aborting.remove(&header.producer_id);
        } else if !(header.is_transactional() && self.aborting.contains(&header.producer_id)) {
            let body = records::body_of(&header, batch.bytes, codecs, self.bytes_max)?;
            for record in header.records(&body) {
                let record = record?;
                if header.offset_of(&record) >= self.fetch_offset {
                    output.push_back(consumed(self.key, &header, &record));
                }
            }
        }
        self.fetch_offset = header.next_offset();
        Ok(())
    }
}

fn consumed(
    key: &TopicPartition,
    header: &BatchHeader,
    record: &records::Record<'_>,
) -> ConsumedRecord {
    let owned = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let named = |header: RecordHeader<'_>| {
        (String::from_utf8_lossy(header.key).into_owned(), owned(header.value))
    };
    ConsumedRecord {
        topic: key.0.clone(),
        partition: key.1,
        offset: header.offset_of(record),
        leader_epoch: (header.partition_leader_epoch >= 0).then_some(header.partition_leader_epoch),
        timestamp_kind: match header.timestamp_type() {
            TimestampType::CreateTime => TimestampKind::CreateTime,
            TimestampType::LogAppendTime => TimestampKind::LogAppendTime,
        },
        timestamp_ms: header.timestamp_of(record),
        key: owned(record.key),
        value: owned(record.value),
        headers: record.headers.map(named).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::fetch_response::{AbortedTransaction, FetchableTopicResponse};
    use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

    fn batch(options: BatchOptions, values: &[&[u8]]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(options);
        for value in values {
            builder.append(&NewRecord { value: Some(value), ..Default::default() }).unwrap();
        }
        builder.build()
    }

    fn answer<'a>(
        bytes: &'a [u8],
        aborted_transactions: Option<Vec<AbortedTransaction<'a>>>,
    ) -> FetchResponse<'a> {
        let data = PartitionData {
            records: Some(Records::Inline(bytes)),
            aborted_transactions,
            ..Default::default()
        };
        let topic =
            FetchableTopicResponse { topic: "t", partitions: vec![data], ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }

    fn fetcher(offset: i64) -> Fetcher {
        let mut fetcher = Fetcher::new(FetchSettings::default());
        fetcher.assign([(("t".to_owned(), 0), offset)].into());
        fetcher
    }

    #[test]
    fn records_before_the_position_are_skipped_and_the_position_moves_when_handed_out() {
        let mut fetcher = fetcher(1);
        let bytes = batch(BatchOptions::default(), &[b"a", b"b", b"c"]);
        assert!(fetcher.on_response(&answer(&bytes, None)).unwrap().is_empty());
        let key = ("t".to_owned(), 0);
        assert_eq!(fetcher.positions()[&key], Position { fetch_offset: 3, next_offset: 1 });
        assert_eq!(fetcher.pop().unwrap().value.unwrap(), "b");
        assert_eq!(fetcher.positions()[&key].next_offset, 2);
    }

    #[test]
    fn what_was_aborted_is_not_handed_out() {
        let options = |base_offset| BatchOptions {
            base_offset,
            producer_id: 5,
            producer_epoch: 0,
            base_sequence: 0,
            is_transactional: true,
            ..Default::default()
        };
        let mut bytes = batch(options(0), &[b"gone"]);
        bytes.extend(batch(BatchOptions { is_control: true, ..options(1) }, &[b"abort"]));
        bytes.extend(batch(options(2), &[b"kept"]));
        let aborted = AbortedTransaction { producer_id: 5, ..Default::default() };
        let mut fetcher = fetcher(0);
        fetcher.on_response(&answer(&bytes, Some(vec![aborted]))).unwrap();
        assert_eq!(fetcher.pop().unwrap().value.unwrap(), "kept");
        assert!(fetcher.pop().is_none());
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut bytes = batch(BatchOptions::default(), &[b"a"]);
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        assert!(fetcher(0).on_response(&answer(&bytes, None)).is_err());
    }
}
