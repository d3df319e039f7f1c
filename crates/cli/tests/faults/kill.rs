//! kill -9 under load: what was acknowledged is there afterwards, in order, once.
//!
//! STROM_KILL_ROUNDS sets the number of rounds, STROM_KILL_SEED the moments and sizes;
//! STROM_KILL_PARTITIONS, STROM_KILL_SEGMENT_BYTES, STROM_KILL_VALUE_BYTES (at most) and
//! STROM_KILL_MIB (written before the first round) what is killed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use strom_base::Random;
use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::{BatchOptions, HEADER_LENGTH, RecordIterator, batches};
use strom_protocol::{ErrorCode, Message, Reader, Records};

use crate::node::{Node, PATIENCE, Place};
use crate::wire::{PRODUCE_VERSION, Peer, batch, frame};

const TOPIC: &str = "killed";
/// As many as an idempotent producer of Kafka's has in flight.
const IN_FLIGHT: usize = 5;
const RECORDS_PER_BATCH: i64 = 3;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What is killed, and how often.
struct Plan {
    rounds: u64,
    partitions: usize,
    segment_bytes: u64,
    value_bytes: u64,
    bytes_before: u64,
}

impl Plan {
    fn read() -> Plan {
        Plan {
            rounds: setting("STROM_KILL_ROUNDS", 20),
            partitions: setting("STROM_KILL_PARTITIONS", 4) as usize,
            // Small segments: they roll under way.
            segment_bytes: setting("STROM_KILL_SEGMENT_BYTES", 1 << 20),
            value_bytes: setting("STROM_KILL_VALUE_BYTES", 6000),
            bytes_before: setting("STROM_KILL_MIB", 0) << 20,
        }
    }
}

/// A producer that lives through the deaths of its node. Record `n` of a partition carries `n`.
struct Producer {
    producer_id: i64,
    producer_epoch: i16,
    /// Records that were sent, to each partition as many.
    sent: i64,
    /// Records of each partition that were acknowledged.
    acknowledged: i64,
    /// Requests that were sent and not answered, oldest first; to be sent again after a death.
    unanswered: VecDeque<Vec<u8>>,
    bytes_sent: u64,
    partitions: usize,
    value_bytes: u64,
    random: Random,
}

impl Producer {
    fn new(node: &Node, plan: &Plan, random: Random) -> Producer {
        let mut peer = Peer::connect(node.address());
        let segment_bytes = plan.segment_bytes.to_string();
        let configs = [("segment.bytes", segment_bytes.as_str())];
        assert_eq!(peer.create_topic(TOPIC, plan.partitions as i32, &configs), ErrorCode::None);
        let request = InitProducerIdRequest {
            transactional_id: None,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let identity = peer.call(4, &request, |reader, version| {
            let response = InitProducerIdResponse::decode(reader, version).expect("an answer");
            (response.error_code, response.producer_id, response.producer_epoch)
        });
        let Some((0, producer_id, producer_epoch)) = identity else { panic!("{identity:?}") };
        Producer {
            producer_id,
            producer_epoch,
            sent: 0,
            acknowledged: 0,
            unanswered: VecDeque::new(),
            bytes_sent: 0,
            partitions: plan.partitions,
            value_bytes: plan.value_bytes,
            random,
        }
    }

    /// A request with the next batch of every partition.
    fn next_request(&mut self) -> Vec<u8> {
        let options = BatchOptions {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.sent as i32,
            ..Default::default()
        };
        let bytes: Vec<Vec<u8>> = (0..self.partitions)
            .map(|_| {
                let values: Vec<_> = (self.sent..self.sent + RECORDS_PER_BATCH)
                    .map(|number| {
                        let mut value = number.to_be_bytes().to_vec();
                        value.resize(8 + self.random.below(self.value_bytes) as usize, b'x');
                        value
                    })
                    .collect();
                batch(options, &values)
            })
            .collect();
        self.sent += RECORDS_PER_BATCH;
        let data = bytes.iter().enumerate().map(|(index, batch)| PartitionProduceData {
            index: index as i32,
            records: Some(Records::Inline(batch)),
            ..Default::default()
        });
        let topic =
            TopicProduceData { name: TOPIC, partition_data: data.collect(), ..Default::default() };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        let request = frame(PRODUCE_VERSION, &request);
        self.bytes_sent += request.len() as u64;
        request
    }

    /// Produces so much while the node lives.
    fn write(&mut self, peer: &mut Peer, bytes: u64) {
        while self.bytes_sent < bytes {
            let request = self.next_request();
            peer.send(&request);
            self.unanswered.push_back(request);
            while self.unanswered.len() >= IN_FLIGHT {
                self.on_answer(&peer.answer().expect("an answer"));
            }
        }
    }

    /// Produces until the node dies; when the first answer came.
    fn run(&mut self, mut peer: Peer) -> Option<Instant> {
        let mut answered = None;
        self.unanswered.iter().for_each(|request| peer.send(request));
        loop {
            while self.unanswered.len() < IN_FLIGHT {
                let request = self.next_request();
                peer.send(&request);
                self.unanswered.push_back(request);
            }
            let Some(answer) = peer.answer() else { return answered };
            answered.get_or_insert_with(Instant::now);
            self.on_answer(&answer);
        }
    }

    fn on_answer(&mut self, answer: &[u8]) {
        // The header is a correlation id and no tagged fields.
        let mut reader = Reader::new(&answer[5..]);
        let response = ProduceResponse::decode(&mut reader, PRODUCE_VERSION).expect("an answer");
        let parts = &response.responses[0].partition_responses;
        assert_eq!(parts.len(), self.partitions);
        for part in parts {
            let error = ErrorCode::from_code(part.error_code);
            assert_eq!(error, ErrorCode::None, "{:?}", part.error_message);
            assert_eq!(part.base_offset, self.acknowledged);
        }
        self.acknowledged += RECORDS_PER_BATCH;
        self.unanswered.pop_front();
    }
}

/// Reads a partition from an offset to its end: each record carries its own offset. The end.
fn verified(peer: &mut Peer, partition: usize, mut offset: i64) -> i64 {
    loop {
        let (bytes, high_watermark) = peer.fetch(TOPIC, partition as i32, offset);
        for found in batches(&bytes) {
            let found = found.expect("a batch");
            let body = &found.bytes[HEADER_LENGTH..];
            for record in RecordIterator::new(body, found.header.record_count) {
                let record = record.expect("a record");
                let number = found.header.base_offset + i64::from(record.offset_delta);
                let value = record.value.expect("a value");
                assert_eq!(value[..8], number.to_be_bytes(), "{TOPIC}-{partition}");
                if number >= offset {
                    assert_eq!(number, offset, "{TOPIC}-{partition} has a gap");
                    offset += 1;
                }
            }
        }
        if offset >= high_watermark {
            return offset;
        }
    }
}

/// What the starts took.
#[derive(Default)]
struct Starts {
    /// From the start to the greeting, which says that clients are served.
    greetings: Vec<Duration>,
    /// From the start to the first acknowledged record.
    answers: Vec<Duration>,
}

impl Starts {
    fn start(&mut self, place: &Place) -> Node {
        let started = Instant::now();
        let node = place.start();
        self.greetings.push(started.elapsed());
        node
    }
}

fn median_and_last(times: &mut [Duration]) -> String {
    times.sort_unstable();
    format!("median {:?}, slowest {:?}", times.get(times.len() / 2), times.last())
}

/// Load, kill -9, sometimes kill -9 while it starts, and a look at what is there.
fn round(place: &Place, random: &mut Random, producer: Producer, starts: &mut Starts) -> Producer {
    let started = Instant::now();
    let node = starts.start(place);
    let peer = Peer::connect(node.address());
    let mut loaded = producer;
    let load = std::thread::spawn(move || {
        let answered = loaded.run(peer);
        (loaded, answered)
    });
    std::thread::sleep(Duration::from_millis(random.below(250)));
    node.kill();
    let (producer, answered) = load.join().expect("every answer was right");
    starts.answers.extend(answered.map(|it| it - started));
    if random.one_in(4) {
        place.start_and_kill(Duration::from_millis(random.below(40)));
    }
    producer
}

#[test]
fn kill_9_under_load_loses_and_repeats_nothing() {
    let plan = Plan::read();
    let mut random = Random::new(setting("STROM_KILL_SEED", 9));
    let place = Place::new();
    let node = place.start();
    let mut producer = Producer::new(&node, &plan, Random::new(random.next_u64()));
    producer.write(&mut Peer::connect(node.address()), plan.bytes_before);
    node.kill();
    let mut ends = vec![0; plan.partitions];
    let mut starts = Starts::default();
    for number in 0..plan.rounds {
        producer = round(&place, &mut random, producer, &mut starts);
        let node = starts.start(&place);
        let mut peer = Peer::connect(node.address());
        for (partition, end) in ends.iter_mut().enumerate() {
            *end = verified(&mut peer, partition, *end);
            assert!(*end >= producer.acknowledged, "round {number}: acknowledged records are gone");
        }
        node.kill();
        if number % 50 == 49 {
            println!("{} rounds, {} records each", number + 1, producer.acknowledged);
        }
    }
    let node = starts.start(&place);
    let mut peer = Peer::connect(node.address());
    for (partition, end) in ends.iter().enumerate() {
        assert_eq!(verified(&mut peer, partition, 0), *end);
    }
    println!(
        "{} rounds, {} records acknowledged in {} partitions each, {} MiB sent; from a start to \
         the greeting: {} ({} starts); to the first answer: {} ({} starts)",
        plan.rounds,
        producer.acknowledged,
        plan.partitions,
        producer.bytes_sent >> 20,
        median_and_last(&mut starts.greetings),
        starts.greetings.len(),
        median_and_last(&mut starts.answers),
        starts.answers.len(),
    );
    assert!(starts.answers.last().is_none_or(|it| *it < PATIENCE));
    node.stop();
}
