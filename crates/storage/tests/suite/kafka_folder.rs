//! Folders that Apache Kafka 4.3.1 wrote (fixtures): opened as they are, and rebuilt to the same
//! bytes from the records alone. `STROM_KAFKA_DATA=<log dir>` checks every partition there too.

use crate::world::{max_timestamp, offset_for_timestamp};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strom_protocol::records::batches;
use strom_storage::config::LogConfig;
use strom_storage::format::{clean_shutdown, meta_properties, offset_checkpoint};
use strom_storage::recovery::RecoveryOptions;

use crate::memory_disk::MemoryDisk;
use crate::world::World;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka-4.3.1")
}

fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (format!("orders-0/{name}"), fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn options(clean: bool) -> RecoveryOptions {
    RecoveryOptions {
        config: Arc::new(LogConfig::default()),
        recovery_point: 0,
        log_start_offset: None,
        clean,
        syncs_kept: false,
    }
}

fn open(files: BTreeMap<String, Vec<u8>>, clean: bool) -> World<MemoryDisk> {
    let mut disk = MemoryDisk { files, ..MemoryDisk::default() };
    disk.folders.insert("orders-0".to_owned());
    let (world, recovered) = World::reopen(disk, options(clean));
    assert_eq!(recovered.truncated_bytes, 0);
    world
}

/// Opens cleanly, reads every batch, then opens what only the records say and compares the files.
fn check_folder(folder: &Path) -> World<MemoryDisk> {
    let written = files_of(folder);
    let world = open(written.clone(), true);
    assert_eq!(world.disk.files, written, "a clean folder is left as it is");
    let (mut offset, end) = (world.log.log_start_offset(), world.log.log_end_offset());
    while offset < end {
        let slice = world.read(offset, 100_000);
        assert!(slice.length > 0);
        for batch in batches(&world.bytes_of(&slice)) {
            offset = batch.unwrap().header.next_offset();
        }
    }
    let is_record = |name: &String| name.ends_with(".log") || name.ends_with(".metadata");
    let records = written.iter().filter(|(name, _)| is_record(name));
    let records = records.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
    let rebuilt = open(records, false);
    assert_eq!(rebuilt.log.log_end_offset(), end);
    for (name, bytes) in &rebuilt.disk.files {
        assert_eq!(Some(bytes), written.get(name), "{name} of {}", folder.display());
    }
    world
}

#[test]
fn transactions_that_kafka_wrote_are_opened_and_rebuilt() {
    let world = check_folder(&fixtures().join("transactions-0"));
    assert_eq!(world.log.log_end_offset(), 405);
    let producer = world.log.producers().next().unwrap();
    assert_eq!(producer.transaction_first_offset, None);
    assert_eq!(world.log.producers().count(), 1);
}

#[test]
fn compressed_records_that_kafka_wrote_are_found_by_time() {
    let world = check_folder(&fixtures().join("compressed-0"));
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    let found =
        offset_for_timestamp(&world.log, &world.files(), newest.timestamp).unwrap().unwrap();
    assert_eq!(found, newest);
    assert_eq!(world.log.end_offset_for_epoch(0), Some((0, 30)));
}

#[test]
fn the_files_of_kafkas_log_directory_are_read() {
    let read = |name: &str| fs::read(fixtures().join(name)).unwrap();
    let properties = meta_properties::parse(&read("meta.properties")).unwrap();
    assert_eq!((properties.version, properties.node_id), (1, Some(1)));
    assert!(clean_shutdown::parse(&read(".kafka_cleanshutdown")).is_some());
    let points = read(offset_checkpoint::RECOVERY_POINT);
    let entries = offset_checkpoint::parse(&points).unwrap();
    assert_eq!(offset_checkpoint::format(&entries), points);
    assert_eq!(offset_checkpoint::parse(&read(offset_checkpoint::LOG_START_OFFSET)), Ok(vec![]));
}

#[test]
fn every_partition_of_a_given_log_directory_is_opened_and_rebuilt() {
    let Some(root) = std::env::var_os("STROM_KAFKA_DATA") else { return };
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let is_metadata = path.ends_with("__cluster_metadata-0");
        if path.is_dir() && !is_metadata {
            check_folder(&path);
        }
    }
}
