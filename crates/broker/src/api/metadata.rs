//! Metadata: brokers, topics, partitions and their leaders; creates topics that a client names first.

use std::collections::BTreeSet;

use strom_base::Uuid;
use strom_metadata::image::{Partition, Topic};
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use strom_protocol::{ErrorCode, Message, Reader};

use super::Handled;
use crate::Broker;
use crate::authorized_operations::{CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS};
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let version = call.version();
    let request = MetadataRequest::decode(reader, version)?;
    let may_create = (version < 4 || request.allow_auto_topic_creation)
        && broker.settings.node.topics.auto_create_enable;
    if may_create
        && let Some(topics) = &request.topics
        && let Some(offset) = create_missing(broker, turn, topics.iter().filter_map(|t| t.name))
    {
        return Ok(Handled::AfterCommit(offset));
    }
    let listener = broker.listener_of(call.address.to.connection);
    let image = broker.metadata.image();
    let mut response = MetadataResponse {
        cluster_id: Some(&broker.identity.cluster_id),
        controller_id: broker.controller_id(),
        cluster_authorized_operations: NOT_ASKED,
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    for (node_id, endpoint, rack) in broker.alive_brokers(&listener) {
        response.brokers.push(MetadataResponseBroker {
            node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack,
            ..Default::default()
        });
    }
    let operations =
        if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NOT_ASKED };
    match &request.topics {
        // Before version 1 an empty list stood for all topics.
        Some(topics) if version > 0 || !topics.is_empty() => {
            // Named often, described once, as by Apache Kafka: an answer is no larger than all topics
            // and the request together.
            let mut named = BTreeSet::new();
            for wanted in topics.iter().filter(|it| named.insert((it.name, it.topic_id))) {
                response.topics.push(describe_wanted(
                    broker,
                    (wanted.name, wanted.topic_id),
                    may_create,
                    operations,
                ));
            }
        }
        _ => {
            response.topics =
                image.topics.iter().map(|topic| describe(broker, topic, operations)).collect();
        }
    }
    Ok(call.reply(&response)?.into())
}

/// Asks the controller for topics that are not there; the offset to await, if any was asked for.
fn create_missing<'a>(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    names: impl Iterator<Item = &'a str>,
) -> Option<i64> {
    let missing: Vec<&str> =
        names.filter(|name| broker.metadata.image().topics.by_name(name).is_none()).collect();
    if missing.is_empty() { None } else { broker.create_topics_by_default(turn, &missing) }
}

fn describe_wanted<'a>(
    broker: &'a Broker,
    (name, id): (Option<&'a str>, Uuid),
    may_create: bool,
    operations: i32,
) -> MetadataResponseTopic<'a> {
    let topics = &broker.metadata.image().topics;
    let found = match name {
        Some(name) => topics.by_name(name),
        None => topics.by_id(id),
    };
    if let Some(topic) = found {
        return describe(broker, topic, operations);
    }
    let error = match name {
        None => ErrorCode::UnknownTopicId,
        Some(name) if !strom_metadata::topic_name::is_valid(name) => {
            ErrorCode::InvalidTopicException
        }
        // Creation was tried and refused, so there is no hope in asking again soon.
        Some(name) if may_create && !broker.is_internal_topic(name) => {
            ErrorCode::InvalidReplicationFactor
        }
        Some(_) => ErrorCode::UnknownTopicOrPartition,
    };
    MetadataResponseTopic {
        error_code: error.code(),
        name,
        topic_id: id,
        topic_authorized_operations: NOT_ASKED,
        ..Default::default()
    }
}

fn describe<'a>(
    broker: &'a Broker,
    topic: &'a Topic,
    operations: i32,
) -> MetadataResponseTopic<'a> {
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: broker.is_internal_topic(&topic.name),
        partitions: topic
            .partitions
            .iter()
            .enumerate()
            .map(|(index, partition)| describe_partition(broker, index as i32, partition))
            .collect(),
        topic_authorized_operations: operations,
        ..Default::default()
    }
}

fn describe_partition<'a>(
    broker: &Broker,
    partition_index: i32,
    partition: &Partition,
) -> MetadataResponsePartition<'a> {
    let is_offline = |id: &i32| !broker.is_online(*id, partition);
    let error = if partition.leader < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr.to_vec(),
        offline_replicas: partition.replicas.iter().copied().filter(is_offline).collect(),
        ..Default::default()
    }
}
