//! The metadata log over many lives of a node: snapshots, what they let go of, and damaged files.

use strom_protocol::begin_transaction_record::BeginTransactionRecord;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord, batches};
use strom_protocol::topic_record::TopicRecord;
use strom_protocol::{ApiKey, Message, MetadataRecord, Writer};
use strom_raft::{Snapshot, SnapshotId};
use strom_storage::disk::{DirectoryId, DiskPath};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::create_topic;

/// A snapshot every few topics, segments of a few topics, all snapshots kept.
const MANY: [(&str, &str); 3] = [
    ("metadata.log.max.record.bytes.between.snapshots", "2000"),
    ("internal.metadata.log.segment.bytes", "3000"),
    ("metadata.max.retention.bytes", "-1"),
];
const TOPICS: usize = 40;

fn path(name: &str) -> DiskPath {
    DiskPath { directory: DirectoryId(0), path: format!("__cluster_metadata-0/{name}") }
}

/// Names in the metadata log's folder that end so, in order.
fn names(disk: &MemoryDisk, end: &str) -> Vec<String> {
    let folder = path("").path;
    let names = disk.files.keys().filter_map(|path| path.path.strip_prefix(&folder));
    names.filter(|name| name.ends_with(end)).map(str::to_owned).collect()
}

fn snapshots(disk: &MemoryDisk) -> Vec<SnapshotId> {
    names(disk, ".checkpoint").iter().filter_map(|it| SnapshotId::from_file_name(it)).collect()
}

/// Names, ids and partitions of all topics.
fn topics(node: &mut Node) -> Vec<(String, String, usize)> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let bytes = node.send(ApiKey::Metadata, 12, &request).expect("an answer");
    let response = MetadataResponse::from_bytes(&bytes, 12).expect("decodes");
    let topics = response.topics.iter().map(|it| {
        let name = it.name.unwrap_or_default().to_owned();
        (name, it.topic_id.to_string(), it.partitions.len())
    });
    topics.collect()
}

fn start(disk: MemoryDisk, keys: &[(&str, &str)]) -> Node {
    Node::try_start(disk, keys).unwrap_or_else(|refused| panic!("{}", refused.0))
}

/// A node that has made some topics, one by one.
fn grown(keys: &[(&str, &str)]) -> (Node, Vec<(String, String, usize)>) {
    let mut node = start(MemoryDisk::default(), keys);
    for number in 0..TOPICS {
        create_topic(&mut node, 7, &format!("topic-{number:02}"));
    }
    let known = topics(&mut node);
    assert_eq!(known.len(), TOPICS);
    (node, known)
}

#[test]
fn a_node_starts_from_the_newest_snapshot_and_the_log_behind_it() {
    let (node, known) = grown(&MANY);
    assert!(snapshots(&node.disk).len() > 3);
    let mut disk = node.kill();
    // What stands before the snapshot is not looked at any more.
    let oldest = names(&disk, ".log").remove(0);
    disk.files.retain(|it, _| *it != path(&oldest));
    let mut node = start(disk, &MANY);
    assert_eq!(topics(&mut node), known);
    create_topic(&mut node, 7, "later");
    let disk = node.stop();
    let mut node = start(disk, &MANY);
    assert_eq!(topics(&mut node).len(), TOPICS + 1);
    assert_eq!(node.notices, [""; 0]);
}

#[test]
fn log_and_snapshots_stay_within_their_retention() {
    let keys = [MANY[0], MANY[1], ("metadata.max.retention.bytes", "12000")];
    let (mut node, known) = grown(&keys);
    node.wait(120_000);
    let kept = snapshots(&node.disk);
    let segments = names(&node.disk, ".log");
    assert!(!segments.contains(&"00000000000000000000.log".to_owned()), "{segments:?}");
    let size: usize =
        node.disk.files.iter().filter(|(it, _)| is_data(&it.path)).map(|(_, it)| it.len()).sum();
    assert!(kept.len() == 1 || size <= 12_000, "{kept:?} {size}");
    let mut node = start(node.stop(), &keys);
    assert_eq!(topics(&mut node), known);
}

#[test]
fn the_first_look_at_what_is_too_old_comes_after_its_own_delay() {
    let keys = [
        MANY[0],
        MANY[1],
        MANY[2],
        ("metadata.max.retention.ms", "1000"),
        ("log.initial.task.delay.ms", "5000"),
    ];
    let (mut node, _) = grown(&keys);
    let before = snapshots(&node.disk);
    node.wait(4_999);
    assert_eq!(snapshots(&node.disk), before);
    node.wait(1);
    assert_eq!(snapshots(&node.disk).len(), 1);
}

fn is_data(path: &str) -> bool {
    path.starts_with("__cluster_metadata-0/")
        && (path.ends_with(".log") || path.ends_with(".checkpoint"))
}

#[test]
fn a_snapshot_is_made_for_its_age_when_something_has_changed() {
    let keys = [("metadata.log.max.snapshot.interval.ms", "30000")];
    let mut node = start(MemoryDisk::default(), &keys);
    node.wait(31_000);
    assert_eq!(snapshots(&node.disk).len(), 1);
    node.wait(31_000);
    assert_eq!(snapshots(&node.disk).len(), 1, "nothing is new");
    create_topic(&mut node, 7, "new");
    node.wait(31_000);
    assert_eq!(snapshots(&node.disk).len(), 2);
}

#[test]
fn a_damaged_snapshot_is_set_aside_for_the_one_before_it() {
    let (node, known) = grown(&MANY);
    let mut disk = node.stop();
    let newest = snapshots(&disk).pop().expect("some").file_name();
    let bytes = disk.files.get_mut(&path(&newest)).expect("a file");
    bytes.truncate(bytes.len() - 5);
    let part = format!("{newest}.part");
    disk.files.insert(path(&part), vec![1, 2, 3]);
    let mut node = start(disk, &MANY);
    assert_eq!(topics(&mut node), known);
    assert!(node.notices[0].contains("damaged and set aside"), "{:?}", node.notices);
    assert_eq!(names(&node.disk, ".damaged"), [format!("{newest}.damaged")]);
    assert_eq!(names(&node.disk, ".part"), [""; 0]);
}

#[test]
fn a_log_that_is_lost_goes_on_from_the_snapshot() {
    let (node, known) = grown(&MANY);
    let newest = snapshots(&node.disk).pop().expect("some");
    let held = Snapshot::read(&node.disk.files[&path(&newest.file_name())]).expect("whole");
    let mut disk = node.stop();
    disk.files.retain(|it, _| !it.path.starts_with(&path("").path) || !it.path.ends_with(".log"));
    let mut node = start(disk, &MANY);
    let now_known = topics(&mut node);
    assert!(known.starts_with(&now_known) && !held.records.is_empty(), "{now_known:?}");
    assert!(now_known.len() > TOPICS - 20, "{}", now_known.len());
    let first = format!("{:020}.log", newest.end_offset);
    assert_eq!(names(&node.disk, ".log")[0], first);
    create_topic(&mut node, 7, "later");
    let mut node = start(node.stop(), &MANY);
    assert_eq!(topics(&mut node).len(), now_known.len() + 1);
}

#[test]
fn a_log_that_begins_above_every_snapshot_is_refused_and_not_touched() {
    let (node, _) = grown(&MANY);
    let mut disk = node.stop();
    disk.files.remove(&path("00000000000000000000.log"));
    for id in snapshots(&disk) {
        disk.files.remove(&path(&id.file_name()));
    }
    let before: Vec<_> = names(&disk, ".log");
    let (text, disk) = Node::try_start(disk, &MANY).err().expect("refused");
    assert!(text.contains("no whole snapshot reaches there"), "{text}");
    assert_eq!(names(&disk, ".log"), before);
}

#[test]
fn a_log_damaged_in_the_middle_of_its_segments_ends_there_or_at_the_snapshot() {
    let (node, known) = grown(&MANY);
    let mut disk = node.stop();
    let segments = names(&disk, ".log");
    assert!(segments.len() > 3, "{segments:?}");
    let bytes = disk.files.get_mut(&path(&segments[1])).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    let mut node = start(disk, &MANY);
    assert!(known.starts_with(&topics(&mut node)));
    assert!(node.notices.iter().any(|it| it.contains("goes on from its snapshot")));
    create_topic(&mut node, 7, "later");
}

/// Puts records at the end of the log as one batch, as a controller of this epoch would.
fn append(disk: &mut MemoryDisk, records: &[Vec<u8>]) {
    let segment = names(disk, ".log").pop().expect("a segment");
    let bytes = disk.files.get_mut(&path(&segment)).expect("a file");
    let last = batches(bytes).last().expect("a batch").expect("whole").header;
    let options = BatchOptions {
        base_offset: last.base_offset + i64::from(last.last_offset_delta) + 1,
        partition_leader_epoch: last.partition_leader_epoch,
        ..Default::default()
    };
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let record = NewRecord { value: Some(record), ..Default::default() };
        builder.append(&record).expect("fits");
    }
    bytes.extend_from_slice(&builder.build());
}

fn encoded(record: &MetadataRecord<'_>) -> Vec<u8> {
    let mut writer = Writer::new();
    record.encode(&mut writer, 0).expect("encodes");
    writer.bytes
}

#[test]
fn a_transaction_that_its_controller_did_not_end_is_aborted_before_anything_else() {
    let (node, known) = grown(&MANY);
    let mut disk = node.stop();
    let id = "AQIDBAUGBwgJCgsMDQ4PEA".parse().expect("an id");
    append(
        &mut disk,
        &[
            encoded(&MetadataRecord::BeginTransaction(BeginTransactionRecord::default())),
            encoded(&MetadataRecord::Topic(TopicRecord {
                name: "half",
                topic_id: id,
                ..Default::default()
            })),
        ],
    );
    let mut node = start(disk, &MANY);
    assert_eq!(topics(&mut node), known);
    // The name and every later record are free of it, also for the next life.
    create_topic(&mut node, 7, "half");
    let mut node = start(node.kill(), &MANY);
    assert_eq!(topics(&mut node).len(), TOPICS + 1);
}

#[test]
fn the_first_transaction_of_a_cluster_is_begun_again_when_it_was_cut_off() {
    let node = start(MemoryDisk::default(), &[]);
    let mut disk = node.stop();
    let log = path("00000000000000000000.log");
    let first = batches(&disk.files[&log]).next().expect("a batch").expect("whole").bytes.to_vec();
    disk.files.insert(log, first);
    let begin = encoded(&MetadataRecord::BeginTransaction(BeginTransactionRecord::default()));
    append(&mut disk, &[begin]);
    let mut node = start(disk, &[]);
    create_topic(&mut node, 7, "works");
}

#[test]
fn a_full_disk_costs_a_snapshot_but_not_the_node() {
    let mut node = start(MemoryDisk::default(), &MANY);
    node.disk.full_for = Some(".checkpoint");
    for number in 0..TOPICS {
        create_topic(&mut node, 7, &format!("topic-{number:02}"));
    }
    assert!(snapshots(&node.disk).is_empty());
    assert!(node.notices[0].contains("was not written"), "{:?}", node.notices);
    node.disk.full_for = None;
    create_topic(&mut node, 7, "more-room");
    assert_eq!(snapshots(&node.disk).len(), 1);
}
