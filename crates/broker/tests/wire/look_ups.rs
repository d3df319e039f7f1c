//! Look-ups by time whose records somebody else looks through.

use strom_protocol::compression::Codec;
use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use strom_protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord, refresh_crc};
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::exchange::{PRODUCED_AT_MS, Topic, batch, produce, produce_request};
use crate::node::Node;
use crate::produce::with_topic;

const VERSION: i16 = 9;
const PRODUCE_VERSION: i16 = 13;
const PRODUCE_BY_NAME_VERSION: i16 = 12;
/// Later than any record of [`batch`].
const LATER_MS: i64 = PRODUCED_AT_MS + 5_000;
const NEWEST: i64 = -3;
/// Timestamp and offset of each partition of a request.
type Told = Vec<Result<(i64, i64), ErrorCode>>;

const MAX_TIMESTAMP_AT: usize = 35;
/// What is looked through on the spot in one turn, and headers that are read.
const AT_ONCE_BYTES: usize = 64 << 10;
const HEADERS: usize = 1024;

/// A node whose examiner has something else to do.
fn busy_node() -> (Node, Topic<'static>) {
    let (mut node, topic) = with_topic("times");
    node.is_examiner_busy = true;
    (node, topic)
}

/// A batch whose header claims a record of that time, and has none.
fn claiming(timestamp: i64, mut batch: Vec<u8>) -> Vec<u8> {
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_be_bytes());
    refresh_crc(&mut batch);
    batch
}

/// It unfolds to more than is looked through on the spot.
fn long() -> Vec<u8> {
    batch(Codec::Zstd, &vec![0; 1 << 20])
}

/// A short batch of one record of that time.
fn of_time(timestamp_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = NewRecord { timestamp_ms, value: Some(b"value"), ..Default::default() };
    builder.append(&record).expect("a record");
    builder.build().to_vec()
}

fn append(node: &mut Node, topic: Topic<'_>, batch: &[u8]) {
    assert_eq!(produce(node, PRODUCE_VERSION, topic, &[(0, batch)])[0].error, 0);
}

fn look_up(node: &mut Node, topic: Topic<'_>, timestamps: &[i64]) {
    let of_partition = |(index, timestamp): (usize, &i64)| ListOffsetsPartition {
        partition_index: index as i32,
        timestamp: *timestamp,
        ..Default::default()
    };
    let partitions = timestamps.iter().enumerate().map(of_partition).collect();
    let topics = vec![ListOffsetsTopic { name: topic.name, partitions, ..Default::default() }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    node.send_times(1, ApiKey::ListOffsets, VERSION, &request);
}

fn next_answer(node: &mut Node) -> Option<Told> {
    let body = node.answer(ApiKey::ListOffsets, VERSION)?;
    let response = ListOffsetsResponse::from_bytes(&body, VERSION).expect("decodes");
    let parts = response.topics[0].partitions.iter();
    let told = parts.map(|part| match ErrorCode::from_code(part.error_code) {
        ErrorCode::None => Ok((part.timestamp, part.offset)),
        error => Err(error),
    });
    Some(told.collect())
}

/// How often somebody has to look into batches until there is an answer, and the answer.
fn turns_until_answered(node: &mut Node) -> (usize, Told) {
    let mut turns = 0;
    loop {
        if let Some(answer) = next_answer(node) {
            return (turns, answer);
        }
        node.examine_first();
        turns += 1;
    }
}

fn is_somebody_served(node: &mut Node) -> bool {
    node.answers_somebody_else(ApiKey::Metadata, 12, &MetadataRequest::default())
}

#[test]
fn what_is_long_to_look_through_keeps_nobody_else_waiting() {
    let (mut node, topic) = busy_node();
    append(&mut node, topic, &long());
    append(&mut node, topic, &of_time(LATER_MS));
    look_up(&mut node, topic, &[PRODUCED_AT_MS]);
    look_up(&mut node, topic, &[LATER_MS]);
    assert_eq!(next_answer(&mut node), None);
    assert!(is_somebody_served(&mut node));
    node.examine_first();
    assert_eq!(next_answer(&mut node), Some(vec![Ok((PRODUCED_AT_MS, 0))]));
    assert_eq!(next_answer(&mut node), Some(vec![Ok((LATER_MS, 1))]));
    assert_eq!(node.examinations(), 0);
}

#[test]
fn claims_are_looked_into_one_after_the_other() {
    let (mut node, topic) = busy_node();
    for _ in 0..3 {
        append(&mut node, topic, &claiming(LATER_MS, long()));
    }
    append(&mut node, topic, &of_time(LATER_MS + 1));
    look_up(&mut node, topic, &[LATER_MS]);
    for _ in 0..3 {
        assert_eq!(next_answer(&mut node), None);
        node.examine_first();
    }
    assert_eq!(next_answer(&mut node), Some(vec![Ok((LATER_MS + 1, 3))]));
    append(&mut node, topic, &claiming(LATER_MS + 2, long()));
    look_up(&mut node, topic, &[NEWEST]);
    look_up(&mut node, topic, &[LATER_MS + 2]);
    for _ in 0..2 {
        assert_eq!(next_answer(&mut node), None);
        node.examine_first();
        assert_eq!(next_answer(&mut node), Some(vec![Ok((-1, -1))]));
    }
}

#[test]
fn short_batches_that_claim_too_much_take_turns_as_well() {
    let (mut node, topic) = busy_node();
    let claiming = claiming(LATER_MS, of_time(PRODUCED_AT_MS));
    let count = 5 * AT_ONCE_BYTES / 2 / claiming.len();
    for _ in 0..count {
        append(&mut node, topic, &claiming);
    }
    append(&mut node, topic, &of_time(LATER_MS));
    look_up(&mut node, topic, &[LATER_MS]);
    assert_eq!(turns_until_answered(&mut node), (2, vec![Ok((LATER_MS, count as i64))]));
}

#[test]
fn headers_behind_a_false_claim_take_turns_as_well() {
    let (mut node, topic) = busy_node();
    append(&mut node, topic, &claiming(LATER_MS, of_time(PRODUCED_AT_MS)));
    let count = 5 * HEADERS / 2;
    for _ in 0..count {
        append(&mut node, topic, &of_time(PRODUCED_AT_MS));
    }
    append(&mut node, topic, &of_time(LATER_MS));
    look_up(&mut node, topic, &[LATER_MS]);
    assert_eq!(turns_until_answered(&mut node), (2, vec![Ok((LATER_MS, 1 + count as i64))]));
}

#[test]
fn a_request_may_name_what_is_long_what_is_short_and_what_is_not_there() {
    let (mut node, topic) = busy_node();
    append(&mut node, topic, &long());
    look_up(&mut node, topic, &[PRODUCED_AT_MS, -1, 0]);
    let missing = Err(ErrorCode::UnknownTopicOrPartition);
    let answer = vec![Ok((PRODUCED_AT_MS, 0)), Ok((-1, 0)), missing];
    assert_eq!(turns_until_answered(&mut node), (1, answer));
}

#[test]
fn what_is_not_in_memory_is_waited_for_between_two_turns() {
    let (mut node, topic) = busy_node();
    for _ in 0..200 {
        append(&mut node, topic, &claiming(LATER_MS, long()));
    }
    look_up(&mut node, topic, &[LATER_MS]);
    node.disk.is_cold = true;
    node.examine_first();
    assert_eq!((next_answer(&mut node), node.examinations()), (None, 0));
    node.warm();
    assert_eq!(turns_until_answered(&mut node), (199, vec![Ok((-1, -1))]));
}

#[test]
fn few_are_given_away_at_a_time_and_those_of_who_has_gone_end() {
    let (mut node, topic) = busy_node();
    for _ in 0..3 {
        append(&mut node, topic, &claiming(LATER_MS, long()));
    }
    for _ in 0..5 {
        look_up(&mut node, topic, &[LATER_MS]);
    }
    assert_eq!(node.examinations(), 2);
    node.examine_first();
    assert_eq!(node.examinations(), 2);
    node.reconnect_by(0);
    for given in [1, 0] {
        node.examine_first();
        assert_eq!(node.examinations(), given);
    }
    look_up(&mut node, topic, &[LATER_MS]);
    assert_eq!(turns_until_answered(&mut node), (3, vec![Ok((-1, -1))]));
}

#[test]
fn where_too_many_wait_the_next_are_to_ask_again() {
    let (mut node, topic) = busy_node();
    for _ in 0..3 {
        append(&mut node, topic, &claiming(LATER_MS, long()));
    }
    node.let_wait(1_000);
    for _ in 0..20 {
        look_up(&mut node, topic, &[LATER_MS, -1, 0]);
    }
    let answers: Vec<_> = (0..20).map(|_| turns_until_answered(&mut node).1).collect();
    let missing = Err(ErrorCode::UnknownTopicOrPartition);
    let answer = |first| vec![first, Ok((-1, 0)), missing];
    let found = answers.iter().take_while(|it| **it == answer(Ok((-1, -1)))).count();
    assert!((1..20).contains(&found), "{answers:?}");
    for given_up in &answers[found..] {
        assert_eq!(*given_up, answer(Err(ErrorCode::OffsetNotAvailable)));
    }
    look_up(&mut node, topic, &[LATER_MS]);
    assert_eq!(turns_until_answered(&mut node), (3, vec![Ok((-1, -1))]));
}

/// What was reached in the records of the one before goes for nothing.
#[test]
fn a_topic_may_be_made_anew_meanwhile() {
    for is_found in [false, true] {
        let (mut node, topic) = busy_node();
        append(&mut node, topic, &claiming(LATER_MS, long()));
        let last = if is_found { of_time(LATER_MS) } else { claiming(LATER_MS, long()) };
        append(&mut node, topic, &last);
        look_up(&mut node, topic, &[LATER_MS, LATER_MS]);
        let state = DeleteTopicState { name: Some(topic.name), ..Default::default() };
        let gone = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
        assert!(node.answers_somebody_else(ApiKey::DeleteTopics, 6, &gone));
        let made = CreatableTopic {
            name: topic.name,
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let made = CreateTopicsRequest { topics: vec![made], ..Default::default() };
        assert!(node.answers_somebody_else(ApiKey::CreateTopics, 7, &made));
        let batch = of_time(LATER_MS + 7);
        let request = produce_request(topic, &[(0, &batch)]);
        assert!(node.answers_somebody_else(ApiKey::Produce, PRODUCE_BY_NAME_VERSION, &request));
        let (_, answer) = turns_until_answered(&mut node);
        assert_eq!(answer[0], Ok((LATER_MS + 7, 0)));
    }
}
