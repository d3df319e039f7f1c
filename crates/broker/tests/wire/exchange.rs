//! Batches to and from a node in any version of Produce and Fetch.

use strom_base::Uuid;
use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::{self, BatchBuilder, BatchOptions, NewRecord};
use strom_protocol::{ApiKey, Message, Records};

use crate::node::Node;

/// Since then topics are named by their ids, in Produce as in Fetch.
pub(crate) const FIRST_VERSION_WITH_IDS: i16 = 13;
pub(crate) const PRODUCED_AT_MS: i64 = 1_700_000_000_000;

/// A topic with both of its names; each version takes the one that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topic<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: Uuid,
}

impl<'a> Topic<'a> {
    /// What an answer of this version calls it.
    pub(crate) fn told(self, version: i16) -> (&'a str, Uuid) {
        if version < FIRST_VERSION_WITH_IDS { (self.name, Uuid::ZERO) } else { ("", self.id) }
    }
}

/// A batch of one record with a key.
pub(crate) fn batch(codec: Codec, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = NewRecord {
        timestamp_ms: PRODUCED_AT_MS,
        key: Some(b"key"),
        value: Some(value),
        headers: &[],
    };
    builder.append(&record).expect("a record");
    builder.build_compressed(codec.into(), &mut Codecs::new()).expect("compresses")
}

pub(crate) fn produce_request<'a>(
    topic: Topic<'a>,
    parts: &[(i32, &'a [u8])],
) -> ProduceRequest<'a> {
    let parts = parts.iter().map(|(index, batch)| PartitionProduceData {
        index: *index,
        records: Some(Records::Inline(batch)),
        ..Default::default()
    });
    let topic = TopicProduceData {
        name: topic.name,
        topic_id: topic.id,
        partition_data: parts.collect(),
        ..Default::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() }
}

/// What became of one partition of a produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) error: i16,
    pub(crate) base_offset: i64,
    pub(crate) log_append_time_ms: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) has_message: bool,
    /// Indexes of the records at fault.
    pub(crate) records: Vec<i32>,
}

pub(crate) fn produce(
    node: &mut Node,
    version: i16,
    topic: Topic<'_>,
    parts: &[(i32, &[u8])],
) -> Vec<Told> {
    let request = produce_request(topic, parts);
    let bytes = node.send(ApiKey::Produce, version, &request).expect("an answer");
    let response = ProduceResponse::from_bytes(&bytes, version).expect("decodes");
    assert_eq!(response.responses.len(), 1, "v{version}");
    let answered = &response.responses[0];
    assert_eq!((answered.name, answered.topic_id), topic.told(version), "v{version}");
    let told = answered.partition_responses.iter().map(|part| Told {
        error: part.error_code,
        base_offset: part.base_offset,
        log_append_time_ms: part.log_append_time_ms,
        log_start_offset: part.log_start_offset,
        has_message: part.error_message.is_some(),
        records: part.record_errors.iter().map(|record| record.batch_index).collect(),
    });
    told.collect()
}

/// A fetch from some offsets of a topic's partitions, outside of any session.
pub(crate) fn fetch_request<'a>(topic: Topic<'a>, offsets: &[(i32, i64)]) -> FetchRequest<'a> {
    let partitions = offsets.iter().map(|(partition, fetch_offset)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    });
    let topic = FetchTopic {
        topic: topic.name,
        topic_id: topic.id,
        partitions: partitions.collect(),
        ..Default::default()
    };
    let topics = if offsets.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest { session_epoch: -1, topics, ..Default::default() }
}

pub(crate) fn forgetting(topic: Topic<'_>, partitions: Vec<i32>) -> ForgottenTopic<'_> {
    ForgottenTopic { topic: topic.name, topic_id: topic.id, partitions, ..Default::default() }
}

/// One partition of a fetch's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) partition: i32,
    pub(crate) error: i16,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    /// Leader epoch and end offset where the reader's log stopped being the node's.
    pub(crate) diverging: (i32, i64),
    pub(crate) values: Vec<Vec<u8>>,
}

/// A fetch's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) error: i16,
    pub(crate) session_id: i32,
    pub(crate) parts: Vec<Got>,
}

pub(crate) fn fetch(
    node: &mut Node,
    version: i16,
    topic: Topic<'_>,
    request: &FetchRequest<'_>,
) -> Fetched {
    let bytes = node.send(ApiKey::Fetch, version, request).expect("an answer");
    let response = FetchResponse::from_bytes(&bytes, version).expect("decodes");
    let mut parts = Vec::new();
    for answered in &response.responses {
        assert_eq!((answered.topic, answered.topic_id), topic.told(version), "v{version}");
        parts.extend(answered.partitions.iter().map(|part| Got {
            partition: part.partition_index,
            error: part.error_code,
            high_watermark: part.high_watermark,
            last_stable_offset: part.last_stable_offset,
            log_start_offset: part.log_start_offset,
            diverging: (part.diverging_epoch.epoch, part.diverging_epoch.end_offset),
            values: values(part.records.as_ref()),
        }));
    }
    Fetched { error: response.error_code, session_id: response.session_id, parts }
}

fn values(fetched: Option<&Records<'_>>) -> Vec<Vec<u8>> {
    let Some(Records::Inline(bytes)) = fetched else { panic!("records are never null") };
    let mut values = Vec::new();
    for batch in records::batches(bytes) {
        let batch = batch.expect("a whole batch");
        assert!(records::verify_crc(batch.bytes));
        let body = records::body_of(&batch.header, batch.bytes, &mut Codecs::new(), 1 << 20);
        for record in batch.header.records(&body.expect("a body")) {
            let record = record.expect("a record");
            assert_eq!(record.key, Some(b"key".as_slice()));
            values.push(record.value.expect("a value").to_vec());
        }
    }
    values
}
