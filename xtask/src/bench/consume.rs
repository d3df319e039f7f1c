//! Consumers that read everything of a topic: at its tail while it is written, or what was written
//! before, from the page cache or from the disk.

use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::header::decode_response_header;
use strom_protocol::records::batches;
use strom_protocol::{ApiKey, Message, Reader, Records};

use super::batch::BatchShape;
use super::open_loop::Pace;
use super::produce::{PARTITIONS, Target};
use super::sample::{Figure, Moved, Per, latency_figures};
use super::system::System;
use super::usage::Meter;
use super::wire::{Connection, frame};

/// With topic names, as all systems here understand.
const FETCH_VERSION: i16 = 12;
const IN_FLIGHT: usize = 5;

/// Where the records are when consumers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere yet: a producer writes them meanwhile.
    Tail,
    /// Written before, in the page cache.
    Cached,
    /// Written before, and on the disk only; small produces go on beside the reading.
    Cold,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Consume {
    pub fan_out: usize,
    pub place: Place,
    pub shape: BatchShape,
    pub batches: usize,
}

impl Consume {
    /// The cost of a delivered gigabyte; the producer's part is in it at the tail.
    ///
    /// # Errors
    /// When a request fails.
    pub(super) fn run(
        &self,
        system: &System,
        topic: &str,
        scale: f64,
    ) -> Result<(Moved, Vec<Figure>)> {
        let target = Target::prepare(system, topic, &self.shape, &[])?;
        let count = (self.batches as f64 * scale) as usize;
        if self.place != Place::Tail {
            write(system, &target, count)?;
        }
        let probes = match self.place {
            Place::Cold => {
                drop_page_cache(system)?;
                Some(Target::prepare(
                    system,
                    &format!("{topic}-probe"),
                    &BatchShape::plain(1, 100),
                    &[],
                )?)
            }
            _ => None,
        };
        let records = (count + target.frames.len()) * self.shape.records;
        let meter = Meter::start(system.pid()?)?;
        let (bytes, latencies) = thread::scope(|scope| -> Result<_> {
            let readers: Vec<_> = (0..self.fan_out)
                .map(|_| scope.spawn(|| Reading::new(topic).run(system.port(), records)))
                .collect();
            let mut latencies = Vec::new();
            if self.place == Place::Tail {
                write(system, &target, count)?;
            }
            if let Some(probes) = &probes {
                latencies = Pace { rate: 200, requests: 400 }.run(system, probes)?;
            }
            let mut bytes = 0;
            for reader in readers {
                bytes += reader.join().map_err(|_| anyhow!("a consumer's thread has ended"))??;
            }
            Ok((bytes, latencies))
        })?;
        let usage = meter.stop()?;
        target.remove(system)?;
        let mut more = Vec::new();
        if let Some(probes) = probes {
            probes.remove(system)?;
            let mut sorted = latencies;
            sorted.sort_unstable();
            more = latency_figures(&sorted);
        }
        let records = records * self.fan_out;
        Ok((Moved { usage, requests: 0, records, bytes, latencies: Vec::new() }, more))
    }

    pub(super) const PER: Per = Per::Gigabyte;
}

/// Writes so many batches round about the partitions.
fn write(system: &System, target: &Target, count: usize) -> Result<()> {
    let mut connection = Connection::open(system.port())?;
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < IN_FLIGHT {
            connection.send(&target.frames[sent % target.frames.len()])?;
            sent += 1;
        }
        connection.receive_produced(&target.topic)?;
        answered += 1;
    }
    Ok(())
}

/// Makes the kernel forget the pages of all segments, after they are on the disk.
fn drop_page_cache(system: &System) -> Result<()> {
    let script =
        "sync; find \"$0\" -name '*.log' -exec dd if={} iflag=nocache count=0 status=none \\;";
    let status = Command::new("sh").arg("-c").arg(script).arg(system.folder()).status()?;
    ensure!(status.success(), "dropping the page cache ended with {status}");
    Ok(())
}

/// A consumer of all partitions by itself.
struct Reading<'a> {
    topic: &'a str,
    positions: Vec<i64>,
}

impl<'a> Reading<'a> {
    fn new(topic: &'a str) -> Self {
        Self { topic, positions: vec![0; PARTITIONS as usize] }
    }

    /// Reads until `records` have come; the bytes they took.
    fn run(mut self, port: u16, records: usize) -> Result<u64> {
        let mut connection = Connection::open(port)?;
        let mut bytes = 0;
        while (self.positions.iter().sum::<i64>() as usize) < records {
            connection.send(&self.request()?)?;
            let answer = connection.receive()?;
            bytes += self.take(answer)?;
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
