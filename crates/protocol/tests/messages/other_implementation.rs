//! Frames of ours read and written again by the crate kafka-protocol give the same bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use crate::catalog::catalog;
use crate::sampler::frame;
use crate::schema::Schema;

struct Other {
    name: &'static str,
    versions: (i16, i16),
    round_trip: fn(&[u8], i16) -> Result<Bytes, String>,
}

macro_rules! others {
    ($($name:ident)*) => {
        [$(Other {
            name: stringify!($name),
            versions: (messages::$name::VERSIONS.min, messages::$name::VERSIONS.max),
            round_trip: |bytes, version| {
                let mut frame = Bytes::copy_from_slice(bytes);
                let message = messages::$name::decode(&mut frame, version)
                    .map_err(|error| error.to_string())?;
                let mut again = BytesMut::new();
                message.encode(&mut again, version).map_err(|error| error.to_string())?;
                Ok(again.freeze())
            },
        }),*]
    };
}

fn others() -> impl IntoIterator<Item = Other> {
    others![
        AddOffsetsToTxnRequest AddPartitionsToTxnRequest AlterConfigsRequest AlterPartitionRequest
        ApiVersionsRequest ApiVersionsResponse BrokerHeartbeatRequest BrokerRegistrationRequest
        ConsumerGroupDescribeResponse ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse
        CreateAclsRequest CreatePartitionsRequest CreateTopicsRequest CreateTopicsResponse
        DeleteGroupsResponse DeleteRecordsRequest DeleteTopicsRequest DescribeClusterResponse
        DescribeConfigsRequest DescribeConfigsResponse DescribeGroupsResponse
        DescribeLogDirsResponse DescribeTopicPartitionsResponse ElectLeadersRequest EndTxnRequest
        FetchRequest FetchResponse FindCoordinatorRequest FindCoordinatorResponse HeartbeatRequest
        IncrementalAlterConfigsRequest InitProducerIdRequest InitProducerIdResponse
        JoinGroupRequest JoinGroupResponse LeaveGroupRequest LeaveGroupResponse ListGroupsResponse
        ListOffsetsRequest ListOffsetsResponse MetadataRequest MetadataResponse
        OffsetCommitRequest OffsetCommitResponse OffsetDeleteRequest OffsetFetchRequest
        OffsetFetchResponse OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse
        ProduceRequest ProduceResponse RequestHeader ResponseHeader SaslAuthenticateResponse
        SaslHandshakeResponse ShareFetchResponse SyncGroupRequest SyncGroupResponse
        TxnOffsetCommitRequest UpdateFeaturesRequest VoteRequest VoteResponse
        WriteTxnMarkersRequest
    ]
}

fn schema_of<'c>(schemas: &'c [Schema], name: &str) -> &'c Schema {
    schemas.iter().find(|schema| schema.name == name).expect("a schema of this name")
}

#[test]
fn another_implementation_reads_and_writes_the_same_bytes() {
    let schemas: Vec<Schema> = catalog().into_iter().map(|(schema, _)| schema).collect();
    let mut compared = 0;
    for other in others() {
        let schema = schema_of(&schemas, other.name);
        let low = other.versions.0.max(schema.versions.low);
        let high = other.versions.1.min(schema.versions.high);
        for version in low..=high {
            for seed in 0..6 {
                let sample = frame(schema, version, 50 + seed);
                let place = format!("{} version {version} seed {seed}", other.name);
                let again = (other.round_trip)(&sample, version);
                assert_eq!(again.as_deref(), Ok(&sample[..]), "{place}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} frames were compared");
}
