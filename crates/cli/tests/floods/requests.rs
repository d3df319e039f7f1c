//! Few connections that want very much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use strom_protocol::compression::{Codec, compress};
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::records::{
    ATTRIBUTES_OFFSET, BatchOptions, HEADER_LENGTH, LENGTH_OFFSET, LOG_OVERHEAD, refresh_crc,
};
use strom_protocol::{ErrorCode, Records};

use crate::flood::{Flood, Nodes};
use crate::wire::{PRODUCE_VERSION, batch, frame};

const HELD_BYTES_MAX: u64 = 96 << 20;
const CLIENTS: usize = 4;
const MIB: usize = 1 << 20;

/// Values whose batch is small, and unfolds to much.
pub(crate) struct Bomb {
    what: &'static str,
    values: Vec<Vec<u8>>,
}

pub(crate) fn one_large_record() -> Bomb {
    Bomb { what: "a large record", values: vec![vec![0; 15 * MIB]] }
}

/// Each of them is looked at.
fn many_small_records() -> Bomb {
    Bomb { what: "small records", values: vec![vec![0]; 200_000] }
}

impl Bomb {
    pub(crate) fn folded(&self) -> Vec<u8> {
        let mut bytes = batch(BatchOptions::default(), &self.values);
        let body = bytes.split_off(HEADER_LENGTH);
        compress(Codec::Zstd, None, &body, &mut bytes).expect("compresses");
        bytes[ATTRIBUTES_OFFSET + 1] |= Codec::Zstd.id() as u8;
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        bytes[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&length.to_be_bytes());
        refresh_crc(&mut bytes);
        bytes
    }
}

/// One request with the same batch for so many partitions.
pub(crate) fn records_for(topic: &str, partitions: i32, batch: &[u8]) -> Vec<u8> {
    let part = |index| PartitionProduceData {
        index,
        records: Some(Records::Inline(batch)),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: topic,
        partition_data: (0..partitions).map(part).collect(),
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    frame(PRODUCE_VERSION, &request)
}

/// A request with so many bombs, to topics where the node looks at every record, over and over, by clients who each
/// send so many ahead; how long each takes of the node.
fn bombs(
    nodes: &mut Nodes,
    (clients, ahead): (usize, usize),
    partitions: i32,
    bomb: &Bomb,
) -> Duration {
    let request = records_for("bombs", partitions, &bomb.folded());
    let what = format!(
        "{partitions} times {} in {} bytes, by {clients} who send {ahead} ahead",
        bomb.what,
        request.len()
    );
    let started = Instant::now();
    let clients = (0..clients).map(|_| {
        let mut peer = nodes.connect();
        (0..ahead).for_each(|_| peer.send(&request));
        peer
    });
    let flood = Flood::of(clients.collect(), move |peer| {
        peer.send(&request);
        assert!(peer.answer().is_some());
    });
    nodes.assert_served(&what, HELD_BYTES_MAX);
    let each = started.elapsed() / flood.end() as u32;
    println!("{what}: the request takes {each:?}");
    each
}

fn bombed_nodes(partitions: i32) -> Nodes {
    let nodes = Nodes::start();
    let compacted = [("cleanup.policy", "compact")];
    assert_eq!(nodes.connect().create_topic("bombs", partitions, &compacted), ErrorCode::None);
    nodes
}

/// A few hundred bytes may unfold to 16 MiB: so may the request that has very many of them.
#[test]
fn a_request_of_many_bombs_takes_no_longer_than_one_of_one() {
    const BOMBS: i32 = 100;
    let mut nodes = bombed_nodes(BOMBS);
    let one = bombs(&mut nodes, (1, 0), 1, &one_large_record());
    let many = bombs(&mut nodes, (1, 0), BOMBS, &one_large_record());
    assert!(many < one * 10, "{many:?} for {BOMBS}, {one:?} for one");
    nodes.stop();
}

#[test]
fn bombs_of_small_records() {
    let mut nodes = bombed_nodes(1);
    bombs(&mut nodes, (4, 20), 1, &many_small_records());
    nodes.stop();
}

#[test]
fn pipelines_without_end() {
    const AT_A_TIME: usize = 200;
    let mut nodes = Nodes::start();
    for index in 0..50 {
        nodes.connect().create_topic(&format!("topic-{index}"), 4, &[]);
    }
    let request = frame(12, &MetadataRequest { topics: None, ..Default::default() });
    let requests = request.repeat(AT_A_TIME);
    let clients = (0..CLIENTS).map(|_| nodes.connect()).collect();
    let flood = Flood::of(clients, move |peer| {
        peer.send(&requests);
        (0..AT_A_TIME).for_each(|_| assert!(peer.answer().is_some()));
    });
    nodes.assert_served("pipelines", HELD_BYTES_MAX);
    flood.end();
    nodes.stop();
}

#[test]
fn clients_that_never_read() {
    const CLIENTS: usize = 50;
    let mut nodes = Nodes::start();
    for index in 0..50 {
        nodes.connect().create_topic(&format!("topic-{index}"), 4, &[]);
    }
    let requests = frame(12, &MetadataRequest { topics: None, ..Default::default() }).repeat(500);
    let address = nodes.node().address();
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let stream = TcpStream::connect(address).expect("the node listens");
            stream.set_nonblocking(true).expect("a socket");
            stream
        })
        .collect();
    let flood = Flood::of(vec![clients], move |clients| {
        for stream in &mut *clients {
            // What the node does not take waits with the sender.
            let _ = stream.write(&requests);
        }
        std::thread::sleep(Duration::from_millis(10));
    });
    nodes.assert_served("nobody reads", HELD_BYTES_MAX);
    flood.end();
    let mut first = TcpStream::connect(address).expect("the node listens");
    first.write_all(&frame(12, &MetadataRequest::default())).expect("sent");
    first.read_exact(&mut [0; 4]).expect("an answer");
    nodes.stop();
}
