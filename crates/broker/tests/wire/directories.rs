//! Where logs lie: several log directories, and a folder that was not finished.

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::compression::Codecs;
use strom_protocol::records::{batches, body_of};
use strom_storage::disk::{DirectoryId, DiskPath};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;
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

#[test]
fn a_log_without_the_file_of_its_topics_id_is_kept() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "young");
    let mut disk = node.kill();
    let file = path(0, "young-0/partition.metadata");
    let content = disk.files.remove(&file);
    let node = Node::start(disk);
    assert_eq!(node.disk.files.get(&file).cloned(), content);
}
