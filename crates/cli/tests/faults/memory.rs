//! What strangers can make a node hold.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strom_protocol::metadata_request::MetadataRequest;

use crate::healthy::Healthy;
use crate::node::{Node, Place};
use crate::wire::{PRODUCE_VERSION, Peer, frame, produce_request};

const STRANGERS: u64 = 1000;
const STRANGER_BYTES_MAX: u64 = 64 << 10;
/// What the allocator takes for a thread that begins to work: huge pages of 2 MiB for some sizes.
const NETWORK_THREAD_BYTES: u64 = 10 << 20;

/// This process needs as many sockets as there are strangers.
fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a limit");
}

/// Connections that each send the same bytes and then nothing, and how much the node grew by each.
fn growth_by_each(node: &Node, bytes: &[u8]) -> u64 {
    // Memory of the node's own, taken at its first work, is not theirs.
    let healthy = Healthy::start(node.address());
    healthy.assert_served();
    let before = node.resident_bytes();
    let strangers: Vec<Peer> = (0..STRANGERS)
        .map(|_| {
            let mut peer = Peer::connect(node.address());
            peer.send(bytes);
            peer
        })
        .collect();
    // Another connection's answer comes after what was received before.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(50));
        healthy.assert_served();
    }
    let threads: u64 = crate::NETWORK_THREADS.parse().expect("a number");
    let beginning = before + threads * NETWORK_THREAD_BYTES;
    let grown = node.resident_bytes().saturating_sub(beginning);
    drop(strangers);
    healthy.finish();
    grown / STRANGERS
}

#[test]
fn a_claim_of_100_mb_holds_nothing() {
    raise_descriptors();
    let place = Place::new();
    let node = place.start();
    let by_each = growth_by_each(&node, &(100_i32 << 20).to_be_bytes());
    println!("{by_each} bytes by each connection that claims 100 MB");
    assert!(by_each < STRANGER_BYTES_MAX / 4, "{by_each}");
    node.stop();
}

#[test]
fn a_stranger_who_claims_a_request_holds_little_more_than_it_sent() {
    raise_descriptors();
    let place = Place::new();
    let node = place.start();
    let mut begun = frame(PRODUCE_VERSION, &produce_request("healthy", 0, &[0; 2000]));
    begun[..4].copy_from_slice(&(100_i32 << 20).to_be_bytes());
    let by_each = growth_by_each(&node, &begun);
    println!("{by_each} bytes by each connection that sent {} and claims 100 MB", begun.len());
    assert!(by_each < STRANGER_BYTES_MAX, "{by_each}");
    node.stop();
}

#[test]
fn garbage_behind_a_large_claim_is_refused_at_64_kib() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let mut peer = Peer::connect(node.address());
    peer.send(&(100_i32 << 20).to_be_bytes());
    // An API that does not exist.
    peer.send(&vec![0x7f; STRANGER_BYTES_MAX as usize]);
    assert!(peer.is_refused());
    healthy.finish();
    node.stop();
}

#[test]
fn who_does_not_read_its_answers_is_not_answered_for_ever() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    for index in 0..50 {
        Peer::connect(node.address()).create_topic(&format!("topic-{index}"), 4, &[]);
    }
    let before = node.resident_bytes();
    let request = frame(12, &MetadataRequest { topics: None, ..Default::default() });
    let many = request.repeat(20_000);
    let address = node.address();
    // The node stops reading at some time: this thread then stands until the node ends.
    let flood = std::thread::spawn(move || Peer::connect(address).send(&many));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(50));
        healthy.assert_served();
    }
    let grown = node.resident_bytes().saturating_sub(before);
    println!("{grown} bytes by 20,000 requests whose answers nobody reads");
    assert!(grown < 32 << 20, "{grown}");
    healthy.finish();
    node.stop();
    flood.join().expect("it ends with the node");
}
