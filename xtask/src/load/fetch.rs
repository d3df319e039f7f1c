//! A consumer of all partitions of a topic by itself.

use anyhow::{Context, Result, ensure};
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::header::decode_response_header;
use strom_protocol::records::batches;
use strom_protocol::{ApiKey, Message, Reader, Records};

use super::target::PARTITIONS;
use super::wire::{Connection, frame};

/// With topic names, as all systems here understand.
const FETCH_VERSION: i16 = 12;

pub(crate) struct Reading<'a> {
    topic: &'a str,
    positions: Vec<i64>,
}

impl<'a> Reading<'a> {
    /// From the beginning.
    #[must_use]
    pub(crate) fn new(topic: &'a str) -> Self {
        Self { topic, positions: vec![0; PARTITIONS as usize] }
    }

    /// Reads until `records` have come in all; the bytes they took.
    ///
    /// # Errors
    /// When a fetch fails.
    pub(crate) fn read(&mut self, connection: &mut Connection, records: usize) -> Result<u64> {
        let mut bytes = 0;
        while (self.positions.iter().sum::<i64>() as usize) < records {
            connection.send(&self.request()?)?;
            bytes += self.take(connection.receive()?)?;
        }
        Ok(bytes)
    }

    /// What consumers of Kafka ask for unless told otherwise, without a session.
    fn request(&self) -> Result<Vec<u8>> {
        let partitions =
            self.positions.iter().enumerate().map(|(index, position)| FetchPartition {
                partition: index as i32,
                fetch_offset: *position,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            });
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: self.topic,
                partitions: partitions.collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        frame(ApiKey::Fetch, FETCH_VERSION, &request)
    }

    fn take(&mut self, answer: &[u8]) -> Result<u64> {
        let mut reader = Reader::new(answer);
        decode_response_header(&mut reader, ApiKey::Fetch, FETCH_VERSION)?;
        let response = FetchResponse::decode(&mut reader, FETCH_VERSION)?;
        let mut bytes = 0;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            ensure!(partition.error_code == 0, "a fetch failed: {}", partition.error_code);
            let Some(Records::Inline(records)) = partition.records else { continue };
            bytes += records.len() as u64;
            let position = self
                .positions
                .get_mut(partition.partition_index as usize)
                .context("a partition nobody asked for")?;
            for batch in batches(records) {
                let header = batch?.header;
                *position = header.base_offset + i64::from(header.last_offset_delta) + 1;
            }
        }
        Ok(bytes)
    }
}
