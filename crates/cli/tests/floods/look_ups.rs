//! Look-ups by time through records whose headers claim what they do not hold.

use strom_protocol::ErrorCode;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::records::{BatchOptions, refresh_crc};

use crate::flood::{Flood, Nodes};
use crate::requests::{one_large_record, records_for};
use crate::wire::{batch, frame};

const HELD_BYTES_MAX: u64 = 160 << 20;
const LIST_OFFSETS_VERSION: i16 = 7;
const MAX_TIMESTAMP_AT: usize = 35;
const BATCHES: usize = 50;
const CLIENTS: usize = 4;
const AHEAD: usize = 20;

/// Claims a record of a minute later, and tells that time.
fn claiming(mut batch: Vec<u8>) -> (Vec<u8>, i64) {
    let claim = batch[MAX_TIMESTAMP_AT..].first_chunk_mut::<8>().expect("a header");
    let timestamp = i64::from_be_bytes(*claim) + 60_000;
    *claim = timestamp.to_be_bytes();
    refresh_crc(&mut batch);
    (batch, timestamp)
}

/// Looks such a time up over and over, in a partition that is there and in many that are not.
fn look_ups(what: &str, batch: Vec<u8>, partitions: i32) {
    let mut nodes = Nodes::start();
    assert_eq!(nodes.connect().create_topic("times", 1, &[]), ErrorCode::None);
    let (batch, timestamp) = claiming(batch);
    let mut peer = nodes.connect();
    for _ in 0..BATCHES {
        peer.send(&records_for("times", 1, &batch));
        assert!(peer.answer().is_some());
    }
    let part = |partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp,
        ..Default::default()
    };
    let partitions = (0..partitions).map(part).collect();
    let topics = vec![ListOffsetsTopic { name: "times", partitions, ..Default::default() }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let request = frame(LIST_OFFSETS_VERSION, &request);
    let clients = (0..CLIENTS).map(|_| {
        let mut peer = nodes.connect();
        (0..AHEAD).for_each(|_| peer.send(&request));
        peer
    });
    let flood = Flood::of(clients.collect(), move |peer| {
        peer.send(&request);
        assert!(peer.answer().is_some());
    });
    nodes.assert_served(what, HELD_BYTES_MAX);
    flood.end();
    nodes.stop();
}

#[test]
fn times_that_no_record_has() {
    look_ups("look-ups through bombs", one_large_record().folded(), 1);
}

#[test]
fn times_in_partitions_that_are_not_there() {
    let short = batch(BatchOptions::default(), &[vec![0; 100_000]]);
    look_ups("look-ups in many partitions", short, 2_000);
}
