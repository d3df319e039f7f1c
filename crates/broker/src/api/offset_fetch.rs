//! OffsetFetch: what groups committed. Older versions ask for one group, newer ones for several.

use std::borrow::Cow;

use strom_base::Uuid;
use strom_coordinator::Request;
use strom_coordinator::request::{FetchGroup, FetchTopic, OffsetFetchRequest as CoreRequest};
use strom_coordinator::response::{FetchedGroup, FetchedPartition};
use strom_protocol::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use strom_protocol::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::{Extra, RefusedTopic};

const FIRST_VERSION_WITH_GROUP_ERROR: i16 = 2;
/// KIP-709.
const FIRST_VERSION_WITH_GROUPS: i16 = 8;
/// Since this version topics are named by their ids only (KIP-848).
const FIRST_VERSION_WITH_IDS: i16 = 10;
const NO_OFFSET: i64 = -1;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = OffsetFetchRequest::decode(reader, call.version())?;
    let require_stable = wire.require_stable;
    if call.version() < FIRST_VERSION_WITH_GROUPS {
        let extra = match &wire.topics {
            Some(topics) if call.version() < FIRST_VERSION_WITH_GROUP_ERROR => {
                Extra::Requested(topics.iter().map(requested).collect())
            }
            _ => Extra::Nothing,
        };
        let topics = wire.topics.map(|topics| topics.into_iter().map(named_topic).collect());
        let groups = vec![FetchGroup { group_id: wire.group_id, topics }];
        let request = Request::OffsetFetch(CoreRequest { require_stable, groups });
        return Ok(broker.ask_groups(turn, call.address, extra, &request).into());
    }
    let names: Vec<Vec<_>> = wire
        .groups
        .iter()
        .map(|group| {
            let topics = group.topics.iter().flatten();
            topics.map(|topic| name_of(broker, call.version(), topic)).collect()
        })
        .collect();
    let (mut groups, mut refused) = (Vec::new(), Vec::new());
    for (group, names) in wire.groups.iter().zip(&names) {
        let mut refused_topics = Vec::new();
        let topics = group.topics.as_ref().map(|topics| {
            let resolved = topics.iter().zip(names).filter_map(|(topic, name)| {
                if name.is_none() {
                    refused_topics.push(refused_topic(topic));
                }
                Some(FetchTopic {
                    name: name.as_deref()?,
                    topic_id: topic.topic_id,
                    partitions: topic.partition_indexes.clone(),
                })
            });
            resolved.collect()
        });
        groups.push(FetchGroup { group_id: group.group_id, topics });
        refused.push(refused_topics);
    }
    let request = Request::OffsetFetch(CoreRequest { require_stable, groups });
    Ok(broker.ask_groups(turn, call.address, Extra::RefusedOfGroups(refused), &request).into())
}

fn named_topic(topic: OffsetFetchRequestTopic<'_>) -> FetchTopic<'_> {
    FetchTopic { name: topic.name, topic_id: Uuid::ZERO, partitions: topic.partition_indexes }
}

fn requested(topic: &OffsetFetchRequestTopic<'_>) -> RefusedTopic {
    RefusedTopic {
        name: topic.name.to_owned(),
        topic_id: Uuid::ZERO,
        error: ErrorCode::None,
        partitions: topic.partition_indexes.clone(),
    }
}

/// `None` for an id that is not known.
fn name_of<'a>(
    broker: &Broker,
    version: i16,
    topic: &OffsetFetchRequestTopics<'a>,
) -> Option<Cow<'a, str>> {
    if version < FIRST_VERSION_WITH_IDS {
        return Some(topic.name.into());
    }
    let known = broker.metadata.image().topics.by_id(topic.topic_id)?;
    Some(known.name.to_string().into())
}

fn refused_topic(topic: &OffsetFetchRequestTopics<'_>) -> RefusedTopic {
    RefusedTopic {
        name: String::new(),
        topic_id: topic.topic_id,
        error: ErrorCode::UnknownTopicId,
        partitions: topic.partition_indexes.clone(),
    }
}

pub(crate) fn answer(
    broker: &Broker,
    address: &ReturnAddress,
    extra: &Extra,
    groups: &[FetchedGroup],
) -> Result<Response, RequestError> {
    if address.version < FIRST_VERSION_WITH_GROUPS {
        return answer_one(address, extra, groups);
    }
    let refused = match extra {
        Extra::RefusedOfGroups(refused) => refused.as_slice(),
        _ => &[],
    };
    let answers = groups.iter().enumerate().map(|(index, group)| {
        let mut answer = OffsetFetchResponseGroup {
            group_id: &group.group_id,
            error_code: group.error.code(),
            ..Default::default()
        };
        if group.error == ErrorCode::None {
            answer.topics = fetched_topics(broker, address.version, group);
            let refused = refused.get(index).into_iter().flatten();
            answer.topics.extend(refused.map(refused_topic_answer));
        }
        answer
    });
    address.encode(&OffsetFetchResponse { groups: answers.collect(), ..Default::default() })
}

fn fetched_topics<'a>(
    broker: &Broker,
    version: i16,
    group: &'a FetchedGroup,
) -> Vec<OffsetFetchResponseTopics<'a>> {
    let mut topics = Vec::with_capacity(group.topics.len());
    for topic in &group.topics {
        let mut topic_id = topic.topic_id;
        if version >= FIRST_VERSION_WITH_IDS {
            // A topic that is gone has no id by which the client could know it.
            let known = broker.metadata.image().topics.by_name(&topic.name);
            let Some(known) = known else { continue };
            topic_id = known.id;
        }
        topics.push(OffsetFetchResponseTopics {
            name: &topic.name,
            topic_id,
            partitions: topic.partitions.iter().map(fetched_partition).collect(),
            ..Default::default()
        });
    }
    topics
}

fn fetched_partition(partition: &FetchedPartition) -> OffsetFetchResponsePartitions<'_> {
    OffsetFetchResponsePartitions {
        partition_index: partition.partition,
        committed_offset: partition.offset,
        committed_leader_epoch: partition.leader_epoch,
        metadata: Some(&partition.metadata),
        error_code: partition.error.code(),
        ..Default::default()
    }
}

fn refused_topic_answer(topic: &RefusedTopic) -> OffsetFetchResponseTopics<'_> {
    let partitions = topic.partitions.iter().map(|index| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: NO_OFFSET,
        metadata: Some(""),
        error_code: topic.error.code(),
        ..Default::default()
    });
    OffsetFetchResponseTopics {
        name: &topic.name,
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
        ..Default::default()
    }
}

/// Versions below 8: one group, whose error is the answer's or, in version 1, each partition's.
fn answer_one(
    address: &ReturnAddress,
    extra: &Extra,
    groups: &[FetchedGroup],
) -> Result<Response, RequestError> {
    let mut response = OffsetFetchResponse::default();
    let Some(group) = groups.first() else { return address.encode(&response) };
    if address.version >= FIRST_VERSION_WITH_GROUP_ERROR {
        response.error_code = group.error.code();
    }
    if group.error == ErrorCode::None {
        response.topics.extend(group.topics.iter().map(|topic| OffsetFetchResponseTopic {
            name: &topic.name,
            partitions: topic.partitions.iter().map(single_partition).collect(),
            ..Default::default()
        }));
    } else if let Extra::Requested(topics) = extra {
        response.topics.extend(topics.iter().map(|topic| failed_topic(topic, group.error)));
    }
    address.encode(&response)
}

fn single_partition(partition: &FetchedPartition) -> OffsetFetchResponsePartition<'_> {
    OffsetFetchResponsePartition {
        partition_index: partition.partition,
        committed_offset: partition.offset,
        committed_leader_epoch: partition.leader_epoch,
        metadata: Some(&partition.metadata),
        error_code: partition.error.code(),
        ..Default::default()
    }
}

fn failed_topic(topic: &RefusedTopic, error: ErrorCode) -> OffsetFetchResponseTopic<'_> {
    let partitions = topic.partitions.iter().map(|index| OffsetFetchResponsePartition {
        partition_index: *index,
        committed_offset: NO_OFFSET,
        metadata: Some(""),
        error_code: error.code(),
        ..Default::default()
    });
    OffsetFetchResponseTopic {
        name: &topic.name,
        partitions: partitions.collect(),
        ..Default::default()
    }
}
