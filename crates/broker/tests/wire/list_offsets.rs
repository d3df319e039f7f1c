//! Offsets asked for by what they mean.

use strom_protocol::compression::Codec;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::{ApiKey, Message};

use crate::exchange::{Topic, batch, produce_request};
use crate::groups::topic_id;
use crate::memory_disk::MemoryDisk;
use crate::node::Node;
use crate::topics::create_topic;

#[test]
fn each_sentinel_is_answered_where_nothing_is_stored_remotely() {
    let mut node = Node::start(MemoryDisk::default());
    create_topic(&mut node, 7, "read");
    let topic = Topic { name: "read", id: topic_id(&mut node, "read") };
    let records = batch(Codec::None, b"value");
    node.send(ApiKey::Produce, 12, &produce_request(topic, &[(0, &records)])).expect("an answer");
    // Latest, earliest, of the largest timestamp, earliest local, last remote, first not uploaded.
    for (timestamp, offset) in [(-1, 1), (-2, 0), (-3, 0), (-4, 0), (-5, -1), (-6, -1)] {
        let partition = ListOffsetsPartition { timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic {
            name: topic.name,
            partitions: vec![partition],
            ..Default::default()
        }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let bytes = node.send(ApiKey::ListOffsets, 11, &request).expect("an answer");
        let response = ListOffsetsResponse::from_bytes(&bytes, 11).expect("decodes");
        let found = &response.topics[0].partitions[0];
        assert_eq!((found.error_code, found.offset), (0, offset), "{timestamp}");
    }
}
