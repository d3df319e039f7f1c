//! ListPartitionReassignments: partitions whose replicas are on the move (KIP-455).

use strom_metadata::image::Partition;
use strom_protocol::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use strom_protocol::list_partition_reassignments_response::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};
use strom_protocol::{Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = ListPartitionReassignmentsRequest::decode(reader, call.version())?;
    let topics = &broker.metadata.image().topics;
    let mut answers = Vec::new();
    match &wire.topics {
        None => {
            for topic in topics.iter() {
                let indexes = 0..i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
                let moving = indexes.zip(&topic.partitions);
                let moving = moving.filter_map(|(index, state)| ongoing(index, state));
                push(&mut answers, &topic.name, moving.collect());
            }
        }
        Some(asked) => {
            for asked in asked {
                let Some(topic) = topics.by_name(asked.name) else { continue };
                let moving = asked
                    .partition_indexes
                    .iter()
                    .filter_map(|index| ongoing(*index, topics.partition(topic.id, *index)?));
                push(&mut answers, asked.name, moving.collect());
            }
        }
    }
    let response = ListPartitionReassignmentsResponse {
        error_message: None,
        topics: answers,
        ..Default::default()
    };
    Ok(call.reply(&response)?.into())
}

fn push<'a>(
    answers: &mut Vec<OngoingTopicReassignment<'a>>,
    name: &'a str,
    partitions: Vec<OngoingPartitionReassignment<'a>>,
) {
    if !partitions.is_empty() {
        answers.push(OngoingTopicReassignment { name, partitions, ..Default::default() });
    }
}

fn ongoing<'a>(
    partition_index: i32,
    state: &Partition,
) -> Option<OngoingPartitionReassignment<'a>> {
    if state.adding.is_empty() && state.removing.is_empty() {
        return None;
    }
    Some(OngoingPartitionReassignment {
        partition_index,
        replicas: state.replicas.to_vec(),
        adding_replicas: state.adding.to_vec(),
        removing_replicas: state.removing.to_vec(),
        ..Default::default()
    })
}
