//! Frames of ours read and written again by the crate kafka-protocol give the same bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use strom_base::Random;
use strom_protocol::sample::{Kind, kinds};

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

fn kind_of<'k>(kinds: &'k [Kind], name: &str) -> &'k Kind {
    kinds.iter().find(|kind| kind.name() == name).expect("a schema of this name")
}

#[test]
fn another_implementation_reads_and_writes_the_same_bytes() {
    let kinds = kinds();
    let mut compared = 0;
    for other in others() {
        let kind = kind_of(&kinds, other.name);
        let versions = kind.versions();
        let low = other.versions.0.max(versions.0);
        let high = other.versions.1.min(versions.1);
        for version in low..=high {
            for seed in 0..6 {
                let sample = kind.sample(version, &mut Random::new(50 + seed));
                let place = format!("{} version {version} seed {seed}", other.name);
                let again = (other.round_trip)(&sample, version);
                assert_eq!(again.as_deref(), Ok(&sample[..]), "{place}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} frames were compared");
}
