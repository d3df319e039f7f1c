//! OffsetDelete: forget what a group committed for some partitions (KIP-496).

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_coordinator::Request;
use strom_coordinator::request::{DeleteTopic, OffsetDeleteRequest as CoreRequest};
use strom_coordinator::response::OffsetDeleteResponse as CoreResponse;
use strom_protocol::offset_delete_request::OffsetDeleteRequest;
use strom_protocol::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, Outcome, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::{Extra, RefusedTopic};

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = OffsetDeleteRequest::decode(reader, call.version())?;
    let (mut refused, mut topics) = (Vec::new(), Vec::new());
    for topic in &wire.topics {
        let known_topics = &broker.metadata.image().topics;
        let topic_id = known_topics.by_name(topic.name).map_or(Uuid::ZERO, |known| known.id);
        let exists = |index: &i32| known_topics.partition(topic_id, *index).is_some();
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        let (partitions, unknown): (Vec<_>, Vec<_>) = indexes.partition(exists);
        if !unknown.is_empty() {
            refused.push(RefusedTopic {
                name: topic.name.to_owned(),
                topic_id: Uuid::ZERO,
                error: ErrorCode::UnknownTopicOrPartition,
                partitions: unknown,
            });
        }
        if !partitions.is_empty() {
            topics.push(DeleteTopic { name: topic.name, partitions });
        }
    }
    let extra = Extra::Refused(refused);
    if topics.is_empty() {
        let nothing = CoreResponse { error: ErrorCode::None, topics: Vec::new() };
        return Ok(Outcome::Reply(answer(&call.address, &extra, &nothing)?).into());
    }
    let request = Request::OffsetDelete(CoreRequest { group_id: wire.group_id, topics });
    Ok(broker.ask_groups(turn, call.address, extra, &request).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    extra: &Extra,
    deleted: &CoreResponse,
) -> Result<Response, RequestError> {
    let mut response =
        OffsetDeleteResponse { error_code: deleted.error.code(), ..Default::default() };
    // An error of the whole group stands alone.
    if deleted.error != ErrorCode::None {
        return address.encode(&response);
    }
    if let Extra::Refused(refused) = extra {
        response.topics.extend(
            refused.iter().map(|topic| OffsetDeleteResponseTopic {
                name: &topic.name,
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
    let mut places: BTreeMap<&str, usize> =
        told.rev().map(|(place, topic)| (topic.name, place)).collect();
    for topic in &deleted.topics {
        let decided =
            topic.partitions.iter().map(|part| partition(part.partition, part.error.code()));
        let next = response.topics.len();
        let place = *places.entry(&topic.name).or_insert(next);
        match response.topics.get_mut(place) {
            Some(entry) => entry.partitions.extend(decided),
            None => response.topics.push(OffsetDeleteResponseTopic {
                name: &topic.name,
                partitions: decided.collect(),
                ..Default::default()
            }),
        }
    }
    address.encode(&response)
}

fn partition<'a>(partition_index: i32, error_code: i16) -> OffsetDeleteResponsePartition<'a> {
    OffsetDeleteResponsePartition { partition_index, error_code, ..Default::default() }
}
