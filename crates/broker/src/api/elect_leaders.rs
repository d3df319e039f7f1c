//! ElectLeaders: back to the preferred leaders, or (type 1) to whoever is left (KIP-460).
//!
//! A node on its own leads all it has, so an election is never needed here.

use strom_metadata::image::Partition;
use strom_protocol::elect_leaders_request::ElectLeadersRequest;
use strom_protocol::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

const PREFERRED: i8 = 0;

/// A partition and how its election ended.
type Outcome = (i32, ErrorCode, String);

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = ElectLeadersRequest::decode(reader, call.version())?;
    let topics = &broker.metadata.image().topics;
    let mut outcomes: Vec<(&str, Vec<Outcome>)> = Vec::new();
    for asked in wire.topic_partitions.iter().flatten() {
        let known = topics.by_name(asked.topic);
        let partitions = asked.partitions.iter().map(|index| {
            let state = known.and_then(|topic| topics.partition(topic.id, *index));
            let (error, text) = match (known, state) {
                (_, Some(state)) => elect(state, wire.election_type),
                (None, None) => {
                    let text = format!("No such topic as {}", asked.topic);
                    (ErrorCode::UnknownTopicOrPartition, text)
                }
                (Some(_), None) => {
                    let text = format!("No such partition as {}-{index}", asked.topic);
                    (ErrorCode::UnknownTopicOrPartition, text)
                }
            };
            (*index, error, text)
        });
        outcomes.push((asked.topic, partitions.collect()));
    }
    let results = outcomes.iter().map(|(topic, partitions)| ReplicaElectionResult {
        topic,
        partition_result: partitions
            .iter()
            .map(|(partition_id, error, text)| PartitionResult {
                partition_id: *partition_id,
                error_code: error.code(),
                error_message: Some(text),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    let response =
        ElectLeadersResponse { replica_election_results: results.collect(), ..Default::default() };
    Ok(call.reply(&response)?.into())
}

fn elect(state: &Partition, election_type: i8) -> (ErrorCode, String) {
    let preferred = state.replicas.first().copied().unwrap_or(-1);
    let (error, text) = if election_type == PREFERRED && state.leader != preferred {
        let text = "The preferred leader was not available.";
        (ErrorCode::PreferredLeaderNotAvailable, text)
    } else if state.leader < 0 {
        let text = "Eligible topic partition leaders are not available.";
        (ErrorCode::EligibleLeadersNotAvailable, text)
    } else {
        (ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition.")
    };
    (error, text.to_owned())
}
