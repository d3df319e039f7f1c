//! kill -9 under load: what was acknowledged is there afterwards, in order, once.
//!
//! STROM_KILL_ROUNDS sets the number of rounds, STROM_KILL_SEED the moments and sizes.

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
const PARTITIONS: usize = 4;
/// As many as an idempotent producer of Kafka's has in flight.
const IN_FLIGHT: usize = 5;
const RECORDS_PER_BATCH: i64 = 3;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
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
    random: Random,
}

impl Producer {
    fn new(node: &Node, random: Random) -> Producer {
        let mut peer = Peer::connect(node.address());
        // Small segments: they roll under way.
        let configs = [("segment.bytes", "1048576")];
        assert_eq!(peer.create_topic(TOPIC, PARTITIONS as i32, &configs), ErrorCode::None);
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
        let bytes: Vec<Vec<u8>> = (0..PARTITIONS)
            .map(|_| {
                let values: Vec<_> = (self.sent..self.sent + RECORDS_PER_BATCH)
                    .map(|number| {
                        let mut value = number.to_be_bytes().to_vec();
                        value.resize(8 + self.random.below(6000) as usize, b'x');
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
        frame(PRODUCE_VERSION, &request)
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
        assert_eq!(parts.len(), PARTITIONS);
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

#[test]
fn kill_9_under_load_loses_and_repeats_nothing() {
    let rounds = setting("STROM_KILL_ROUNDS", 20);
    let mut random = Random::new(setting("STROM_KILL_SEED", 9));
    let place = Place::new();
    let node = place.start();
    let mut producer = Producer::new(&node, Random::new(random.next_u64()));
    node.kill();
    let mut ends = [0; PARTITIONS];
    let mut first_answers = Vec::new();
    for round in 0..rounds {
        let started = Instant::now();
        let node = place.start();
        let peer = Peer::connect(node.address());
        let load = std::thread::spawn(move || {
            let answered = producer.run(peer);
            (producer, answered)
        });
        std::thread::sleep(Duration::from_millis(random.below(250)));
        node.kill();
        let answered;
        (producer, answered) = load.join().expect("every answer was right");
        first_answers.extend(answered.map(|it| it - started));
        if random.one_in(4) {
            place.start_and_kill(Duration::from_millis(random.below(40)));
        }
        let node = place.start();
        let mut peer = Peer::connect(node.address());
        for (partition, end) in ends.iter_mut().enumerate() {
            *end = verified(&mut peer, partition, *end);
            assert!(*end >= producer.acknowledged, "round {round}: acknowledged records are gone");
        }
        node.kill();
    }
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    for (partition, end) in ends.iter().enumerate() {
        assert_eq!(verified(&mut peer, partition, 0), *end);
    }
    first_answers.sort_unstable();
    let (median, last) = (first_answers.get(first_answers.len() / 2), first_answers.last());
    println!(
        "{rounds} rounds, {} records acknowledged in {PARTITIONS} partitions each; first answer \
         after a start: median {median:?}, slowest {last:?}",
        producer.acknowledged
    );
    assert!(last.is_none_or(|it| *it < PATIENCE));
    node.stop();
}
