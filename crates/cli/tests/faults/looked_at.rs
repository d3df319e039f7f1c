//! Produces whose records take long to look at: their connection keeps its order, and others do not wait for it.

use strom_protocol::header::decode_response_header;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::BatchOptions;
use strom_protocol::{ApiKey, ErrorCode, Message, Reader};

use crate::node::Place;
use crate::wire::{PRODUCE_VERSION, Peer, batch, frame, produce_request};

const TOPIC: &str = "folded";
const METADATA_VERSION: i16 = 12;
const ROUNDS: usize = 8;
const LONG_RECORDS: i64 = 500;

/// In each round a produce that is folded up for its topic, a short one, and a question.
fn pipeline() -> Vec<u8> {
    let long = batch(BatchOptions::default(), &vec![vec![7; 1000]; LONG_RECORDS as usize]);
    let short = batch(BatchOptions::default(), &[b"short".to_vec()]);
    let round = [
        frame(PRODUCE_VERSION, &produce_request(TOPIC, 0, &long)),
        frame(PRODUCE_VERSION, &produce_request(TOPIC, 0, &short)),
        frame(METADATA_VERSION, &MetadataRequest::default()),
    ];
    round.concat().repeat(ROUNDS)
}

/// Takes the answers to a pipeline whose first record gets this offset.
fn take_answers(peer: &mut Peer, first_offset: i64) {
    let mut next_offset = first_offset;
    for _ in 0..ROUNDS {
        for records in [LONG_RECORDS, 1] {
            let answer = peer.answer().expect("an answer");
            let mut reader = Reader::new(&answer);
            decode_response_header(&mut reader, ApiKey::Produce, PRODUCE_VERSION)
                .expect("a header");
            let response =
                ProduceResponse::decode(&mut reader, PRODUCE_VERSION).expect("an answer");
            let part = &response.responses[0].partition_responses[0];
            assert_eq!(ErrorCode::from_code(part.error_code), ErrorCode::None);
            assert_eq!(part.base_offset, next_offset);
            next_offset += records;
        }
        assert!(peer.answer().is_some());
    }
}

#[test]
fn a_pipeline_keeps_its_order_behind_produces_that_are_looked_at() {
    let place = Place::new();
    let node = place.start();
    let (mut peer, mut other) = (Peer::connect(node.address()), Peer::connect(node.address()));
    let configs = [("compression.type", "zstd")];
    assert_eq!(peer.create_topic(TOPIC, 1, &configs), ErrorCode::None);
    let (pipeline, records) = (pipeline(), (LONG_RECORDS + 1) * ROUNDS as i64);
    // The second time its thread knows.
    for time in 0..2 {
        peer.send(&pipeline);
        take_answers(&mut peer, time * records);
    }
    // Who goes without waiting for answers takes nobody along.
    peer.send(&pipeline);
    drop(peer);
    let metadata = frame(METADATA_VERSION, &MetadataRequest::default());
    for _ in 0..100 {
        other.send(&metadata);
        assert!(other.answer().is_some());
    }
    let (_, high_watermark) = other.fetch(TOPIC, 0, 2 * records);
    assert!((2 * records..=3 * records).contains(&high_watermark), "{high_watermark}");
    node.stop();
}
