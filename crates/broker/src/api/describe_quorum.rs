//! DescribeQuorum: the voters of the metadata log and how far each has come (KIP-595, KIP-836).

use strom_base::Uuid;
use strom_protocol::describe_quorum_request::DescribeQuorumRequest;
use strom_protocol::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use strom_protocol::{ErrorCode, Message, Reader};
use strom_raft::{Raft, Voter};

use crate::Broker;
use crate::api::{Handled, UNKNOWN_PARTITION};
use crate::boot::metadata_log::TOPIC as METADATA_TOPIC;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

/// Since this version (KIP-853) voters have directory ids and nodes have listeners.
const FIRST_VERSION_WITH_NODES: i16 = 2;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DescribeQuorumRequest::decode(reader, call.version())?;
    let is_metadata = matches!(
        wire.topics.as_slice(),
        [topic] if topic.topic_name == METADATA_TOPIC
            && matches!(topic.partitions.as_slice(), [only] if only.partition_index == 0)
    );
    let has_nodes = call.version() >= FIRST_VERSION_WITH_NODES;
    let mut response = DescribeQuorumResponse { error_message: None, ..Default::default() };
    if is_metadata {
        let partitions = vec![quorum(broker, turn.now.wall_ms, has_nodes)];
        let topic_name = METADATA_TOPIC;
        response.topics.push(TopicData { topic_name, partitions, ..Default::default() });
        if has_nodes {
            let raft = broker.metadata.raft();
            response.nodes = raft.voters().0.iter().map(|voter| node(raft, voter)).collect();
        }
    } else {
        response.topics = wire
            .topics
            .iter()
            .map(|topic| TopicData {
                topic_name: topic.topic_name,
                partitions: topic.partitions.iter().map(|it| unknown(it.partition_index)).collect(),
                ..Default::default()
            })
            .collect();
    }
    Ok(call.reply(&response)?.into())
}

/// Where a voter is reached; this node knows that of itself also when the voters have only ids.
fn node<'a>(raft: &'a Raft, voter: &'a Voter) -> Node<'a> {
    let is_own = voter.endpoints.is_empty() && voter.id == raft.node_id();
    let endpoints = if is_own { raft.endpoints() } else { &voter.endpoints };
    let listeners = endpoints.iter().map(|endpoint| Listener {
        name: &endpoint.name,
        host: &endpoint.host,
        port: endpoint.port,
        ..Default::default()
    });
    Node { node_id: voter.id, listeners: listeners.collect(), ..Default::default() }
}

fn unknown<'a>(partition_index: i32) -> PartitionData<'a> {
    PartitionData {
        partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some(UNKNOWN_PARTITION),
        ..Default::default()
    }
}

/// The leader, which we are, has always caught up with itself.
fn quorum<'a>(broker: &Broker, now_ms: i64, has_nodes: bool) -> PartitionData<'a> {
    let raft = broker.metadata.raft();
    let leader = ReplicaState {
        replica_id: raft.node_id(),
        replica_directory_id: if has_nodes { raft.directory_id() } else { Uuid::ZERO },
        log_end_offset: raft.log_end_offset(),
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..Default::default()
    };
    PartitionData {
        partition_index: 0,
        error_message: None,
        leader_id: raft.leader_id(),
        leader_epoch: raft.epoch(),
        high_watermark: raft.high_watermark(),
        current_voters: vec![leader],
        ..Default::default()
    }
}
