//! A peer that speaks the wire protocol byte by byte, also wrongly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strom_protocol::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::header::{RequestHeader, decode_response_header, encode_request_header};
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_protocol::{ApiKey, ErrorCode, Message, Reader, Records, Writer};

use crate::node::PATIENCE;

pub(crate) const PRODUCE_VERSION: i16 = 12;
pub(crate) const FETCH_VERSION: i16 = 12;
const CREATE_TOPICS_VERSION: i16 = 7;

pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Peer {
        let stream = TcpStream::connect(address).expect("the node listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Peer { stream }
    }

    /// Sends bytes as they are. A node that has closed the connection meanwhile is no error.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more is coming.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// One answer without its length; `None` when the connection is closed.
    pub(crate) fn answer(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.read(&mut length)?;
        let mut answer = vec![0; i32::from_be_bytes(length) as usize];
        self.read(&mut answer)?;
        Some(answer)
    }

    /// `None` at the end of the stream; a node that says nothing for long is a failure.
    fn read(&mut self, target: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(target) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the node says nothing")
            }
            Err(_) => None,
        }
    }

    /// Whether the node neither answers nor closes the connection for so long.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a socket");
        let peeked = self.stream.peek(&mut [0]).map_err(|error| error.kind());
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        matches!(peeked, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Whether the node closes the connection without a word.
    pub(crate) fn is_refused(&mut self) -> bool {
        self.answer().is_none()
    }

    /// One request and its answer, read by `take`; `None` when the connection is closed.
    pub(crate) fn call<'r, R: Message<'r>, T>(
        &mut self,
        version: i16,
        request: &R,
        take: impl FnOnce(&mut Reader<'_>, i16) -> T,
    ) -> Option<T> {
        self.send(&frame(version, request));
        let answer = self.answer()?;
        let mut reader = Reader::new(&answer);
        decode_response_header(&mut reader, key_of(request), version).expect("a header");
        Some(take(&mut reader, version))
    }

    /// Makes a topic; the error code of the answer.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> ErrorCode {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name,
            value: Some(value),
            ..Default::default()
        });
        let topic = CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let code = self.call(CREATE_TOPICS_VERSION, &request, |reader, version| {
            let response = CreateTopicsResponse::decode(reader, version).expect("an answer");
            response.topics[0].error_code
        });
        ErrorCode::from_code(code.expect("an answer"))
    }

    /// Produces with acks=all; `None` when the connection is closed.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &[u8],
    ) -> Option<Produced> {
        let request = produce_request(topic, partition, batch);
        self.call(PRODUCE_VERSION, &request, |reader, version| {
            let response = ProduceResponse::decode(reader, version).expect("an answer");
            let part = &response.responses[0].partition_responses[0];
            Produced { error: ErrorCode::from_code(part.error_code), base_offset: part.base_offset }
        })
    }

    /// The batches of a partition from an offset on, up to some size, and its high watermark.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> (Vec<u8>, i64) {
        let partition = FetchPartition {
            partition,
            fetch_offset: offset,
            partition_max_bytes: 4 << 20,
            ..Default::default()
        };
        let topic = FetchTopic { topic, partitions: vec![partition], ..Default::default() };
        let request = FetchRequest {
            max_bytes: 4 << 20,
            topics: vec![topic],
            session_epoch: -1,
            ..Default::default()
        };
        let fetched = self.call(FETCH_VERSION, &request, |reader, version| {
            let response = FetchResponse::decode(reader, version).expect("an answer");
            let part = &response.responses[0].partitions[0];
            assert_eq!(ErrorCode::from_code(part.error_code), ErrorCode::None);
            let records = match part.records {
                Some(Records::Inline(bytes)) => bytes.to_vec(),
                _ => Vec::new(),
            };
            (records, part.high_watermark)
        });
        fetched.expect("an answer")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub error: ErrorCode,
    pub base_offset: i64,
}

fn key_of<'r, R: Message<'r>>(_: &R) -> ApiKey {
    R::API_KEY.and_then(ApiKey::from_code).expect("a request")
}

/// A whole request with its length in front.
pub(crate) fn frame<'r, R: Message<'r>>(version: i16, request: &R) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader {
        request_api_key: key_of(request).code(),
        request_api_version: version,
        correlation_id: 1,
        client_id: Some("faults"),
        ..Default::default()
    };
    encode_request_header(&mut writer, key_of(request), &header).expect("a header");
    request.encode(&mut writer, version).expect("a request");
    framed(&writer.bytes)
}

/// Any bytes with their length in front.
pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as i32).to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}

pub(crate) fn produce_request<'a>(
    topic: &'a str,
    partition: i32,
    batch: &'a [u8],
) -> ProduceRequest<'a> {
    let data = PartitionProduceData {
        index: partition,
        records: Some(Records::Inline(batch)),
        ..Default::default()
    };
    let topic = TopicProduceData { name: topic, partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

/// An uncompressed batch of these values, without keys.
pub(crate) fn batch(options: BatchOptions, values: &[Vec<u8>]) -> Vec<u8> {
    // Of today: retention would take records of 1970 away while a test runs.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is right");
    let timestamp_ms = since.as_millis() as i64;
    let mut builder = BatchBuilder::new(options);
    for value in values {
        let record = NewRecord { timestamp_ms, key: None, value: Some(value), headers: &[] };
        builder.append(&record).expect("a record");
    }
    builder.build()
}
