//! A blocking connection that speaks the few requests a load needs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use strom_protocol::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::delete_topics_request::DeleteTopicsRequest;
use strom_protocol::delete_topics_response::DeleteTopicsResponse;
use strom_protocol::header::{RequestHeader, decode_response_header, encode_request_header};
use strom_protocol::{ApiKey, ErrorCode, Message, Reader, Writer};

/// Named topics and flexible headers: what the floor program reads.
const PRODUCE_VERSION: i16 = 11;
const CREATE_VERSION: i16 = 5;
const DELETE_VERSION: i16 = 5;
const CLIENT_ID: &str = "bench";
/// A request that is not answered within this has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection, its answers read one after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// When nobody listens.
    pub(crate) fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// From now on an answer that takes longer is an error.
    ///
    /// # Errors
    /// When the system refuses it.
    #[cfg(feature = "real-client")]
    pub(crate) fn set_patience(&mut self, patience: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    /// One request and its answer, read by `take`.
    ///
    /// # Errors
    /// When the connection is closed or silent, or the answer is not one of this request.
    #[cfg(feature = "real-client")]
    pub(crate) fn call<'r, T>(
        &mut self,
        (api_key, version): (ApiKey, i16),
        request: &impl Message<'r>,
        take: impl FnOnce(&mut Reader<'_>) -> Result<T>,
    ) -> Result<T> {
        self.send(&frame(api_key, version, request)?)?;
        let mut reader = Reader::new(self.receive()?);
        decode_response_header(&mut reader, api_key, version)?;
        take(&mut reader)
    }

    /// Another handle of the same socket: one thread sends, another one reads.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub(crate) fn second_handle(&self) -> Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, answer: Vec::new() })
    }

    /// # Errors
    /// When the connection is closed.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.stream.write_all(frame).context("sending a request")
    }

    /// The next answer, its length prefix taken off.
    ///
    /// # Errors
    /// When the connection is closed or silent.
    pub(crate) fn receive(&mut self) -> Result<&[u8]> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).context("reading an answer")?;
        self.answer.resize(u32::from_be_bytes(length) as usize, 0);
        self.stream.read_exact(&mut self.answer).context("reading an answer")?;
        Ok(&self.answer)
    }

    /// Reads the answer to one produce of one partition.
    ///
    /// # Errors
    /// When it carries an error.
    pub(crate) fn receive_produced(&mut self, topic: &str) -> Result<()> {
        // The error code stands behind header, topic name and partition index.
        let at = 4 + 1 + 1 + 1 + topic.len() + 1 + 4;
        let answer = self.receive()?;
        match answer.get(at..at + 2) {
            Some([0, 0]) => Ok(()),
            Some(code) => {
                let code = i16::from_be_bytes([code[0], code[1]]);
                bail!("a produce was refused: {:?}", ErrorCode::from_code(code))
            }
            None => bail!("an answer of {} bytes", answer.len()),
        }
    }

    /// # Errors
    /// When the broker refuses it.
    pub(crate) fn create_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name,
            value: Some(value),
            ..Default::default()
        });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic,
                num_partitions: partitions,
                replication_factor: 1,
                configs: configs.collect(),
                ..Default::default()
            }],
            timeout_ms: 60_000,
            ..Default::default()
        };
        self.send(&frame(ApiKey::CreateTopics, CREATE_VERSION, &request)?)?;
        let mut reader = Reader::new(self.receive()?);
        decode_response_header(&mut reader, ApiKey::CreateTopics, CREATE_VERSION)?;
        let response = CreateTopicsResponse::decode(&mut reader, CREATE_VERSION)?;
        let code = response.topics.first().map_or(-1, |topic| topic.error_code);
        ensure!(code == 0, "making {topic}: {:?}", ErrorCode::from_code(code));
        Ok(())
    }

    /// # Errors
    /// When the broker refuses it.
    pub(crate) fn delete_topic(&mut self, topic: &str) -> Result<()> {
        let request = DeleteTopicsRequest {
            topic_names: vec![topic],
            timeout_ms: 60_000,
            ..Default::default()
        };
        self.send(&frame(ApiKey::DeleteTopics, DELETE_VERSION, &request)?)?;
        let mut reader = Reader::new(self.receive()?);
        decode_response_header(&mut reader, ApiKey::DeleteTopics, DELETE_VERSION)?;
        let response = DeleteTopicsResponse::decode(&mut reader, DELETE_VERSION)?;
        let code = response.responses.first().map_or(-1, |topic| topic.error_code);
        ensure!(code == 0, "deleting {topic}: {:?}", ErrorCode::from_code(code));
        Ok(())
    }

    /// Sends a produce again until it is taken: Apache Kafka names a leader before that one leads.
    ///
    /// # Errors
    /// When it is not taken within two minutes.
    pub(crate) fn produce_when_ready(&mut self, topic: &str, frame: &[u8]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.send(frame)?;
            match self.receive_produced(topic) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// A request with its header and length.
///
/// # Errors
/// When the version cannot say what the request holds.
pub(crate) fn frame<'a>(
    api_key: ApiKey,
    version: i16,
    request: &impl Message<'a>,
) -> Result<Vec<u8>> {
    let mut writer = begin(api_key, version)?;
    request.encode(&mut writer, version)?;
    Ok(finish(writer))
}

fn begin(api_key: ApiKey, version: i16) -> Result<Writer> {
    let mut writer = Writer::new();
    writer.write_i32(0);
    let header = RequestHeader {
        request_api_key: api_key.code(),
        request_api_version: version,
        correlation_id: 7,
        client_id: Some(CLIENT_ID),
        ..RequestHeader::default()
    };
    encode_request_header(&mut writer, api_key, &header)?;
    Ok(writer)
}

fn finish(mut writer: Writer) -> Vec<u8> {
    let length = (writer.bytes.len() - 4) as u32;
    writer.bytes[..4].copy_from_slice(&length.to_be_bytes());
    writer.bytes
}

/// A produce with acks=1 of one batch; by hand, so that the layout is the one the floor program reads.
///
/// # Errors
/// Never for a header that this program writes.
pub(crate) fn produce_frame(topic: &str, partition: i32, batch: &[u8]) -> Result<Vec<u8>> {
    let mut writer = begin(ApiKey::Produce, PRODUCE_VERSION)?;
    writer.write_i8(0); // no transactional id
    writer.write_i16(1); // acks
    writer.write_i32(30_000);
    writer.write_i8(2); // one topic
    writer.write_i8(topic.len() as i8 + 1);
    writer.bytes.extend_from_slice(topic.as_bytes());
    writer.write_i8(2); // one partition
    writer.write_i32(partition);
    writer.write_uvarint(batch.len() as u32 + 1);
    writer.bytes.extend_from_slice(batch);
    for _ in 0..3 {
        writer.write_i8(0); // tagged fields of partition, topic, request
    }
    Ok(finish(writer))
}
