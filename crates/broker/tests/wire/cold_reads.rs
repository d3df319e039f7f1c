//! What is not in memory: its readers wait, nobody else does.

use strom_protocol::compression::Codec;
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::{ApiKey, Message};

use crate::exchange::{PRODUCED_AT_MS, Topic, batch, fetch_request, produce, produce_request};
use crate::node::Node;
use crate::produce::with_topic;

/// More than a log remembers of its end.
const BATCHES: usize = 100;

fn with_batches() -> (Node, Topic<'static>) {
    let (mut node, topic) = with_topic("cold");
    for _ in 0..BATCHES {
        produce(&mut node, 13, topic, &[(0, &batch(Codec::None, b"value"))]);
    }
    node.disk.is_cold = true;
    (node, topic)
}

/// What the fetch waited for is in memory now, and comes.
fn assert_is_answered_when_warm(node: &mut Node) {
    assert_eq!(node.answer(ApiKey::Fetch, 13), None);
    node.warm();
    let answer = node.answer(ApiKey::Fetch, 13).expect("an answer");
    let response = FetchResponse::from_bytes(&answer, 13).expect("decodes");
    assert!(response.responses[0].partitions[0].records.is_some());
}

#[test]
fn a_fetch_waits_for_what_is_not_in_memory_and_nobody_else_does() {
    let (mut node, topic) = with_batches();
    let mut request = fetch_request(topic, &[(0, 0)]);
    (request.max_wait_ms, request.min_bytes) = (500, 1);
    assert_eq!(node.send(ApiKey::Fetch, 13, &request), None);
    let tail = fetch_request(topic, &[(0, BATCHES as i64 - 1)]);
    assert!(node.answers_somebody_else(ApiKey::Fetch, 13, &tail));
    let bytes = batch(Codec::None, b"more");
    let more = produce_request(topic, &[(0, &bytes)]);
    assert!(node.answers_somebody_else(ApiKey::Produce, 13, &more));
    assert_is_answered_when_warm(&mut node);
}

#[test]
fn a_fetch_whose_time_is_over_waits_for_the_disk_while_there_is_nothing_else() {
    for (max_wait_ms, min_bytes) in [(0, 1 << 20), (500, 1 << 20), (500, 0)] {
        let (mut node, topic) = with_batches();
        let mut request = fetch_request(topic, &[(0, 0)]);
        (request.max_wait_ms, request.min_bytes) = (max_wait_ms, min_bytes);
        assert_eq!(node.send(ApiKey::Fetch, 13, &request), None);
        node.wait(4000);
        assert_is_answered_when_warm(&mut node);
    }
}

#[test]
fn a_fetch_of_what_stays_away_is_answered_at_last() {
    let (mut node, topic) = with_batches();
    let mut request = fetch_request(topic, &[(0, 0)]);
    (request.max_wait_ms, request.min_bytes) = (500, 1);
    assert_eq!(node.send(ApiKey::Fetch, 13, &request), None);
    node.wait(500);
    assert_eq!(node.answer(ApiKey::Fetch, 13), None);
    node.wait(5000);
    let answer = node.answer(ApiKey::Fetch, 13).expect("an answer");
    let response = FetchResponse::from_bytes(&answer, 13).expect("decodes");
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
}

#[test]
fn a_look_up_by_time_waits_for_what_is_not_in_memory() {
    let (mut node, topic) = with_batches();
    let partition = ListOffsetsPartition { timestamp: PRODUCED_AT_MS, ..Default::default() };
    let topics = vec![ListOffsetsTopic {
        name: topic.name,
        partitions: vec![partition],
        ..Default::default()
    }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    assert_eq!(node.send(ApiKey::ListOffsets, 9, &request), None);
    node.warm();
    let answer = node.answer(ApiKey::ListOffsets, 9).expect("an answer");
    let response = ListOffsetsResponse::from_bytes(&answer, 9).expect("decodes");
    let found = &response.topics[0].partitions[0];
    assert_eq!((found.error_code, found.offset), (0, 0));
}
