//! The limits of connections that the configuration sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use strom_protocol::records::BatchOptions;

use crate::healthy::Healthy;
use crate::node::{Node, PATIENCE, Place};
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

/// Whatever number of requests a turn takes, one of these bursts has as many.
#[test]
fn bursts_of_any_number_of_requests_are_answered_and_the_node_goes_on() {
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    let request = frame(0, &ApiVersionsRequest::default());
    for count in 1..=130 {
        peer.send(&request.repeat(count));
        for _ in 0..count {
            assert!(peer.answer().is_some(), "{count}");
        }
    }
    assert!(is_served(&mut Peer::connect(node.address())));
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

/// Sets a key for all brokers, from a connection of its own.
fn set_for_all(node: &Node, key: &str, value: &str) {
    let config = AlterableConfig { name: key, value: Some(value), ..Default::default() };
    let resource =
        AlterConfigsResource { resource_type: 4, configs: vec![config], ..Default::default() };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let mut peer = Peer::connect(node.address());
    peer.send(&frame(1, &request));
    assert!(peer.answer().is_some(), "{key}={value}");
}

#[test]
fn a_limit_that_is_changed_while_the_node_runs_is_obeyed_at_once_and_after_a_restart() {
    let place = Place::new();
    let node = place.start();
    let mut first = Peer::connect(node.address());
    assert!(is_served(&mut first));
    set_for_all(&node, "max.connections", "1");
    let mut waiting = Peer::connect(node.address());
    waiting.send(&frame(0, &ApiVersionsRequest::default()));
    assert!(waiting.is_silent_for(Duration::from_millis(300)));
    assert!(is_served(&mut first), "who is connected stays");
    drop(first);
    assert!(waiting.answer().is_some());
    drop(waiting);
    node.stop();
    let node = place.start();
    let mut first = Peer::connect(node.address());
    assert!(is_served(&mut first));
    let mut waiting = Peer::connect(node.address());
    waiting.send(&frame(0, &ApiVersionsRequest::default()));
    assert!(waiting.is_silent_for(Duration::from_millis(300)));
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
    let before = node.anonymous_bytes();
    let value = batch(BatchOptions::default(), &[vec![b'x'; 3 << 20]]);
    let request = frame(PRODUCE_VERSION, &produce_request("large", 0, &value));
    // All but the last byte of each is sent as far as the node takes it: more than 36 MB together.
    let (end, mut threads) = (Arc::new(AtomicBool::new(false)), Vec::new());
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(address)).collect();
    peers.iter_mut().for_each(|peer| peer.send(&request[..200_000]));
    for mut peer in peers {
        let (rest, end) = (request[200_000..].to_vec(), Arc::clone(&end));
        threads.push(std::thread::spawn(move || {
            let (last, rest) = rest.split_last().expect("a long request");
            peer.send(rest);
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            peer.send(&[*last]);
            assert!(peer.answer().is_some());
        }));
    }
    let mut largest = 0;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        largest = largest.max(node.anonymous_bytes().saturating_sub(before));
    }
    println!("{largest} bytes for {PEERS} requests that have begun");
    // The budget, and for each thread with connections a request and as much again for how buffers grow.
    let network_threads: u64 = crate::NETWORK_THREADS.parse().expect("a number");
    let most = (4 << 20) + network_threads.max(1) * (6 << 20);
    assert!(largest < most, "{largest}");
    // Small requests pass all the while.
    assert!(is_served(&mut Peer::connect(address)));
    end.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("it was answered");
    }
    let (_, high_watermark) = first.fetch("large", 0, 0);
    assert_eq!(high_watermark, PEERS);
    node.stop();
}
