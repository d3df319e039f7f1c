//! The load: produce frames made once and sent again and again over blocking sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_protocol::{Message, Reader, Writer};

const TOPIC: &str = "bench";
pub(super) const PARTITIONS: i32 = 8;
/// Named topics and flexible headers: what the floor program reads.
const PRODUCE_VERSION: i16 = 11;
const METADATA_VERSION: i16 = 9;

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub name: &'static str,
    /// Records of a batch and bytes of each value.
    pub records: usize,
    pub value_bytes: usize,
    pub requests: usize,
    pub in_flight: usize,
}

pub(super) const WORKLOADS: [Workload; 3] = [
    Workload { name: "W1-1MB", records: 1000, value_bytes: 1010, requests: 1000, in_flight: 4 },
    Workload { name: "W1-64KB", records: 63, value_bytes: 1010, requests: 12000, in_flight: 5 },
    Workload { name: "W3-single", records: 1, value_bytes: 100, requests: 40000, in_flight: 1 },
];

/// What a run has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub requests: usize,
    pub bytes: u64,
    pub elapsed: Duration,
    pub p50: Duration,
    pub p99: Duration,
}

/// A connection with its frames.
pub(super) struct Load {
    stream: TcpStream,
    /// One for each partition.
    frames: Vec<Vec<u8>>,
}

impl Load {
    /// Connects, makes the frames and, on a broker (the floor program is none), the topic.
    ///
    /// # Errors
    /// When the broker does not answer as it should.
    pub(super) fn connect(port: u16, workload: &Workload, is_broker: bool) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connecting")?;
        stream.set_nodelay(true)?;
        let frames = (0..PARTITIONS)
            .map(|partition| produce_frame(partition, workload))
            .collect::<Result<_>>()?;
        let mut load = Self { stream, frames };
        if is_broker {
            load.await_topic()?;
            load.await_leaders()?;
        }
        Ok(load)
    }

    /// Asks until the topic, made by the asking, has a leader for each partition.
    fn await_topic(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let frame = metadata_frame()?;
            self.stream.set_read_timeout(Some(Duration::from_secs(3)))?;
            self.stream.write_all(&frame)?;
            let answer = read_answer(&mut self.stream).context("asking for the topic")?;
            let mut reader = Reader::new(&answer);
            reader.read_i32()?;
            reader.read_i8()?;
            let response = MetadataResponse::decode(&mut reader, METADATA_VERSION)?;
            let ready = response.topics.iter().any(|topic| {
                topic.partitions.len() == PARTITIONS as usize
                    && topic.partitions.iter().all(|partition| partition.leader_id >= 0)
            });
            if ready {
                self.stream.set_read_timeout(Some(Duration::from_secs(60)))?;
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the topic was not made in 30 s");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends each frame until it is taken: Apache Kafka names a leader before that one leads.
    fn await_leaders(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        for frame in &self.frames {
            loop {
                self.stream.write_all(frame)?;
                let answer = read_answer(&mut self.stream)?;
                let Err(error) = check_answer(&answer) else { break };
                if Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// When the answer carries an error.
    pub(super) fn send_once(&mut self) -> Result<()> {
        self.stream.write_all(&self.frames[0])?;
        check_answer(&read_answer(&mut self.stream)?)
    }

    /// Sends `scale` times the workload's requests and reads every answer.
    ///
    /// # Errors
    /// When an answer carries an error.
    pub(super) fn run(&mut self, workload: &Workload, scale: f64) -> Result<Done> {
        let requests = ((workload.requests as f64 * scale) as usize).max(1);
        let started = Instant::now();
        let mut sent_at = std::collections::VecDeque::new();
        let mut latencies = Vec::with_capacity(requests);
        let (mut sent, mut bytes) = (0, 0);
        while latencies.len() < requests {
            while sent < requests && sent_at.len() < workload.in_flight {
                let frame = &self.frames[sent % self.frames.len()];
                self.stream.write_all(frame)?;
                bytes += frame.len() as u64;
                sent += 1;
                sent_at.push_back(Instant::now());
            }
            let answer = read_answer(&mut self.stream)?;
            check_answer(&answer)?;
            let at = sent_at.pop_front().context("an answer too many")?;
            latencies.push(at.elapsed());
        }
        latencies.sort_unstable();
        let percentile = |part: usize| latencies[(latencies.len() - 1) * part / 100];
        let (p50, p99) = (percentile(50), percentile(99));
        Ok(Done { requests, bytes, elapsed: started.elapsed(), p50, p99 })
    }
}

fn read_answer(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// The error code stands behind header, topic name and partition index.
fn check_answer(answer: &[u8]) -> Result<()> {
    let at = 4 + 1 + 1 + 1 + TOPIC.len() + 1 + 4;
    match answer.get(at..at + 2) {
        Some([0, 0]) => Ok(()),
        Some(code) => {
            bail!("a produce failed with error {}", i16::from_be_bytes([code[0], code[1]]))
        }
        None => bail!("an answer of {} bytes", answer.len()),
    }
}

fn header(writer: &mut Writer, api_key: i16, version: i16) {
    writer.write_i32(0);
    writer.write_i16(api_key);
    writer.write_i16(version);
    writer.write_i32(7);
    writer.write_i16(5);
    writer.bytes.extend_from_slice(b"bench");
    writer.write_i8(0);
}

fn finish(mut writer: Writer) -> Vec<u8> {
    let length = (writer.bytes.len() - 4) as u32;
    writer.bytes[..4].copy_from_slice(&length.to_be_bytes());
    writer.bytes
}

fn metadata_frame() -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    header(&mut writer, 3, METADATA_VERSION);
    let topic = MetadataRequestTopic { name: Some(TOPIC), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    request.encode(&mut writer, METADATA_VERSION)?;
    Ok(finish(writer))
}

/// By hand, so that the layout is the one the floor program reads.
fn produce_frame(partition: i32, workload: &Workload) -> Result<Vec<u8>> {
    let batch = batch(workload)?;
    let mut writer = Writer::new();
    header(&mut writer, 0, PRODUCE_VERSION);
    writer.write_i8(0); // no transactional id
    writer.write_i16(1); // acks
    writer.write_i32(30_000);
    writer.write_i8(2); // one topic
    writer.write_i8(TOPIC.len() as i8 + 1);
    writer.bytes.extend_from_slice(TOPIC.as_bytes());
    writer.write_i8(2); // one partition
    writer.write_i32(partition);
    writer.write_uvarint(batch.len() as u32 + 1);
    writer.bytes.extend_from_slice(&batch);
    for _ in 0..3 {
        writer.write_i8(0); // tagged fields of partition, topic, request
    }
    Ok(finish(writer))
}

/// Values that do not repeat within a batch, as a compressing disk or cache would notice.
fn batch(workload: &Workload) -> Result<Vec<u8>> {
    let mut random = strom_base::Random::new(1);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64);
    for _ in 0..workload.records {
        let value: Vec<u8> = (0..workload.value_bytes).map(|_| random.next_u64() as u8).collect();
        builder.append(&NewRecord {
            timestamp_ms: now_ms,
            value: Some(&value),
            ..Default::default()
        })?;
    }
    Ok(builder.build())
}
