//! The limits of connections that the configuration sets.

use std::time::{Duration, Instant};

use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::records::BatchOptions;

use crate::healthy::Healthy;
use crate::node::{PATIENCE, Place};
use crate::wire::{PRODUCE_VERSION, Peer, batch, frame, produce_request};

fn is_served(peer: &mut Peer) -> bool {
    peer.send(&frame(0, &ApiVersionsRequest::default()));
    peer.answer().is_some()
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let mut place = Place::new();
    place.set("max.connections.per.ip", "1");
    place.set("max.connections.per.ip.overrides", "127.0.0.1:3");
    let node = place.start();
    let mut peers: Vec<_> = (0..3).map(|_| Peer::connect(node.address())).collect();
    assert!(peers.iter_mut().all(is_served));
    for _ in 0..20 {
        assert!(!is_served(&mut Peer::connect(node.address())));
    }
    drop(peers);
    let deadline = Instant::now() + PATIENCE;
    while !is_served(&mut Peer::connect(node.address())) {
        assert!(Instant::now() < deadline, "the address gets no room back");
        std::thread::sleep(Duration::from_millis(10));
    }
    let said = node.said();
    assert!(said.contains("127.0.0.1 has 3 connections, 3 are allowed"), "{said}");
    // The flood is not written down line by line.
    assert!(said.lines().count() < 20, "{said}");
    node.stop();
}

#[test]
fn a_full_node_serves_the_next_one_when_another_leaves() {
    let mut place = Place::new();
    place.set("max.connections", "2");
    let node = place.start();
    let mut peers: Vec<_> = (0..2).map(|_| Peer::connect(node.address())).collect();
    assert!(peers.iter_mut().all(is_served));
    // The operating system connects; the node accepts only when there is room.
    let mut waiting = Peer::connect(node.address());
    waiting.send(&frame(0, &ApiVersionsRequest::default()));
    assert!(waiting.is_silent_for(Duration::from_millis(300)));
    drop(peers.pop());
    assert!(waiting.answer().is_some());
    node.stop();
}

#[test]
fn a_malformed_limit_is_one_sentence() {
    let mut place = Place::new();
    place.set("max.connections.per.ip.overrides", "localhost");
    let said = place.refused();
    assert!(said.contains("max.connections.per.ip.overrides"), "{said}");
    assert!(!place.data().exists());
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let mut place = Place::new();
    place.set("connections.max.idle.ms", "1000");
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let mut idle = Peer::connect(node.address());
    assert!(is_served(&mut idle));
    assert!(idle.is_refused());
    // Nothing for the operator to do about it.
    assert!(!node.said().contains("idle"));
    healthy.finish();
    node.stop();
}

#[test]
fn a_request_that_is_never_finished_ends_its_connection() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let request = frame(PRODUCE_VERSION, &produce_request("healthy", 0, &[0; 100]));
    let mut peer = Peer::connect(node.address());
    peer.send(&request[..request.len() - 1]);
    assert!(peer.is_refused());
    let said = node.said();
    assert!(said.contains("a request was not whole 30000 ms after its begin"), "{said}");
    healthy.finish();
    node.stop();
}

/// Several requests that are larger together than what the node may hold: each gets its turn.
#[test]
fn requests_above_the_budget_take_turns() {
    const PEERS: i64 = 12;
    let mut place = Place::new();
    place.set("queued.max.request.bytes", "1048576");
    let node = place.start();
    let mut first = Peer::connect(node.address());
    first.create_topic("large", 1, &[("max.message.bytes", "4194304")]);
    let address = node.address();
    let before = node.resident_bytes();
    let value = batch(BatchOptions::default(), &[vec![b'x'; 3 << 20]]);
    let request = frame(PRODUCE_VERSION, &produce_request("large", 0, &value));
    // All begin; none is whole when the budget is used up.
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(address)).collect();
    for peer in &mut peers {
        peer.send(&request[..200_000]);
    }
    std::thread::sleep(Duration::from_millis(100));
    let grown = node.resident_bytes().saturating_sub(before);
    println!("{grown} bytes for {PEERS} requests that have begun");
    let threads: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            let rest = request[200_000..].to_vec();
            std::thread::spawn(move || {
                peer.send(&rest);
                assert!(peer.answer().is_some());
            })
        })
        .collect();
    // Small requests pass all the while.
    assert!(is_served(&mut Peer::connect(address)));
    for thread in threads {
        thread.join().expect("it was answered");
    }
    let (_, high_watermark) = first.fetch("large", 0, 0);
    assert_eq!(high_watermark, PEERS);
    node.stop();
}
