//! ElectLeaders: back to the preferred leaders, or (type 1) to whoever is left (KIP-460).

use strom_metadata::Refusal;
use strom_metadata::controller::elect_leaders::{ElectionTarget, ElectionType};
use strom_protocol::elect_leaders_request::ElectLeadersRequest;
use strom_protocol::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
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
    let wire = ElectLeadersRequest::decode(reader, call.version())?;
    let election = match wire.election_type {
        0 => ElectionType::Preferred,
        1 => ElectionType::Unclean,
        other => {
            let text = format!("Unknown election type {other}");
            return Err(RequestError::Refused(text));
        }
    };
    let controller = &broker.metadata.controller;
    let named = wire.topic_partitions.iter().flatten().flat_map(|topic| {
        topic.partitions.iter().map(|it| ElectionTarget { topic: topic.topic, partition: *it })
    });
    let is_all = wire.topic_partitions.is_none();
    let targets = if is_all { controller.all_partitions() } else { named.collect() };
    let decision = controller.elect_leaders(election, &targets);
    let mut results: Vec<ReplicaElectionResult<'_>> = Vec::new();
    for (target, outcome) in targets.iter().zip(&decision.reply) {
        if is_all && is_not_needed(outcome) {
            continue;
        }
        let (error_code, error_message) = told(outcome);
        let result = PartitionResult {
            partition_id: target.partition,
            error_code,
            error_message,
            ..Default::default()
        };
        match results.last_mut().filter(|it| it.topic == target.topic) {
            Some(topic) => topic.partition_result.push(result),
            None => results.push(ReplicaElectionResult {
                topic: target.topic,
                partition_result: vec![result],
                ..Default::default()
            }),
        }
    }
    let response = ElectLeadersResponse { replica_election_results: results, ..Default::default() };
    let encoded = call.address.encode(&response)?;
    Ok(broker.commit_then_send(turn, call, decision.records, encoded)?.into())
}

/// Who asks for all partitions is told of those only that were not as they should be.
fn is_not_needed(outcome: &Result<(), Refusal>) -> bool {
    matches!(outcome, Err(refusal) if refusal.error == ErrorCode::ElectionNotNeeded)
}
