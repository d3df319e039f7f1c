//! Where logs lie: several log directories, folders that were not finished, what checkpoints still say.

use strom_base::Uuid;
use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{batches, body_of};
use strom_protocol::{ErrorCode, MetadataRecord};
use strom_storage::disk::{DirectoryId, DiskPath};

use crate::exchange::{Topic, batch, produce};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::produce::with_topic;
use crate::topics::create_topic;

const TWO: [(&str, &str); 1] = [("log.dirs", "a,b")];

fn path(directory: u16, path: &str) -> DiskPath {
    DiskPath { directory: DirectoryId(directory), path: path.to_owned() }
}

/// Partition and directories of the records that change a partition.
fn assigned(disk: &MemoryDisk) -> Vec<(i32, Vec<Uuid>)> {
    let log = &disk.files[&path(0, "__cluster_metadata-0/00000000000000000000.log")];
    let mut found = Vec::new();
    for batch in batches(log).map(|batch| batch.expect("whole")) {
        if batch.header.is_control() {
            continue;
        }
        let body = body_of(&batch.header, batch.bytes, &mut Codecs::new(), 1 << 20);
        for record in batch.header.records(&body.expect("plain")) {
            let value = record.expect("sound").value.expect("a value");
            if let Ok((MetadataRecord::PartitionChange(change), _)) = MetadataRecord::decode(value)
                && let Some(directories) = change.directories
            {
                found.push((change.partition_id, directories));
            }
        }
    }
    found
}

#[test]
fn a_node_of_two_directories_tells_where_its_replicas_lie() {
    let mut node =
        Node::try_start(MemoryDisk::default(), &TWO).unwrap_or_else(|it| panic!("{}", it.0));
    create_topic(&mut node, 7, "spread");
    let topic = Topic { name: "spread", id: topic_id(&mut node, "spread") };
    let bytes = batch(Codec::None, b"value");
    produce(&mut node, 9, topic, &[(0, &bytes), (1, &bytes)]);
    let told = assigned(&node.disk);
    let partitions: Vec<i32> = told.iter().map(|(partition, _)| *partition).collect();
    assert_eq!(partitions, [0, 1]);
    assert_ne!(told[0].1, told[1].1, "one in each");
    for (partition, _) in &told {
        let folder = format!("spread-{partition}/partition.metadata");
        let places = [0, 1].map(|it| node.disk.files.contains_key(&path(it, &folder)));
        assert!(places[0] != places[1], "{partition}");
    }
    let node = Node::try_start(node.stop(), &TWO).unwrap_or_else(|it| panic!("{}", it.0));
    assert_eq!(assigned(&node.disk), told, "nothing is new");
}

/// A power failure takes from a folder what no sync has named, and its name may be a deleted topic's.
#[test]
fn a_folder_that_does_not_say_whose_it_is_is_set_aside_if_anything_is_in_it() {
    let (mut node, topic) = with_topic("torn");
    let bytes = batch(Codec::None, b"value");
    produce(&mut node, 9, topic, &[(0, &bytes), (1, &bytes)]);
    let mut disk = node.kill();
    disk.files.insert(path(0, "torn-0/partition.metadata"), Vec::new());
    disk.files.insert(path(0, "torn-1/partition.metadata"), vec![0; 43]);
    disk.files.insert(path(0, "torn-1/00000000000000000000.log"), Vec::new());
    let mut node = Node::start_with(disk, &[]);
    assert!(matches!(&node.notices[..], [told] if told.contains("torn-0")), "{:?}", node.notices);
    let told = produce(&mut node, 9, topic, &[(0, &bytes), (1, &bytes)]);
    assert!(told.iter().all(|part| (part.error, part.base_offset) == (0, 0)), "{told:?}");
    let is_stray = |it: &&DiskPath| it.path.contains("-stray/") && it.path.ends_with(".log");
    let strays: Vec<&DiskPath> = node.disk.files.keys().filter(is_stray).collect();
    assert!(matches!(strays[..], [it] if it.path.starts_with("torn-0.")), "{strays:?}");
}

#[test]
fn what_checkpoints_say_of_a_log_that_is_gone_does_not_cut_the_next_one_of_its_name() {
    let mut disk = Node::start(MemoryDisk::default()).kill();
    let stale = b"0\n1\nagain 0 500\n".to_vec();
    for name in ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"] {
        disk.files.insert(path(0, name), stale.clone());
    }
    let mut node = Node::start(disk);
    for base_offset in 0..3 {
        create_if_missing(&mut node, "again");
        let topic = Topic { name: "again", id: topic_id(&mut node, "again") };
        let bytes = batch(Codec::None, b"value");
        let told = produce(&mut node, 9, topic, &[(0, &bytes)]);
        assert_eq!((told[0].error, told[0].base_offset), (0, base_offset));
        node = Node::start(node.kill());
    }
}

#[test]
fn a_log_waits_until_no_checkpoint_speaks_of_another_one_of_its_name() {
    let mut disk = Node::start(MemoryDisk::default()).kill();
    disk.files.insert(path(0, "log-start-offset-checkpoint"), b"0\n1\nagain 0 500\n".to_vec());
    disk.full_for = Some("log-start-offset-checkpoint");
    let mut node = Node::start_with(disk, &[]);
    create_topic(&mut node, 7, "again");
    let topic = Topic { name: "again", id: topic_id(&mut node, "again") };
    let bytes = batch(Codec::None, b"value");
    let told = produce(&mut node, 9, topic, &[(0, &bytes)]);
    assert_eq!(told[0].error, ErrorCode::NotLeaderOrFollower.code());
    node.disk.full_for = None;
    node.wait(60_000);
    for base_offset in 0..2 {
        let told = produce(&mut node, 9, topic, &[(0, &bytes)]);
        assert_eq!((told[0].error, told[0].base_offset), (0, base_offset));
        node = Node::start(node.kill());
    }
}

fn create_if_missing(node: &mut Node, name: &str) {
    if topic_id(node, name).is_zero() {
        create_topic(node, 7, name);
    }
}
