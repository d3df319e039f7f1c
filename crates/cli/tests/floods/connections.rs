//! Very many connections that want little.

use std::time::Duration;

use strom_protocol::api_versions_request::ApiVersionsRequest;

use crate::flood::{Flood, Nodes, crowd_size, spread};
use crate::wire::{PRODUCE_VERSION, Peer, frame, produce_request};

/// What a connection may make the node hold that has sent nothing, and one that has begun a request.
const IDLE_BYTES_MAX: u64 = 4 << 10;
const BEGUN_BYTES_MAX: u64 = 16 << 10;
/// What the node holds for its own work, whatever comes.
const OWN_BYTES: u64 = 32 << 20;

fn crowd(nodes: &Nodes) -> Vec<Peer> {
    (0..crowd_size()).map(|_| nodes.connect()).collect()
}

#[test]
fn connections_that_say_nothing() {
    let mut nodes = Nodes::start();
    let crowd = crowd(&nodes);
    let most = OWN_BYTES + crowd.len() as u64 * IDLE_BYTES_MAX;
    nodes.assert_served("idle", most);
    drop(crowd);
    nodes.assert_served("after they have gone", OWN_BYTES);
    nodes.stop();
}

#[test]
fn connections_that_come_and_go() {
    let mut nodes = Nodes::start();
    let address = nodes.node().address();
    // Each leaves a port behind for a minute: there are some thousands of them.
    let flood = Flood::of(vec![(); 2], move |()| {
        let mut peers: Vec<_> = (0..20).map(|_| Peer::connect(address)).collect();
        spread(&mut peers, Duration::from_millis(40), |peer| peer.send(&[0, 0]));
    });
    nodes.assert_served("coming and going", OWN_BYTES);
    flood.end();
    nodes.stop();
}

#[test]
fn requests_that_come_byte_by_byte() {
    let mut nodes = Nodes::start();
    let crowd = crowd(&nodes);
    let most = OWN_BYTES + crowd.len() as u64 * BEGUN_BYTES_MAX;
    let request = frame(0, &ApiVersionsRequest::default());
    let sent = vec![(crowd, 0)];
    let flood = Flood::of(sent, move |(crowd, at)| {
        // The last byte never comes.
        let byte = request[*at % (request.len() - 1)];
        spread(crowd, Duration::from_secs(1), |peer| peer.send(&[byte]));
        *at += 1;
    });
    nodes.assert_served("slowloris", most);
    flood.end();
    nodes.stop();
}

#[test]
fn requests_that_claim_to_be_giant() {
    let mut nodes = Nodes::start();
    let mut begun = frame(PRODUCE_VERSION, &produce_request("ordinary", 0, &[0; 1000]));
    begun[..4].copy_from_slice(&(100_i32 << 20).to_be_bytes());
    let mut crowd = crowd(&nodes);
    crowd.iter_mut().for_each(|peer| peer.send(&begun));
    nodes.assert_served("giant claims", OWN_BYTES + crowd.len() as u64 * BEGUN_BYTES_MAX);
    nodes.stop();
}
