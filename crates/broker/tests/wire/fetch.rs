//! Fetch in every version: sessions, waiting, errors and epochs in the shape of each version.

use strom_base::Uuid;
use strom_protocol::compression::Codec;
use strom_protocol::fetch_request::FetchRequest;
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::exchange::{
    FIRST_VERSION_WITH_IDS, Fetched, Got, Topic, batch, fetch, fetch_request, forgetting, produce,
};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::produce::with_topic;
use crate::topics::{create_topic, create_topic_with, delete_topic};

const FETCH: std::ops::RangeInclusive<i16> = 4..=18;
const FIRST_VERSION_WITH_SESSIONS: i16 = 7;

fn append(node: &mut Node, topic: Topic<'_>, partition: i32, value: &[u8]) {
    let told = produce(node, 13, topic, &[(partition, &batch(Codec::None, value))]);
    assert_eq!(told[0].error, 0);
}

fn failed(partition: i32, error: ErrorCode) -> Got {
    Got {
        partition,
        error: error.code(),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        diverging: (-1, -1),
        values: Vec::new(),
    }
}

/// Sessions continued: what one asks and what it is told.
struct Session<'a> {
    version: i16,
    topic: Topic<'a>,
    id: i32,
    epoch: i32,
}

impl Session<'_> {
    fn ask(&mut self, node: &mut Node, mut request: FetchRequest<'_>) -> Fetched {
        (request.session_id, request.session_epoch) = (self.id, self.epoch);
        let fetched = fetch(node, self.version, self.topic, &request);
        assert_eq!(fetched.error, 0, "v{}", self.version);
        self.id = fetched.session_id;
        self.epoch += 1;
        fetched
    }

    fn partitions_told(&mut self, node: &mut Node, request: FetchRequest<'_>) -> Vec<i32> {
        self.ask(node, request).parts.iter().map(|part| part.partition).collect()
    }
}

#[test]
fn a_session_tells_only_what_is_new() {
    for version in FETCH {
        let (mut node, topic) = with_topic("watched");
        let nothing = || FetchRequest { session_epoch: -1, ..Default::default() };
        let mut session = Session { version, topic, id: 0, epoch: 0 };
        let first = session.ask(&mut node, fetch_request(topic, &[(0, 0), (1, 0)]));
        assert_eq!(first.parts.len(), 2, "v{version}");
        if version < FIRST_VERSION_WITH_SESSIONS {
            assert_eq!(first.session_id, 0, "v{version}");
            continue;
        }
        assert!(first.session_id > 0, "v{version}");
        assert_eq!(session.partitions_told(&mut node, nothing()), [0; 0], "v{version}");
        append(&mut node, topic, 1, b"new");
        assert_eq!(session.partitions_told(&mut node, nothing()), [1], "v{version}");
        let moved_on = fetch_request(topic, &[(1, 1)]);
        assert_eq!(session.partitions_told(&mut node, moved_on), [0; 0], "v{version}");
        append(&mut node, topic, 0, b"new");
        append(&mut node, topic, 1, b"newer");
        let mut one = nothing();
        one.forgotten_topics_data.push(forgetting(topic, vec![0]));
        assert_eq!(session.partitions_told(&mut node, one), [1], "v{version}");
    }
}

/// Who was served goes behind all others: a busy partition does not starve the next one.
#[test]
fn partitions_of_a_session_take_turns_where_an_answer_has_not_room_for_all() {
    for version in FIRST_VERSION_WITH_SESSIONS..=18 {
        let (mut node, topic) = with_topic("busy");
        for value in [b"one", b"two"] {
            append(&mut node, topic, 0, value);
            append(&mut node, topic, 1, value);
        }
        let mut session = Session { version, topic, id: 0, epoch: 0 };
        let mut served = |mut request: FetchRequest<'_>| {
            // Room for the first batch, whatever its size.
            request.max_bytes = 1;
            let parts = session.ask(&mut node, request).parts;
            let served = parts.into_iter().filter(|part| !part.values.is_empty());
            served.map(|part| (part.partition, part.values)).collect::<Vec<_>>()
        };
        let one = |partition: i32, value: &[u8]| [(partition, vec![value.to_vec()])];
        assert_eq!(served(fetch_request(topic, &[(0, 0), (1, 0)])), one(0, b"one"), "v{version}");
        // Also where the reader has not moved on meanwhile.
        assert_eq!(served(fetch_request(topic, &[])), one(1, b"one"), "v{version}");
        assert_eq!(served(fetch_request(topic, &[])), one(0, b"one"), "v{version}");
        assert_eq!(served(fetch_request(topic, &[(0, 1)])), one(1, b"one"), "v{version}");
        assert_eq!(served(fetch_request(topic, &[(1, 1)])), one(0, b"two"), "v{version}");
    }
}

/// As in Apache Kafka, which puts them into a map.
#[test]
fn of_a_partition_that_is_named_twice_the_last_wish_counts() {
    let (mut node, topic) = with_topic("twice");
    append(&mut node, topic, 0, b"one");
    append(&mut node, topic, 0, b"two");
    for version in FETCH {
        let request = fetch_request(topic, &[(0, 0), (1, 0), (0, 1)]);
        let parts = fetch(&mut node, version, topic, &request).parts;
        let told: Vec<_> = parts.into_iter().map(|part| (part.partition, part.values)).collect();
        assert_eq!(told, [(1, vec![]), (0, vec![b"two".to_vec()])], "v{version}");
    }
}

#[test]
fn errors_of_sessions_are_told_at_the_top() {
    let (mut node, topic) = with_topic("watched");
    for version in FIRST_VERSION_WITH_SESSIONS..=18 {
        let mut session = Session { version, topic, id: 0, epoch: 0 };
        session.ask(&mut node, fetch_request(topic, &[(0, 0)]));
        let mut ask = |session_id, session_epoch, version| {
            let request = FetchRequest { session_id, session_epoch, ..Default::default() };
            let fetched = fetch(&mut node, version, topic, &request);
            assert_eq!(fetched.parts, [], "v{version}");
            (fetched.error, fetched.session_id)
        };
        let id = session.id;
        assert_eq!(ask(id, 7, version), (ErrorCode::InvalidFetchSessionEpoch.code(), 0));
        let strange = if id == 1 { 2 } else { id - 1 };
        assert_eq!(ask(strange, 1, version), (ErrorCode::FetchSessionIdNotFound.code(), 0));
        // Sessions know topics by names or by ids, and never change.
        let other = if version < FIRST_VERSION_WITH_IDS { 13 } else { 12 };
        assert_eq!(ask(id, 1, other), (ErrorCode::FetchSessionTopicIdError.code(), 0));
        assert_eq!(ask(id, 1, version), (0, id));
    }
}

#[test]
fn errors_of_partitions_have_the_shape_of_their_version() {
    let (mut node, topic) = with_topic("erring");
    append(&mut node, topic, 0, b"one");
    let strange = Topic { name: "nobody", id: Uuid([9; 16]) };
    for version in FETCH {
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let by_name = version < FIRST_VERSION_WITH_IDS;
        let expected = if by_name { unknown } else { ErrorCode::UnknownTopicId };
        let fetched = fetch(&mut node, version, strange, &fetch_request(strange, &[(0, 0)]));
        assert_eq!(fetched.parts, [failed(0, expected)], "v{version}");
        let request = fetch_request(topic, &[(7, 0), (0, 2)]);
        let fetched = fetch(&mut node, version, topic, &request);
        let out_of_range = failed(0, ErrorCode::OffsetOutOfRange);
        assert_eq!(fetched.parts, [failed(7, unknown), out_of_range], "v{version}");
    }
}

#[test]
fn leader_epochs_are_checked_since_they_are_sent() {
    let (mut node, topic) = with_topic("epochs");
    append(&mut node, topic, 0, b"one");
    for version in 9..=18 {
        let mut request = fetch_request(topic, &[(0, 0)]);
        request.topics[0].partitions[0].current_leader_epoch = 5;
        let fetched = fetch(&mut node, version, topic, &request);
        let expected = failed(0, ErrorCode::UnknownLeaderEpoch);
        assert_eq!(fetched.parts, [expected], "v{version}");
        if version < 12 {
            continue;
        }
        // What the reader has of epoch 0 goes on where ours ends.
        request = fetch_request(topic, &[(0, 5)]);
        request.topics[0].partitions[0].last_fetched_epoch = 0;
        let fetched = fetch(&mut node, version, topic, &request);
        assert_eq!(fetched.parts[0].error, 0, "v{version}");
        assert_eq!(fetched.parts[0].diverging, (0, 1), "v{version}");
    }
}

#[test]
fn a_fetch_waits_for_bytes_in_every_version() {
    let (mut node, topic) = with_topic("slow");
    for version in FETCH {
        let end = i64::from(version - 4);
        let mut request = fetch_request(topic, &[(0, end)]);
        (request.max_wait_ms, request.min_bytes) = (500, 1);
        assert_eq!(node.send(ApiKey::Fetch, version, &request), None, "v{version}");
        let bytes = batch(Codec::None, b"late");
        let produced = crate::exchange::produce_request(topic, &[(0, &bytes)]);
        // The answers leave in the order of the requests.
        let bytes = node.send(ApiKey::Produce, 13, &produced).expect("the fetch's answer");
        // Its header was taken for that of Produce 13, which has a byte more from version 12 on.
        let bytes = if version < 12 { [&[0], bytes.as_slice()].concat() } else { bytes };
        let response = FetchResponse::from_bytes(&bytes, version).expect("decodes");
        assert_eq!(response.responses[0].partitions[0].high_watermark, end + 1, "v{version}");
        node.answer(ApiKey::Produce, 13).expect("the answer to the produce");
    }
}

/// A name means the topic that has it now, also in a session that began before; an id does not.
#[test]
fn a_session_follows_a_name_to_the_topic_that_has_it_now() {
    for version in FIRST_VERSION_WITH_SESSIONS..=18 {
        let (mut node, old) = with_topic("again");
        append(&mut node, old, 0, b"old");
        let mut session = Session { version, topic: old, id: 0, epoch: 0 };
        let first = session.ask(&mut node, fetch_request(old, &[(0, 0)]));
        assert_eq!(first.parts[0].values, [b"old".to_vec()], "v{version}");
        delete_topic(&mut node, "again");
        let nothing = || FetchRequest { session_epoch: -1, ..Default::default() };
        let gone = session.ask(&mut node, nothing());
        let by_name = version < FIRST_VERSION_WITH_IDS;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let expected = if by_name { unknown } else { ErrorCode::UnknownTopicId };
        assert_eq!(gone.parts, [failed(0, expected)], "v{version}");
        create_topic(&mut node, 7, "again");
        let new = Topic { name: "again", id: topic_id(&mut node, "again") };
        append(&mut node, new, 0, b"new");
        let fetched = session.ask(&mut node, nothing());
        if by_name {
            assert_eq!(fetched.parts[0].values, [b"new".to_vec()], "v{version}");
        } else {
            assert_eq!(fetched.parts, [failed(0, expected)], "v{version}");
        }
    }
}

/// Readers that do not know zstd yet are not sent it by a topic that always has it.
#[test]
fn a_topic_of_zstd_is_not_for_old_readers() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic_with(&mut node, "packed", &[("compression.type", "zstd")]);
    let topic = Topic { name: "packed", id: topic_id(&mut node, "packed") };
    append(&mut node, topic, 0, b"small");
    for version in FETCH {
        let fetched = fetch(&mut node, version, topic, &fetch_request(topic, &[(0, 0)]));
        if version < 10 {
            let expected = failed(0, ErrorCode::UnsupportedCompressionType);
            assert_eq!(fetched.parts, [expected], "v{version}");
        } else {
            assert_eq!(fetched.parts[0].values, [b"small".to_vec()], "v{version}");
        }
    }
}
