//! OffsetCommit: how far a group has read. Partitions that do not exist are refused here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_coordinator::request::{
    CommitPartition, CommitTopic, OffsetCommitRequest as CoreRequest,
};
use strom_coordinator::{Request, response::CommittedTopic};
use strom_protocol::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use strom_protocol::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, Outcome, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::{Extra, RefusedTopic};

/// Since this version topics are named by their ids only (KIP-848).
const FIRST_VERSION_WITH_IDS: i16 = 10;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = OffsetCommitRequest::decode(reader, call.version())?;
    let names: Vec<_> =
        wire.topics.iter().map(|topic| resolve(broker, call.version(), topic)).collect();
    let (mut topics, mut refused) = (Vec::new(), Vec::new());
    for ((name, topic_id), topic) in names.iter().zip(&wire.topics) {
        let known_topics = &broker.metadata.image().topics;
        let exists = |partition: &&OffsetCommitRequestPartition<'_>| {
            known_topics.partition(*topic_id, partition.partition_index).is_some()
        };
        let (known, unknown): (Vec<_>, Vec<_>) = topic.partitions.iter().partition(exists);
        if !unknown.is_empty() {
            let is_unknown_id = call.version() >= FIRST_VERSION_WITH_IDS && name.is_empty();
            refused.push(RefusedTopic {
                name: name.to_string(),
                topic_id: *topic_id,
                error: if is_unknown_id {
                    ErrorCode::UnknownTopicId
                } else {
                    ErrorCode::UnknownTopicOrPartition
                },
                partitions: unknown.iter().map(|partition| partition.partition_index).collect(),
            });
        }
        if !known.is_empty() {
            let partitions = known.into_iter().map(commit_partition).collect();
            topics.push(CommitTopic { name, topic_id: *topic_id, partitions });
        }
    }
    if topics.is_empty() {
        let extra = Extra::Refused(refused);
        return Ok(Outcome::Reply(answer(&call.address, &extra, &[])?).into());
    }
    let request = Request::OffsetCommit(CoreRequest {
        version: call.version(),
        group_id: wire.group_id,
        generation_id: wire.generation_id_or_member_epoch,
        member_id: wire.member_id,
        group_instance_id: wire.group_instance_id,
        retention_time_ms: wire.retention_time_ms,
        topics,
    });
    Ok(broker.ask_groups(turn, call.address, Extra::Refused(refused), &request).into())
}

fn commit_partition<'a>(wire: &OffsetCommitRequestPartition<'a>) -> CommitPartition<'a> {
    CommitPartition {
        partition: wire.partition_index,
        offset: wire.committed_offset,
        leader_epoch: wire.committed_leader_epoch,
        metadata: wire.committed_metadata,
    }
}

/// Name and id of a topic; the one that the request does not say is empty if there is none.
fn resolve<'a>(
    broker: &Broker,
    version: i16,
    topic: &OffsetCommitRequestTopic<'a>,
) -> (Cow<'a, str>, Uuid) {
    let topics = &broker.metadata.image().topics;
    if version >= FIRST_VERSION_WITH_IDS {
        let name = topics.by_id(topic.topic_id).map(|known| known.name.to_string());
        (name.unwrap_or_default().into(), topic.topic_id)
    } else {
        (topic.name.into(), topics.by_name(topic.name).map_or(Uuid::ZERO, |known| known.id))
    }
}

/// What was refused comes first, then what the coordinator decided, one entry for each topic.
pub(crate) fn answer(
    address: &ReturnAddress,
    extra: &Extra,
    topics: &[CommittedTopic],
) -> Result<Response, RequestError> {
    let mut response = OffsetCommitResponse::default();
    if let Extra::Refused(refused) = extra {
        response.topics.extend(
            refused.iter().map(|topic| OffsetCommitResponseTopic {
                name: &topic.name,
                topic_id: topic.topic_id,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|index| partition(*index, topic.error.code()))
                    .collect(),
                ..Default::default()
            }),
        );
    }
    // By a table: a request may name a hundred thousand topics, each as often as it likes.
    let told = response.topics.iter().enumerate();
    let mut places: BTreeMap<(&str, Uuid), usize> =
        told.rev().map(|(place, topic)| ((topic.name, topic.topic_id), place)).collect();
    for topic in topics {
        let decided =
            topic.partitions.iter().map(|part| partition(part.partition, part.error.code()));
        let next = response.topics.len();
        let place = *places.entry((&topic.name, topic.topic_id)).or_insert(next);
        match response.topics.get_mut(place) {
            Some(entry) => entry.partitions.extend(decided),
            None => response.topics.push(OffsetCommitResponseTopic {
                name: &topic.name,
                topic_id: topic.topic_id,
                partitions: decided.collect(),
                ..Default::default()
            }),
        }
    }
    address.encode(&response)
}

fn partition<'a>(partition_index: i32, error_code: i16) -> OffsetCommitResponsePartition<'a> {
    OffsetCommitResponsePartition { partition_index, error_code, ..Default::default() }
}
