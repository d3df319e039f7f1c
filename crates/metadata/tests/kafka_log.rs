//! Metadata logs and snapshots that Apache Kafka 4.3.1 wrote: one node, its quorum static in one
//! folder, dynamic and killed once in the other.

use strom_metadata::controller::replay_bytes;
use strom_metadata::image::{ConfigResource, ResourceType};
use strom_metadata::{Delta, Image};
use strom_protocol::compression::Codecs;
use strom_protocol::records::{HEADER_LENGTH, batches, body_of};

const STATIC_LOG: &[u8] = include_bytes!("fixtures/static/00000000000000000000.log");
const STATIC_SNAPSHOT: &[u8] =
    include_bytes!("fixtures/static/00000000000000000105-0000000001.checkpoint");
const DYNAMIC_LOG: &[u8] = include_bytes!("fixtures/dynamic/00000000000000000000.log");

/// The image after the data records below an offset, and all that they changed.
fn replay(bytes: &[u8], end_offset: i64) -> (Image, Delta) {
    let (mut image, mut delta) = (Image::default(), Delta::default());
    for raw in batches(bytes) {
        let raw = raw.expect("a whole batch");
        if raw.header.is_control() || raw.header.base_offset >= end_offset {
            continue;
        }
        assert!(raw.bytes.len() > HEADER_LENGTH);
        let body = body_of(&raw.header, raw.bytes, &mut Codecs::new(), 1 << 20).expect("a body");
        for record in raw.header.records(&body) {
            let record = record.expect("a record");
            let offset = raw.header.offset_of(&record);
            let value = record.value.expect("a value");
            replay_bytes(&mut image, offset, value, &mut delta).expect("it fits");
        }
    }
    (image, delta)
}

fn through_snapshot(image: &Image) -> Image {
    let mut copy = Image::default();
    for (offset, record) in (0..).zip(image.to_snapshot_records()) {
        replay_bytes(&mut copy, offset, &record, &mut Delta::default()).expect("it fits");
    }
    copy
}

#[test]
fn kafkas_log_and_the_snapshot_that_kafka_made_of_it_say_the_same() {
    let (of_log, _) = replay(STATIC_LOG, 105);
    let (of_snapshot, _) = replay(STATIC_SNAPSHOT, i64::MAX);
    assert_eq!(of_log.topics, of_snapshot.topics);
    assert_eq!(of_log.configs, of_snapshot.configs);
    assert_eq!(of_log.next_producer_id, of_snapshot.next_producer_id);
    assert!(of_log.features.levels().eq(of_snapshot.features.levels()));
    // Java lists a broker's features in the order of their hashes.
    let brokers = |image: &Image| {
        let mut brokers: Vec<_> = image.cluster.brokers().cloned().collect();
        brokers.iter_mut().for_each(|broker| broker.features.sort());
        brokers
    };
    assert_eq!(brokers(&of_log), brokers(&of_snapshot));
    assert!(of_log.cluster.controllers().eq(of_snapshot.cluster.controllers()));
}

#[test]
fn our_snapshot_has_kafkas_records() {
    let (image, _) = replay(STATIC_SNAPSHOT, i64::MAX);
    let mut ours = image.to_snapshot_records();
    let mut kafkas = Vec::new();
    for raw in batches(STATIC_SNAPSHOT) {
        let raw = raw.expect("a batch");
        let body = raw.bytes.get(HEADER_LENGTH..).expect("a body");
        if !raw.header.is_control() {
            let values = raw.header.records(body);
            kafkas.extend(values.map(|it| it.expect("a record").value.expect("one").to_vec()));
        }
    }
    assert_eq!(ours.first(), kafkas.first(), "metadata.version comes first");
    ours.sort();
    kafkas.sort();
    assert_eq!(ours, kafkas);
}

#[test]
fn the_end_of_a_kafka_that_stopped_well_is_understood() {
    let (image, delta) = replay(STATIC_LOG, i64::MAX);
    assert_eq!(image.features.metadata_version(), 30);
    assert_eq!(image.features.level("share.version"), 0);
    assert_eq!(image.next_producer_id, 1000);
    let topics: Vec<_> = image.topics.iter().map(|it| (&*it.name, it.partitions.len())).collect();
    assert_eq!(topics, [("configured", 2), ("plain", 5)]);
    assert_eq!(delta.removed_topics.len(), 1);
    let configured = image.configs.of(&ConfigResource::topic("configured")).expect("configs");
    assert_eq!(configured.len(), 1);
    let group = ConfigResource { kind: ResourceType::Group, name: "g".into() };
    assert_eq!(image.configs.value(&group, "consumer.session.timeout.ms"), Some("50000"));
    let broker = image.cluster.broker(1).expect("a broker");
    assert!(broker.is_fenced && broker.in_controlled_shutdown);
    assert_eq!(broker.cordoned_directories, Some(Vec::new()));
    let plain = image.topics.by_name("plain").expect("a topic");
    let partition = plain.partitions.first().expect("a partition");
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (-1, 1, 1));
    assert_eq!((&*partition.isr, &*partition.eligible_leaders), ([].as_slice(), [1].as_slice()));
    assert_eq!(through_snapshot(&image).to_snapshot_records(), image.to_snapshot_records());
}

#[test]
fn what_is_kept_for_others_outlives_a_snapshot() {
    let (image, _) = replay(DYNAMIC_LOG, i64::MAX);
    let records = image.to_snapshot_records();
    // Type 11: SCRAM credential, 14: quota; behind the frame's version.
    for kept in [11, 14] {
        assert!(records.iter().any(|record| record.get(1) == Some(&kept)), "type {kept}");
    }
    assert_eq!(through_snapshot(&image).to_snapshot_records(), records);
    let partition = image.topics.by_name("first").and_then(|it| it.partitions.first());
    assert_eq!(partition.map(|it| it.leader_recovery_state), Some(1));
}
