//! What a log directory holds.

use strom_storage::config::LogConfig;
use strom_storage::directory::scan_directory;
use strom_storage::disk::DirectoryId;

use crate::world::{World, identity};

#[test]
fn partitions_are_found_with_their_topic_ids() {
    let mut disk = World::new(LogConfig::default()).disk;
    let unique = "0123456789abcdef0123456789abcdef";
    for name in [
        "a-1".to_owned(),
        "__cluster_metadata-0".to_owned(),
        "remote-log-index-cache".to_owned(),
        format!("b-0.{unique}-delete"),
        format!("b-1.{unique}-stray"),
        format!("b-2.{unique}-future"),
    ] {
        disk.folders.insert(name);
    }
    disk.files.insert("meta.properties".to_owned(), Vec::new());
    let scan = scan_directory(&disk, DirectoryId(0)).unwrap();
    let found: Vec<_> = scan
        .partitions
        .iter()
        .map(|found| (found.topic.as_str(), found.partition, found.topic_id))
        .collect();
    assert_eq!(found, [("a", 1, None), ("orders", 0, Some(identity().topic_id))]);
    assert_eq!((scan.futures.len(), scan.deleted.len(), scan.stray.len()), (1, 1, 1));
}
