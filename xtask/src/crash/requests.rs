//! The few requests that an audit asks by itself, so that no client's cache stands between.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use strom_protocol::delete_records_response::DeleteRecordsResponse;
use strom_protocol::delete_topics_request::DeleteTopicsRequest;
use strom_protocol::delete_topics_response::DeleteTopicsResponse;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use strom_protocol::offset_fetch_response::OffsetFetchResponse;
use strom_protocol::{ApiKey, ErrorCode, Message, Records};

use crate::load::wire::Connection;

const EARLIEST: i64 = -2;
const FETCH_BYTES: i32 = 8 << 20;

/// Topics that exist.
///
/// # Errors
/// When the connection is closed or silent.
pub(crate) fn topics(connection: &mut Connection) -> Result<BTreeSet<String>> {
    let (key, version) = (ApiKey::Metadata, 8);
    let request = MetadataRequest { topics: None, ..Default::default() };
    connection.call((key, version), &request, |reader| {
        let response = MetadataResponse::decode(reader, version)?;
        Ok(response.topics.iter().filter_map(|it| it.name.map(str::to_owned)).collect())
    })
}

/// # Errors
/// When the connection is closed or silent.
pub(crate) fn create_topic(connection: &mut Connection, name: &str) -> Result<ErrorCode> {
    let (key, version) = (ApiKey::CreateTopics, 5);
    let topic =
        CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    connection.call((key, version), &request, |reader| {
        let response = CreateTopicsResponse::decode(reader, version)?;
        let code = response.topics.first().context("no topic in the answer")?.error_code;
        Ok(ErrorCode::from_code(code))
    })
}

/// # Errors
/// When the connection is closed or silent.
pub(crate) fn delete_topic(connection: &mut Connection, name: &str) -> Result<ErrorCode> {
    let (key, version) = (ApiKey::DeleteTopics, 5);
    let request =
        DeleteTopicsRequest { topic_names: vec![name], timeout_ms: 30_000, ..Default::default() };
    connection.call((key, version), &request, |reader| {
        let response = DeleteTopicsResponse::decode(reader, version)?;
        let code = response.responses.first().context("no topic in the answer")?.error_code;
        Ok(ErrorCode::from_code(code))
    })
}

/// Where the partition begins afterwards.
///
/// # Errors
/// When the connection is closed or silent.
pub(crate) fn delete_records(
    connection: &mut Connection,
    (topic, partition): (&str, i32),
    offset: i64,
) -> Result<(ErrorCode, i64)> {
    let (key, version) = (ApiKey::DeleteRecords, 1);
    let partitions =
        vec![DeleteRecordsPartition { partition_index: partition, offset, ..Default::default() }];
    let topics = vec![DeleteRecordsTopic { name: topic, partitions, ..Default::default() }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    connection.call((key, version), &request, |reader| {
        let response = DeleteRecordsResponse::decode(reader, version)?;
        let found = response.topics.first().and_then(|topic| topic.partitions.first());
        let found = found.context("no partition in the answer")?;
        Ok((ErrorCode::from_code(found.error_code), found.low_watermark))
    })
}

/// The first offset of a partition.
///
/// # Errors
/// When the connection is closed or silent.
pub(crate) fn log_start(
    connection: &mut Connection,
    (topic, partition): (&str, i32),
) -> Result<(ErrorCode, i64)> {
    let (key, version) = (ApiKey::ListOffsets, 5);
    let partitions = vec![ListOffsetsPartition {
        partition_index: partition,
        timestamp: EARLIEST,
        ..Default::default()
    }];
    let topics = vec![ListOffsetsTopic { name: topic, partitions, ..Default::default() }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    connection.call((key, version), &request, |reader| {
        let response = ListOffsetsResponse::decode(reader, version)?;
        let found = response.topics.first().and_then(|topic| topic.partitions.first());
        let found = found.context("no partition in the answer")?;
        Ok((ErrorCode::from_code(found.error_code), found.offset))
    })
}

/// What a fetch brought.
pub(crate) struct Fetched {
    pub error: ErrorCode,
    pub high_watermark: i64,
    pub records: Vec<u8>,
}

/// # Errors
/// When the connection is closed or silent.
pub(crate) fn fetch(
    connection: &mut Connection,
    (topic, partition): (&str, i32),
    offset: i64,
) -> Result<Fetched> {
    let (key, version) = (ApiKey::Fetch, 12);
    let partition = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: FETCH_BYTES,
        ..Default::default()
    };
    let request = FetchRequest {
        replica_id: -1,
        max_bytes: FETCH_BYTES,
        session_epoch: -1,
        topics: vec![FetchTopic { topic, partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    };
    connection.call((key, version), &request, |reader| {
        let response = FetchResponse::decode(reader, version)?;
        ensure!(response.error_code == 0, "a fetch failed: {}", response.error_code);
        let found = response.responses.first().and_then(|topic| topic.partitions.first());
        let found = found.context("no partition in the answer")?;
        let records = match &found.records {
            Some(Records::Inline(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        };
        let error = ErrorCode::from_code(found.error_code);
        Ok(Fetched { error, high_watermark: found.high_watermark, records })
    })
}

/// What a group has committed for a partition, -1 for nothing.
///
/// # Errors
/// When the connection is closed or silent.
pub(crate) fn committed(
    connection: &mut Connection,
    group: &str,
    (topic, partition): (&str, i32),
) -> Result<(ErrorCode, i64)> {
    let (key, version) = (ApiKey::OffsetFetch, 5);
    let topics = vec![OffsetFetchRequestTopic {
        name: topic,
        partition_indexes: vec![partition],
        ..Default::default()
    }];
    let request =
        OffsetFetchRequest { group_id: group, topics: Some(topics), ..Default::default() };
    connection.call((key, version), &request, |reader| {
        let response = OffsetFetchResponse::decode(reader, version)?;
        if response.error_code != 0 {
            return Ok((ErrorCode::from_code(response.error_code), -1));
        }
        let found = response.topics.first().and_then(|topic| topic.partitions.first());
        let found = found.context("no partition in the answer")?;
        Ok((ErrorCode::from_code(found.error_code), found.committed_offset))
    })
}
