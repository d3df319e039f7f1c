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

/// A batch of one record whose small body unfolds to so much.
fn bomb(codec: Codec, unfolded_bytes: usize) -> Vec<u8> {
    let mut bytes = batch(BatchOptions::default(), &[vec![0; unfolded_bytes]]);
    let body = bytes.split_off(HEADER_LENGTH);
    compress(codec, None, &body, &mut bytes).expect("compresses");
    bytes[ATTRIBUTES_OFFSET + 1] |= codec.id() as u8;
    let length = (bytes.len() - LOG_OVERHEAD) as i32;
    bytes[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&length.to_be_bytes());
    refresh_crc(&mut bytes);
    bytes
}

/// One request with the same batch for so many partitions.
fn for_partitions(topic: &str, partitions: i32, batch: &[u8]) -> Vec<u8> {
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

/// A request with so many bombs, to topics where the node looks at every record, over and over; how long
/// each takes of the node, and an ordinary client's time beside it is printed.
fn bombs(nodes: &mut Nodes, partitions: i32, codec: Codec) -> Duration {
    let request = for_partitions("bombs", partitions, &bomb(codec, 15 * MIB));
    println!("{partitions} bombs in a request of {} bytes", request.len());
    let started = Instant::now();
    let flood = Flood::of(vec![nodes.connect()], move |peer| {
        peer.send(&request);
        assert!(peer.answer().is_some());
    });
    nodes.assert_held("bombs", HELD_BYTES_MAX);
    started.elapsed() / flood.end() as u32
}

/// A few hundred bytes may unfold to 16 MiB: so may the request that has very many of them.
#[test]
fn a_request_of_many_bombs_takes_no_longer_than_one_of_one() {
    const BOMBS: i32 = 100;
    let mut nodes = Nodes::start();
    let compacted = [("cleanup.policy", "compact")];
    assert_eq!(nodes.connect().create_topic("bombs", BOMBS, &compacted), ErrorCode::None);
    let one = bombs(&mut nodes, 1, Codec::Zstd);
    let many = bombs(&mut nodes, BOMBS, Codec::Zstd);
    println!("a request of one bomb takes {one:?}, of {BOMBS} {many:?}");
    assert!(many < one * 10, "{many:?} for {BOMBS}, {one:?} for one");
    nodes.stop();
}

/// Here the node is busy all the time, and so is the machine with those who send: what is asserted is
/// that nobody waits behind a pipeline. The slowest hundredth is printed.
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
    let started = Instant::now();
    let ordinary = nodes.assert_held("pipelines", HELD_BYTES_MAX);
    // Each client's time for its pipeline: who had to wait behind all of them would take as long.
    let pipelines = started.elapsed() * CLIENTS as u32 / flood.end().max(1) as u32;
    println!("pipelines: the middle request took {ordinary:?}, a pipeline {pipelines:?}");
    assert!(ordinary * 5 < pipelines);
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
