//! Produces whose records somebody else looks at.

use strom_base::Random;
use strom_protocol::compression::Codec;
use strom_protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::produce_request::ProduceRequest;
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_protocol::{ApiKey, ErrorCode, Message, Reader};

use crate::exchange::{Topic, batch, produce_request};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::{create_topic_of, create_topic_with, delete_topic};

const VERSION: i16 = 12;

/// A node with a topic that wants keys, and who looks at records busy with something else.
fn busy_node() -> (Node, Topic<'static>) {
    let mut node = Node::start(MemoryDisk::default());
    create_topic_with(&mut node, "compact", &[("cleanup.policy", "compact")]);
    let topic = Topic { name: "compact", id: topic_id(&mut node, "compact") };
    node.is_examiner_busy = true;
    (node, topic)
}

/// It unfolds to more than is looked at on the spot.
fn long() -> Vec<u8> {
    batch(Codec::Zstd, &vec![0; 1 << 20])
}

/// Long records with these keys.
fn of_keys(keys: &[Option<&[u8]>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for key in keys {
        let record = NewRecord { key: *key, value: Some(&[7; 100_000]), ..Default::default() };
        builder.append(&record).expect("a record");
    }
    builder.build().to_vec()
}

/// The first offset of the next answer, or the error.
fn next_answer(node: &mut Node) -> Option<Result<i64, ErrorCode>> {
    let body = node.answer(ApiKey::Produce, VERSION)?;
    let response = ProduceResponse::decode(&mut Reader::new(&body), VERSION).expect("an answer");
    let part = &response.responses[0].partition_responses[0];
    Some(match ErrorCode::from_code(part.error_code) {
        ErrorCode::None => Ok(part.base_offset),
        error => Err(error),
    })
}

fn send(node: &mut Node, topic: Topic<'_>, batch: &[u8]) {
    send_with(node, topic, (-1, batch));
}

fn send_with(node: &mut Node, topic: Topic<'_>, (acks, batch): (i16, &[u8])) {
    let request = ProduceRequest { acks, ..produce_request(topic, &[(0, batch)]) };
    node.send_times(1, ApiKey::Produce, VERSION, &request);
}

/// Another client sets a key of a topic.
fn alter_topic(node: &mut Node, topic: Topic<'_>, (name, value): (&str, &str)) {
    let config = AlterableConfig { name, value: Some(value), ..Default::default() };
    let resource = AlterConfigsResource {
        resource_type: 2,
        resource_name: topic.name,
        configs: vec![config],
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    assert!(node.answers_somebody_else(ApiKey::IncrementalAlterConfigs, 1, &request));
}

fn is_somebody_served(node: &mut Node) -> bool {
    node.answers_somebody_else(ApiKey::Metadata, 12, &MetadataRequest::default())
}

#[test]
fn requests_behind_it_wait_and_others_are_served() {
    let (mut node, topic) = busy_node();
    let short = batch(Codec::None, b"short");
    for bytes in [&long(), &short, &long(), &short] {
        send(&mut node, topic, bytes);
    }
    assert_eq!(next_answer(&mut node), None);
    assert!(is_somebody_served(&mut node));
    node.examine_first();
    assert_eq!(next_answer(&mut node), Some(Ok(0)));
    assert_eq!(next_answer(&mut node), Some(Ok(1)));
    assert_eq!(next_answer(&mut node), None);
    node.examine_first();
    assert_eq!(next_answer(&mut node), Some(Ok(2)));
    assert_eq!(next_answer(&mut node), Some(Ok(3)));
    node.is_examiner_busy = false;
    send(&mut node, topic, &short);
    assert_eq!(next_answer(&mut node), Some(Ok(4)));
}

#[test]
fn what_was_found_is_told_as_if_it_had_been_looked_at_here() {
    let (mut node, topic) = busy_node();
    send(&mut node, topic, &of_keys(&[Some(b"k"), None]));
    assert_eq!(next_answer(&mut node), None);
    node.examine_first();
    assert_eq!(next_answer(&mut node), Some(Err(ErrorCode::InvalidRecord)));
}

#[test]
fn a_topic_may_go_meanwhile_and_the_client_too() {
    let (mut node, topic) = busy_node();
    send(&mut node, topic, &long());
    node.reconnect_by(0);
    node.examine_first();
    // It was taken, though nobody is told.
    assert_eq!(next_answer(&mut node), None);
    send(&mut node, topic, &batch(Codec::None, b"short"));
    assert_eq!(next_answer(&mut node), Some(Ok(1)));
    send(&mut node, topic, &long());
    node.reconnect_by(0);
    delete_topic(&mut node, topic.name);
    node.examine_first();
    create_topic_with(&mut node, "compact", &[("cleanup.policy", "compact")]);
    node.is_examiner_busy = false;
    send(&mut node, topic, &long());
    assert_eq!(next_answer(&mut node), Some(Ok(0)));
}

#[test]
fn of_what_waits_when_its_client_goes_only_what_wants_no_answer_is_taken() {
    let (mut node, topic) = busy_node();
    // Two are given away.
    for acks in [-1, -1, -1, 0] {
        send_with(&mut node, topic, (acks, &long()));
        node.reconnect_by(0);
    }
    (0..3).for_each(|_| node.examine_first());
    send(&mut node, topic, &batch(Codec::None, b"short"));
    assert_eq!(next_answer(&mut node), Some(Ok(3)));
    // Nobody was there to be told.
    assert_eq!(next_answer(&mut node), None);
}

#[test]
fn a_topic_that_is_configured_anew_meanwhile_takes_what_it_takes_now() {
    let (mut node, _) = busy_node();
    create_topic_with(&mut node, "folded", &[("compression.type", "gzip")]);
    let topic = Topic { name: "folded", id: topic_id(&mut node, "folded") };
    let keyless = of_keys(&[None]);
    send(&mut node, topic, &keyless);
    node.examine_first();
    assert_eq!(next_answer(&mut node), Some(Ok(0)));
    send(&mut node, topic, &keyless);
    alter_topic(&mut node, topic, ("cleanup.policy", "compact"));
    node.examine_first();
    // Somebody looks again.
    assert_eq!((next_answer(&mut node), node.is_held()), (None, true));
    node.examine_first();
    assert_eq!(next_answer(&mut node), Some(Err(ErrorCode::InvalidRecord)));
    send(&mut node, topic, &keyless);
    alter_topic(&mut node, topic, ("cleanup.policy", "delete"));
    (0..2).for_each(|_| node.examine_first());
    assert_eq!(next_answer(&mut node), Some(Ok(1)));
}

#[test]
fn of_a_client_that_was_refused_meanwhile_nothing_more_is_taken() {
    let (mut node, topic) = busy_node();
    let (short, long) = (batch(Codec::None, b"short"), long());
    let silent = |bytes| ProduceRequest { acks: 0, ..produce_request(topic, &[(0, bytes)]) };
    node.disk.full_for = Some(".log");
    let requests = [silent(short.as_slice()), silent(&long), silent(&short)];
    let reason = node.send_until_refused(ApiKey::Produce, VERSION, &requests);
    assert!(reason.contains("KAFKA_STORAGE_ERROR"), "{reason}");
    node.disk.full_for = None;
    node.reconnect_by(0);
    // It is back, and what it sends now is not to come before what it has sent then.
    send(&mut node, topic, &short);
    let offset = next_answer(&mut node).expect("an answer").expect("an offset");
    node.examine_first();
    send(&mut node, topic, &short);
    assert_eq!(next_answer(&mut node), Some(Ok(offset + 1)));
}

/// The rest of such a request is to be sent again.
#[test]
fn what_batches_take_in_the_codec_of_their_topic_is_bounded() {
    const PARTITIONS: usize = 30;
    let mut node = Node::start(MemoryDisk::default());
    let config = [("compression.type", "uncompressed")];
    create_topic_of(&mut node, ("unfolded", PARTITIONS as i32), &config);
    let topic = Topic { name: "unfolded", id: topic_id(&mut node, "unfolded") };
    let mut value = vec![0; 1_000_000];
    let mut random = Random::new(1);
    value[..80_000].fill_with(|| random.next_u64() as u8);
    let bytes = batch(Codec::Zstd, &value);
    let batches: Vec<_> = (0..PARTITIONS as i32).map(|it| (it, bytes.as_slice())).collect();
    let request = produce_request(topic, &batches);
    let body = node.send(ApiKey::Produce, VERSION, &request).expect("an answer");
    let response = ProduceResponse::decode(&mut Reader::new(&body), VERSION).expect("an answer");
    let errors = response.responses[0].partition_responses.iter().map(|it| it.error_code);
    let errors: Vec<_> = errors.map(ErrorCode::from_code).collect();
    let taken = errors.iter().take_while(|it| **it == ErrorCode::None).count();
    assert!((16..25).contains(&taken), "{taken}");
    assert!(errors[taken..].iter().all(|it| *it == ErrorCode::RequestTimedOut), "{errors:?}");
}

/// What it has sent behind that is dropped, and then it is told that it has gone.
#[test]
fn a_client_that_was_refused_meanwhile_is_not_held_for_good() {
    for under_way in [0, 2] {
        let (mut node, topic) = busy_node();
        for _ in 0..under_way {
            send_with(&mut node, topic, (0, &long()));
            node.reconnect_by(0);
        }
        let (short, long) = (batch(Codec::None, b"short"), long());
        let silent = |bytes| ProduceRequest { acks: 0, ..produce_request(topic, &[(0, bytes)]) };
        node.disk.full_for = Some(".log");
        let requests = [silent(short.as_slice()), silent(&long), silent(&short)];
        node.send_until_refused(ApiKey::Produce, VERSION, &requests);
        // One that waits is dropped, one that is looked at comes to its end.
        assert_eq!(node.is_held(), under_way == 0);
        node.examine_first();
        assert!(!node.is_held());
    }
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let (mut node, topic) = busy_node();
    send(&mut node, topic, &long());
    drop(node.stop());
}

#[test]
fn what_waits_is_bounded() {
    let (mut node, topic) = busy_node();
    // Each of these takes a megabyte while it waits, and holds up its own connection only.
    let long = batch(Codec::None, &vec![0; 900_000]);
    let (mut crowded, mut taken) = (0, 0);
    for _ in 0..100 {
        send_with(&mut node, topic, (0, &long));
        crowded += i64::from(!node.may_take_bulk());
        // Where too much waits it leaves nothing behind.
        node.reconnect_by(0);
        assert!(node.may_take_bulk());
    }
    while node.examinations() > 0 {
        node.examine_first();
        taken += 1;
    }
    assert!((60..80).contains(&taken), "{taken}");
    assert_eq!(crowded, 100 - taken);
    send(&mut node, topic, &batch(Codec::None, b"short"));
    assert_eq!(next_answer(&mut node), Some(Ok(taken)));
}
