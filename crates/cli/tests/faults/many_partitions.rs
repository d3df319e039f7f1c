//! Hundreds of partitions with records: what a stop and a kill leave of them.

use std::time::Instant;

use strom_protocol::ErrorCode;
use strom_protocol::records::BatchOptions;

use crate::node::{Node, PATIENCE, Place};
use crate::wire::{Peer, batch};

const TOPIC: &str = "many";
const PARTITIONS: i32 = 300;
const CLEAN_STOP: &str = ".kafka_cleanshutdown";

/// A record for each partition, every second one of an idempotent producer; the answers say how many
/// there were before.
fn fill(node: &Node, before: i64) {
    let mut peer = Peer::connect(node.address());
    for partition in 0..PARTITIONS {
        let options = match has_producer(partition) {
            true => BatchOptions {
                producer_id: 7,
                producer_epoch: 0,
                base_sequence: before as i32,
                ..BatchOptions::default()
            },
            false => BatchOptions::default(),
        };
        let value = batch(options, &[b"value".to_vec()]);
        let produced = peer.produce(TOPIC, partition, &value).expect("the connection lives");
        assert_eq!((produced.error, produced.base_offset), (ErrorCode::None, before));
    }
}

fn has_producer(partition: i32) -> bool {
    partition % 2 == 1
}

#[test]
fn hundreds_of_logs_are_stopped_together_and_lose_nothing() {
    let place = Place::new();
    let node = place.start();
    let told = Peer::connect(node.address()).create_topic(TOPIC, PARTITIONS, &[]);
    assert_eq!(told, ErrorCode::None);
    fill(&node, 0);
    let began = Instant::now();
    node.stop();
    assert!(began.elapsed() < PATIENCE);
    assert!(place.data().join(CLEAN_STOP).exists());
    for partition in 0..PARTITIONS {
        let folder = place.data().join(format!("{TOPIC}-{partition}"));
        let entries = std::fs::read_dir(folder).expect("a folder");
        let names = entries.map(|it| it.expect("an entry").file_name().into_string());
        let mut names: Vec<String> = names.map(|it| it.expect("text")).collect();
        names.sort();
        let mut expected = vec![
            "00000000000000000000.index",
            "00000000000000000000.log",
            "00000000000000000000.timeindex",
            "leader-epoch-checkpoint",
            "partition.metadata",
        ];
        if has_producer(partition) {
            expected.insert(3, "00000000000000000001.snapshot");
        }
        assert_eq!(names, expected);
    }
    let node = place.start();
    fill(&node, 1);
    node.kill();
    let node = place.start();
    fill(&node, 2);
    node.stop();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    for partition in 0..PARTITIONS {
        let (records, high_watermark) = peer.fetch(TOPIC, partition, 0);
        assert_eq!(high_watermark, 3);
        assert_eq!(strom_protocol::records::batches(&records).count(), 3);
    }
    node.stop();
}
