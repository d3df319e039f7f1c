//! DescribeTopicPartitions: topics page by page, with eligible leader replicas (KIP-966).

use std::collections::BTreeSet;

use strom_metadata::image::{Partition, Topic};
use strom_protocol::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use strom_protocol::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::authorized_operations::TOPIC_OPERATIONS;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DescribeTopicPartitionsRequest::decode(reader, call.version())?;
    let cursor = wire.cursor.as_ref().map(|cursor| (cursor.topic_name, cursor.partition_index));
    if let Some((topic, index)) = cursor
        && index < 0
    {
        return Err(RequestError::Refused(format!(
            "DescribeTopicPartitionsRequest cursor partition must be valid: {topic}-{index}"
        )));
    }
    let all = wire.topics.is_empty();
    let mut names: BTreeSet<&str> = if all {
        broker.metadata.image().topics.iter().map(|topic| &*topic.name).collect()
    } else {
        wire.topics.iter().map(|topic| topic.name).collect()
    };
    if let Some((from, _)) = cursor {
        names = names.split_off(from);
    }
    let most = broker.settings.node.topics.max_request_partition_size_limit;
    let limit = wire.response_partition_limit.min(most).max(1).unsigned_abs() as usize;
    let page = Page { broker, names, cursor, limit };
    Ok(call.reply(&page.response())?.into())
}

/// One page of an answer.
struct Page<'a> {
    broker: &'a Broker,
    names: BTreeSet<&'a str>,
    cursor: Option<(&'a str, i32)>,
    limit: usize,
}

impl Page<'_> {
    fn response(&self) -> DescribeTopicPartitionsResponse<'_> {
        let mut response = DescribeTopicPartitionsResponse::default();
        let mut left = self.limit;
        for name in &self.names {
            if left == 0 {
                response.next_cursor = Some(cursor(name, 0));
                break;
            }
            let Some(topic) = self.broker.metadata.image().topics.by_name(name) else {
                response.topics.push(unknown_topic(name));
                continue;
            };
            let first = self.cursor.filter(|(from, _)| from == name).map_or(0, |(_, index)| index);
            let mut rest = (0_i32..).zip(&topic.partitions).skip(first.max(0) as usize);
            let partitions: Vec<_> = rest
                .by_ref()
                .take(left)
                .map(|(index, state)| partition(self.broker, index, state))
                .collect();
            left -= partitions.len();
            response.topics.push(described(self.broker, topic, partitions));
            if let Some((next, _)) = rest.next() {
                response.next_cursor = Some(cursor(name, next));
                break;
            }
        }
        response
    }
}

fn cursor(topic_name: &str, partition_index: i32) -> Cursor<'_> {
    Cursor { topic_name, partition_index, ..Default::default() }
}

fn unknown_topic(name: &str) -> DescribeTopicPartitionsResponseTopic<'_> {
    let error = if strom_metadata::topic_name::is_valid(name) {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::InvalidTopicException
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn described<'a>(
    broker: &Broker,
    topic: &'a Topic,
    partitions: Vec<DescribeTopicPartitionsResponsePartition<'a>>,
) -> DescribeTopicPartitionsResponseTopic<'a> {
    DescribeTopicPartitionsResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: broker.is_internal_topic(&topic.name),
        partitions,
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn partition<'a>(
    broker: &Broker,
    partition_index: i32,
    state: &Partition,
) -> DescribeTopicPartitionsResponsePartition<'a> {
    let is_offline = |id: &i32| !broker.is_online(*id, state);
    DescribeTopicPartitionsResponsePartition {
        error_code: if state.leader < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None }
            .code(),
        partition_index,
        leader_id: state.leader,
        leader_epoch: state.leader_epoch,
        replica_nodes: state.replicas.to_vec(),
        isr_nodes: state.isr.to_vec(),
        eligible_leader_replicas: Some(state.eligible_leaders.to_vec()),
        last_known_elr: Some(state.last_known_eligible.to_vec()),
        offline_replicas: state.replicas.iter().copied().filter(is_offline).collect(),
        ..Default::default()
    }
}
