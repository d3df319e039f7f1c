//! What a start after a kill has to read, however many logs there are.

use strom_protocol::compression::Codec;
use strom_storage::disk::{DirectoryId, DiskPath};

use crate::exchange::{batch, produce};
use crate::node::RECOVERY_BYTES_MAX;
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
    let path =
        DiskPath { directory: DirectoryId(0), path: "recovery-point-offset-checkpoint".to_owned() };
    let disk = node.kill();
    let text = String::from_utf8(disk.files[&path].clone()).expect("text");
    let points: Vec<i64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("owing ")?.split(' ').nth(1)?.parse().ok())
        .collect();
    assert_eq!(points.len(), 2, "{text}");
    let behind = points.iter().map(|point| BATCHES - point).sum::<i64>() as usize * VALUE_BYTES;
    assert!(behind <= RECOVERY_BYTES_MAX as usize + VALUE_BYTES, "{text}");
}
