//! CreatePartitions: topics grow (KIP-195).

use std::collections::BTreeMap;

use strom_metadata::controller::create_partitions::GrownTopic;
use strom_protocol::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use strom_protocol::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::decisions::told;
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = CreatePartitionsRequest::decode(reader, call.version())?;
    let mut times_named: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in &wire.topics {
        *times_named.entry(topic.name).or_default() += 1;
    }
    let is_named_once =
        |topic: &&CreatePartitionsTopic<'_>| times_named.get(topic.name) == Some(&1);
    let topics: Vec<_> = wire.topics.iter().filter(is_named_once).map(grown_topic).collect();
    let decision = broker.metadata.controller.create_partitions(&topics, &mut broker.random);
    let repeated = times_named.iter().filter(|(_, times)| **times > 1);
    let mut results: Vec<_> = repeated
        .map(|(name, _)| CreatePartitionsTopicResult {
            name,
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some("Duplicate topic name."),
            ..Default::default()
        })
        .collect();
    results.extend(topics.iter().zip(&decision.reply).map(|(topic, outcome)| {
        let (error_code, error_message) = told(outcome);
        CreatePartitionsTopicResult {
            name: topic.name,
            error_code,
            error_message,
            ..Default::default()
        }
    }));
    let response = CreatePartitionsResponse { results, ..Default::default() };
    let records = if wire.validate_only { Vec::new() } else { decision.records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

fn grown_topic<'a>(wire: &CreatePartitionsTopic<'a>) -> GrownTopic<'a> {
    let placed = wire.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|assignment| assignment.broker_ids.clone()).collect()
    });
    GrownTopic { name: wire.name, count: wire.count, assignments: placed }
}
