//! One of two log directories goes away under the node, is unusable at the next start, and comes back.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use strom_protocol::ErrorCode;
use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use strom_protocol::records::{BatchOptions, batches};

use crate::node::{Node, PATIENCE, Place};
use crate::wire::{Peer, batch, frame};

const TOPIC: &str = "spread";
const PARTITIONS: i32 = 2;

fn produce(peer: &mut Peer, partition: i32) -> (ErrorCode, i64) {
    let records = batch(BatchOptions::default(), &[b"value".to_vec()]);
    let produced = peer.produce(TOPIC, partition, &records).expect("the node lives");
    (produced.error, produced.base_offset)
}

/// How many records a partition holds.
fn count(peer: &mut Peer, partition: i32) -> usize {
    let (bytes, _) = peer.fetch(TOPIC, partition, 0);
    batches(&bytes).filter(|it| it.as_ref().is_ok_and(|it| !it.bytes.is_empty())).count()
}

/// Two log directories, and a topic with a partition in each.
struct Two {
    place: Place,
    second: PathBuf,
    away: PathBuf,
    /// The partition that lies in the second.
    lost: i32,
}

impl Two {
    fn new() -> (Two, Node) {
        let mut place = Place::new();
        let (second, away) = (place.path().join("second"), place.path().join("away"));
        let both = format!("{},{}", place.data().display(), second.display());
        place.set("log.dirs", &both);
        let node = place.start();
        let mut peer = Peer::connect(node.address());
        assert_eq!(peer.create_topic(TOPIC, PARTITIONS, &[]), ErrorCode::None);
        for partition in 0..PARTITIONS {
            assert_eq!(produce(&mut peer, partition), (ErrorCode::None, 0));
        }
        let lies = |partition: &i32| second.join(format!("{TOPIC}-{partition}")).exists();
        let lost = (0..PARTITIONS).find(lies).expect("one lies there");
        assert!(place.data().join(format!("{TOPIC}-{}", 1 - lost)).exists(), "and one here");
        (Two { place, second, away, lost }, node)
    }
}

#[test]
fn the_others_go_on_while_a_directory_is_away_and_all_is_there_when_it_is_back() {
    let (two, node) = Two::new();
    let (lost, kept) = (two.lost, 1 - two.lost);
    fs::rename(&two.second, &two.away).expect("renamed");
    let mut peer = Peer::connect(node.address());
    // Open files go on for a while: what is acknowledged until the node notices must be there later.
    let mut acknowledged = 1;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match produce(&mut peer, lost) {
            (ErrorCode::None, offset) => assert_eq!(offset, acknowledged),
            (error, _) => {
                assert_eq!(error, ErrorCode::KafkaStorageError);
                break;
            }
        }
        acknowledged += 1;
        assert!(Instant::now() < deadline, "it is not noticed: {}", node.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(node.said().contains("has failed: 1 partitions there are offline"), "{}", node.said());
    assert_eq!(produce(&mut peer, kept), (ErrorCode::None, 1));
    assert_eq!(peer.create_topic("later", 4, &[]), ErrorCode::None);
    node.kill();
    // A file is no folder.
    fs::write(&two.second, "mine").expect("a file");
    let node = two.place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(produce(&mut peer, lost).0, ErrorCode::NotLeaderOrFollower);
    assert_eq!(produce(&mut peer, kept), (ErrorCode::None, 2));
    node.stop();
    assert_eq!(fs::read(&two.second).expect("the file"), b"mine");
    fs::remove_file(&two.second).expect("removed");
    fs::rename(&two.away, &two.second).expect("renamed");
    let node = two.place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(produce(&mut peer, lost), (ErrorCode::None, acknowledged));
    assert_eq!(produce(&mut peer, kept), (ErrorCode::None, 3));
    assert_eq!(count(&mut peer, lost) as i64, acknowledged + 1);
    assert_eq!(count(&mut peer, kept), 4);
    node.stop();
}

#[test]
fn without_the_directory_of_the_metadata_log_the_node_stops() {
    let (two, node) = Two::new();
    fs::rename(two.place.data(), &two.away).expect("renamed");
    let mut peer = Peer::connect(node.address());
    // Whatever the answer, if there is one: the node finds out.
    let topic = CreatableTopic {
        name: "later",
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let topics = vec![topic];
    peer.send(&frame(7, &CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() }));
    let log = two.place.path().join("stderr");
    assert_eq!(node.end(), Some(1));
    let said = fs::read_to_string(log).expect("what it said");
    assert!(said.contains("has failed, and the metadata log is there"), "{said}");
    fs::rename(&two.away, two.place.data()).expect("renamed");
    let node = two.place.start();
    let mut peer = Peer::connect(node.address());
    for partition in 0..PARTITIONS {
        assert_eq!(produce(&mut peer, partition), (ErrorCode::None, 1));
    }
    node.stop();
}
