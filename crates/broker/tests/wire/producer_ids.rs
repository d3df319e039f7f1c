//! Ids of producers, given out by the block.

use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::{ApiKey, Message};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;

const BLOCK: i64 = 1000;

fn next_id(node: &mut Node) -> i64 {
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let bytes = node.send(ApiKey::InitProducerId, 4, &request).expect("an answer");
    let response = InitProducerIdResponse::from_bytes(&bytes, 4).expect("decodes");
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    response.producer_id
}

#[test]
fn each_id_is_given_out_once_and_a_start_begins_a_block() {
    let mut node = Node::start(MemoryDisk::default());
    for id in 0..=BLOCK {
        assert_eq!(next_id(&mut node), id);
    }
    let mut node = Node::start(node.kill());
    assert_eq!(next_id(&mut node), 2 * BLOCK);
}
