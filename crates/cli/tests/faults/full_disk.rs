//! A disk that takes no more: Kafka's error, nothing acknowledged lost, and service when there is
//! space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use strom_protocol::ErrorCode;
use strom_protocol::records::{BatchOptions, batches};

use crate::node::{Node, Place};
use crate::wire::{Peer, batch};

const TOPIC: &str = "filled";
const RECORD_BYTES: usize = 100_000;

fn value(number: i64) -> Vec<u8> {
    let mut value = number.to_be_bytes().to_vec();
    value.resize(RECORD_BYTES, b'x');
    batch(BatchOptions::default(), &[value])
}

/// Produces until the node says that its disk fails; how many batches were acknowledged.
fn fill(peer: &mut Peer) -> i64 {
    for number in 0.. {
        let produced = peer.produce(TOPIC, 0, &value(number)).expect("the node lives");
        if produced.error != ErrorCode::None {
            assert_eq!(produced.error, ErrorCode::KafkaStorageError);
            return number;
        }
        assert_eq!(produced.base_offset, number);
    }
    unreachable!("the disk has an end")
}

/// The first `count` records are there, in order.
fn assert_kept(node: &Node, count: i64) {
    let mut peer = Peer::connect(node.address());
    let mut next = 0;
    while next < count {
        let (bytes, high_watermark) = peer.fetch(TOPIC, 0, next);
        assert!(high_watermark >= count, "{high_watermark} of {count}");
        for found in batches(&bytes) {
            let found = found.expect("a batch");
            assert_eq!(found.header.base_offset, next);
            assert!(found.bytes.windows(8).any(|it| it == next.to_be_bytes()));
            next += 1;
        }
    }
}

#[test]
fn a_file_that_may_not_grow_is_a_full_disk() {
    let mut place = Place::new();
    place.limit_files(Some(3 << 20));
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic(TOPIC, 1, &[]), ErrorCode::None);
    let acknowledged = fill(&mut peer);
    assert!(acknowledged > 10, "{acknowledged}");
    // Reading goes on, and again and again no.
    assert_kept(&node, acknowledged);
    for _ in 0..5 {
        let produced = peer.produce(TOPIC, 0, &value(0)).expect("the node lives");
        assert_eq!(produced.error, ErrorCode::KafkaStorageError);
    }
    // What fits is taken.
    let small = batch(BatchOptions::default(), &[b"small".to_vec()]);
    let produced = peer.produce(TOPIC, 0, &small).expect("the node lives");
    assert_eq!((produced.error, produced.base_offset), (ErrorCode::None, acknowledged));
    node.kill();
    place.limit_files(None);
    let node = place.start();
    assert_kept(&node, acknowledged);
    let mut peer = Peer::connect(node.address());
    let produced = peer.produce(TOPIC, 0, &value(0)).expect("the node lives");
    assert_eq!((produced.error, produced.base_offset), (ErrorCode::None, acknowledged + 1));
    node.stop();
}

/// A small file system, unmounted in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "strom-test"])
            .arg(at)
            .output();
        mounted.is_ok_and(|it| it.status.success()).then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_writes_and_loses_nothing() {
    let mut place = Place::new();
    let Some(disk) = SmallDisk::mount(&place.path().join("disk")) else {
        println!("this user may not mount: only the limit of a file's size is tested");
        return;
    };
    place.set("log.dirs", &disk.0.join("data").display().to_string());
    // A ballast makes the end come soon and gives space back later.
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 4 << 20]).expect("a file");
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic(TOPIC, 1, &[]), ErrorCode::None);
    let acknowledged = fill(&mut peer);
    assert!(acknowledged > 10, "{acknowledged}");
    assert_kept(&node, acknowledged);
    node.kill();
    // Also a start on the full disk reads everything.
    let node = place.start();
    assert_kept(&node, acknowledged);
    let mut peer = Peer::connect(node.address());
    let produced = peer.produce(TOPIC, 0, &value(0)).expect("the node lives");
    assert_eq!(produced.error, ErrorCode::KafkaStorageError);
    // Again and again no, in few words.
    for _ in 0..500 {
        let produced = peer.produce(TOPIC, 0, &value(0)).expect("the node lives");
        assert_eq!(produced.error, ErrorCode::KafkaStorageError);
    }
    let said = node.said();
    assert!(said.contains("no space left"), "{said}");
    assert!(said.lines().count() < 40, "{said}");
    fs::remove_file(ballast).expect("the ballast");
    // Space is there again, and with it the service; the next start too.
    let produced = peer.produce(TOPIC, 0, &value(0)).expect("the node lives");
    assert_eq!((produced.error, produced.base_offset), (ErrorCode::None, acknowledged));
    node.stop();
    let node = place.start();
    assert_kept(&node, acknowledged + 1);
    node.stop();
}
