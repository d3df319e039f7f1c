//! Produce in every version: what goes in comes out again, errors in the shape of each version.

use strom_base::Uuid;
use strom_protocol::compression::Codec;
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::{BatchBuilder, BatchOptions, CRC_OFFSET, NewRecord};
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::exchange::{
    FIRST_VERSION_WITH_IDS, Told, Topic, batch, fetch, fetch_request, produce, produce_request,
};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::{create_topic, create_topic_with};

const PRODUCE: std::ops::RangeInclusive<i16> = 3..=13;
const FETCH: std::ops::RangeInclusive<i16> = 4..=18;
const FIRST_VERSION_WITH_LOG_START: i16 = 5;
const FIRST_VERSION_WITH_MESSAGES: i16 = 8;

/// A node with a topic of two partitions.
pub(crate) fn with_topic(name: &'static str) -> (Node, Topic<'static>) {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, name);
    let id = topic_id(&mut node, name);
    (node, Topic { name, id })
}

fn accepted(version: i16, base_offset: i64) -> Told {
    let log_start_offset = if version < FIRST_VERSION_WITH_LOG_START { -1 } else { 0 };
    Told {
        error: 0,
        base_offset,
        log_append_time_ms: -1,
        log_start_offset,
        has_message: false,
        records: Vec::new(),
    }
}

fn refused(version: i16, error: ErrorCode, records: &[i32]) -> Told {
    let tells_more = version >= FIRST_VERSION_WITH_MESSAGES;
    Told {
        error: error.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        has_message: tells_more,
        records: if tells_more { records.to_vec() } else { Vec::new() },
    }
}

#[test]
fn what_any_version_produces_any_version_fetches() {
    let (mut node, topic) = with_topic("carried");
    let mut values = Vec::new();
    for version in PRODUCE {
        let value = format!("from version {version}").into_bytes();
        let bytes = batch(Codec::None, &value);
        let told = produce(&mut node, version, topic, &[(0, &bytes), (1, &bytes)]);
        let base_offset = values.len() as i64;
        assert_eq!(told, [accepted(version, base_offset), accepted(version, base_offset)]);
        values.push(value);
    }
    for version in FETCH {
        let request = fetch_request(topic, &[(0, 0), (1, 4)]);
        let fetched = fetch(&mut node, version, topic, &request);
        assert_eq!((fetched.error, fetched.session_id), (0, 0), "v{version}");
        assert_eq!(fetched.parts.len(), 2, "v{version}");
        for (part, from) in fetched.parts.iter().zip([0, 4]) {
            assert_eq!(part.error, 0, "v{version}");
            assert_eq!((part.high_watermark, part.last_stable_offset), (11, 11), "v{version}");
            let log_start_offset = if version < 5 { -1 } else { 0 };
            assert_eq!(part.log_start_offset, log_start_offset, "v{version}");
            assert_eq!(part.values, values[from..], "v{version}");
        }
    }
}

#[test]
fn every_codec_and_the_time_of_appending_survive_every_version() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic_with(&mut node, "stamped", &[("message.timestamp.type", "LogAppendTime")]);
    let topic = Topic { name: "stamped", id: topic_id(&mut node, "stamped") };
    let mut values = Vec::new();
    for version in PRODUCE {
        for codec in Codec::ALL {
            if codec == Codec::Zstd && version < 7 {
                continue;
            }
            let value = format!("{} {version}", codec.name()).repeat(20).into_bytes();
            let told = produce(&mut node, version, topic, &[(0, &batch(codec, &value))]);
            let expected = Told {
                log_append_time_ms: node.now.wall_ms,
                ..accepted(version, values.len() as i64)
            };
            assert_eq!(told, [expected], "{} v{version}", codec.name());
            values.push(value);
        }
    }
    let fetched = fetch(&mut node, 18, topic, &fetch_request(topic, &[(0, 0)]));
    assert_eq!(fetched.parts[0].values, values);
}

#[test]
fn errors_have_the_shape_of_their_version() {
    let (mut node, topic) = with_topic("erring");
    create_topic_with(&mut node, "compacted", &[("cleanup.policy", "compact")]);
    let compacted = Topic { name: "compacted", id: topic_id(&mut node, "compacted") };
    let good = batch(Codec::None, b"value");
    let mut wrong_crc = good.clone();
    wrong_crc[CRC_OFFSET] ^= 1;
    for version in PRODUCE {
        let told = produce(&mut node, version, topic, &[(0, &wrong_crc), (7, &good)]);
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let no_words = Told { has_message: false, ..refused(version, unknown, &[]) };
        assert_eq!(told, [refused(version, ErrorCode::CorruptMessage, &[]), no_words.clone()]);

        let strange = Topic { name: "nobody", id: Uuid([9; 16]) };
        let by_name = version < FIRST_VERSION_WITH_IDS;
        let error = if by_name { unknown } else { ErrorCode::UnknownTopicId };
        let told = produce(&mut node, version, strange, &[(0, &good)]);
        assert_eq!(told, [Told { error: error.code(), ..no_words }], "v{version}");

        let keyless = keyless_at_1();
        let told = produce(&mut node, version, compacted, &[(0, &keyless)]);
        assert_eq!(told, [refused(version, ErrorCode::InvalidRecord, &[1])], "v{version}");
    }
    let fetched = fetch(&mut node, 12, topic, &fetch_request(topic, &[(0, 0)]));
    assert_eq!(fetched.parts[0].high_watermark, 0);
}

/// Three records of which the second has no key.
fn keyless_at_1() -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for key in [Some(b"k".as_slice()), None, Some(b"k")] {
        let record = NewRecord { key, ..Default::default() };
        builder.append(&record).expect("a record");
    }
    builder.build()
}

#[test]
fn zstd_needs_a_version_that_knows_it() {
    let (mut node, topic) = with_topic("zstd");
    let bytes = batch(Codec::Zstd, b"value");
    let mut offset = 0;
    for version in PRODUCE {
        let told = produce(&mut node, version, topic, &[(0, &bytes)]);
        if version < 7 {
            let expected = refused(version, ErrorCode::UnsupportedCompressionType, &[]);
            assert_eq!(told, [expected], "v{version}");
        } else {
            assert_eq!(told, [accepted(version, offset)], "v{version}");
            offset += 1;
        }
    }
}

#[test]
fn a_produce_without_acknowledgement_is_silent_or_ends_the_connection() {
    let (mut node, topic) = with_topic("silent");
    let bytes = batch(Codec::None, b"value");
    for version in PRODUCE {
        let mut request = produce_request(topic, &[(0, &bytes)]);
        request.acks = 0;
        assert_eq!(node.send(ApiKey::Produce, version, &request), None, "v{version}");
        request.topic_data[0].partition_data[0].index = 7;
        let reason = node.refusal(ApiKey::Produce, version, &request);
        assert!(reason.contains("UNKNOWN_TOPIC_OR_PARTITION"), "v{version}: {reason}");
        request.acks = 2;
        let answer = node.send(ApiKey::Produce, version, &request).expect("an answer");
        let response = ProduceResponse::from_bytes(&answer, version).expect("decodes");
        let error = response.responses[0].partition_responses[0].error_code;
        assert_eq!(error, ErrorCode::InvalidRequiredAcks.code(), "v{version}");
    }
    let fetched = fetch(&mut node, 12, topic, &fetch_request(topic, &[(0, 0)]));
    assert_eq!(fetched.parts[0].high_watermark, 11);
}

/// Versions 0 to 2 are named in ApiVersions for librdkafka's sake, and refused like any other that
/// is not there.
#[test]
fn versions_that_are_gone_or_to_come_end_the_connection() {
    let (mut node, topic) = with_topic("refused");
    for (api, versions) in [(ApiKey::Produce, [0, 1, 2, 14]), (ApiKey::Fetch, [0, 2, 3, 19])] {
        for version in versions {
            let reason = node.refusal_of_bytes(api, version, &[0; 64]);
            let expected = format!("version {version} of {} is not served", api.name());
            assert_eq!(reason, expected);
        }
    }
    let fetched = fetch(&mut node, 12, topic, &fetch_request(topic, &[(0, 0)]));
    assert_eq!(fetched.parts[0].high_watermark, 0);
}

#[test]
fn records_at_fault_do_not_make_an_answer_without_end() {
    let (mut node, topic) = with_topic("faulty");
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for _ in 0..1000 {
        let record = NewRecord { timestamp_ms: i64::MAX / 2, ..Default::default() };
        builder.append(&record).expect("a record");
    }
    let bad = builder.build();
    let told = produce(&mut node, 12, topic, &vec![(0, bad.as_slice()); 300]);
    let counts: Vec<usize> = told.iter().map(|it| it.records.len()).collect();
    assert_eq!(counts.first(), Some(&1000));
    assert_eq!(counts.last(), Some(&0));
    assert!(told.iter().all(|it| it.error == ErrorCode::InvalidTimestamp.code()));
}
