//! What a start after a kill has to read, however many logs there are.

use strom_protocol::compression::Codec;
use strom_storage::disk::{DirectoryId, DiskPath};

use crate::exchange::{batch, produce};
use crate::memory_disk::MemoryDisk;
use crate::node::{Node, RECOVERY_BYTES_MAX};
use crate::produce::with_topic;

const BATCHES: i64 = 20;
const VALUE_BYTES: usize = 20_000;

#[test]
fn logs_that_each_have_little_are_synced_when_all_together_have_too_much() {
    let (mut node, topic) = with_topic("owing");
    let bytes = batch(Codec::None, &[7; VALUE_BYTES]);
    for _ in 0..BATCHES {
        for partition in 0..2 {
            produce(&mut node, 9, topic, &[(partition, &bytes)]);
        }
    }
    node.wait(1_000);
    let behind = bytes_behind(&node.kill(), "owing", BATCHES);
    assert!(behind <= RECOVERY_BYTES_MAX as usize + VALUE_BYTES, "{behind}");
}

#[test]
fn what_each_life_leaves_unsynced_does_not_add_up() {
    const LIVES: i64 = 5;
    let (mut node, topic) = with_topic("killed");
    let bytes = batch(Codec::None, &[7; VALUE_BYTES]);
    for _ in 0..LIVES {
        for partition in 0..2 {
            produce(&mut node, 9, topic, &[(partition, &bytes)]);
            produce(&mut node, 9, topic, &[(partition, &bytes)]);
        }
        node.wait(1_000);
        node = Node::start_with(node.kill(), &[]);
        node.wait(1_000);
    }
    let behind = bytes_behind(&node.kill(), "killed", LIVES * 2);
    assert!(behind <= RECOVERY_BYTES_MAX as usize + VALUE_BYTES, "{behind}");
}

/// Of a topic's two partitions with so many batches each.
fn bytes_behind(disk: &MemoryDisk, topic: &str, batches: i64) -> usize {
    let path =
        DiskPath { directory: DirectoryId(0), path: "recovery-point-offset-checkpoint".to_owned() };
    let text = String::from_utf8(disk.files[&path].clone()).expect("text");
    let points: Vec<i64> = text
        .lines()
        .filter_map(|line| line.strip_prefix(topic)?.split(' ').nth(2)?.parse().ok())
        .collect();
    assert_eq!(points.len(), 2, "{text}");
    points.iter().map(|point| batches - point).sum::<i64>() as usize * VALUE_BYTES
}
