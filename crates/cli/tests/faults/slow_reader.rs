//! A client that asks for much and reads late: what it gets is what it asked for, or nothing.

use std::time::Duration;

use strom_protocol::delete_topics_request::DeleteTopicsRequest;
use strom_protocol::delete_topics_response::DeleteTopicsResponse;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::header::decode_response_header;
use strom_protocol::records::BatchOptions;
use strom_protocol::{ApiKey, ErrorCode, Message, Reader, Records};

use crate::node::Place;
use crate::wire::{FETCH_VERSION, Peer, batch, frame};

const TOPIC: &str = "again";
/// The last version that names topics.
const DELETE_TOPICS_VERSION: i16 = 5;
const BATCHES: usize = 4;
const BATCH_BYTES: usize = 900_000;
/// Their answers are more than the buffers of a connection hold, and than are opened at once.
const FETCHES: usize = 100;

/// The topic, full of one byte.
fn fill(peer: &mut Peer, byte: u8) {
    assert_eq!(peer.create_topic(TOPIC, 1, &[]), ErrorCode::None);
    let full = batch(BatchOptions::default(), &[vec![byte; BATCH_BYTES]]);
    for _ in 0..BATCHES {
        assert_eq!(peer.produce(TOPIC, 0, &full).map(|it| it.error), Some(ErrorCode::None));
    }
}

fn delete(peer: &mut Peer) {
    let request =
        DeleteTopicsRequest { topic_names: vec![TOPIC], timeout_ms: 30_000, ..Default::default() };
    let code = peer.call(DELETE_TOPICS_VERSION, &request, |reader, version| {
        let response = DeleteTopicsResponse::decode(reader, version).expect("an answer");
        response.responses[0].error_code
    });
    assert_eq!(code, Some(ErrorCode::None.code()));
}

fn fetches() -> Vec<u8> {
    let partition = FetchPartition {
        partition_max_bytes: (BATCHES * BATCH_BYTES) as i32,
        ..Default::default()
    };
    let request = FetchRequest {
        max_bytes: i32::MAX,
        topics: vec![FetchTopic {
            topic: TOPIC,
            partitions: vec![partition],
            ..Default::default()
        }],
        session_epoch: -1,
        ..Default::default()
    };
    frame(FETCH_VERSION, &request).repeat(FETCHES)
}

/// The last byte of a batch's value in an answer; behind it stands the number of headers.
fn byte_of(answer: &[u8]) -> u8 {
    let mut reader = Reader::new(answer);
    decode_response_header(&mut reader, ApiKey::Fetch, FETCH_VERSION).expect("a header");
    let response = FetchResponse::decode(&mut reader, FETCH_VERSION).expect("an answer");
    match response.responses[0].partitions[0].records {
        Some(Records::Inline(bytes)) => bytes[BATCH_BYTES / 2],
        _ => panic!("no records"),
    }
}

#[test]
fn a_slow_reader_never_gets_the_bytes_of_the_next_topic_of_that_name() {
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    fill(&mut peer, b'o');
    let mut slow = Peer::connect(node.address());
    slow.send(&fetches());
    // All were taken up before the first was answered.
    assert!(!slow.is_silent_for(Duration::from_secs(10)));
    delete(&mut peer);
    fill(&mut peer, b'n');
    let mut answers = 0;
    while let Some(answer) = slow.answer() {
        assert_eq!(byte_of(&answer), b'o', "answer {answers}");
        answers += 1;
        if answers == FETCHES {
            break;
        }
    }
    println!("{answers} answers of the old topic, then the end");
    assert!(answers > 0);
    node.stop();
}
