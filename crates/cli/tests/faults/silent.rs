//! Requests that get no answer (acks=0), of which a connection may have so many under way.

use strom_protocol::ErrorCode;
use strom_protocol::produce_request::ProduceRequest;
use strom_protocol::records::BatchOptions;

use crate::node::Place;
use crate::wire::{PRODUCE_VERSION, Peer, batch, frame, produce_request};

#[test]
fn they_go_on_when_what_they_wait_for_is_synced() {
    const REQUESTS: usize = 1000;
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    let synced = [("flush.messages", "1")];
    assert_eq!(peer.create_topic("synced", 1, &synced), ErrorCode::None);
    let one = batch(BatchOptions::default(), &[b"v".to_vec()]);
    assert_eq!(peer.produce("synced", 0, &one).map(|it| it.base_offset), Some(0));
    let request = ProduceRequest { acks: 0, ..produce_request("synced", 0, &one) };
    // Many times what may be under way: the rest is read as the first are done.
    peer.send(&frame(PRODUCE_VERSION, &request).repeat(REQUESTS));
    let last = peer.produce("synced", 0, &one);
    assert_eq!(last.map(|it| it.base_offset), Some(REQUESTS as i64 + 1));
    node.stop();
}
