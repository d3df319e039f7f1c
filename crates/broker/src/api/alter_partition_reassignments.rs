//! AlterPartitionReassignments: other replicas for a partition (KIP-455).
//!
//! As long as a cluster is one node, a partition can only stay where it is: that is accepted, and
//! everything else is refused in Kafka's words.

use std::collections::BTreeSet;

use strom_metadata::Refusal;
use strom_metadata::image::Partition;
use strom_protocol::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition,
};
use strom_protocol::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::{Handled, UNKNOWN_PARTITION};
use crate::call::{Call, RequestError};
use crate::decisions::told;
use crate::effect::Turn;

/// A partition and what becomes of the wish for it.
type Fate = (i32, Result<(), Refusal>);

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = AlterPartitionReassignmentsRequest::decode(reader, call.version())?;
    let topics = &broker.metadata.image().topics;
    let mut fates: Vec<(&str, Vec<Fate>)> = Vec::new();
    for topic in &wire.topics {
        let known = topics.by_name(topic.name);
        let partitions = topic.partitions.iter().map(|wanted| {
            let index = wanted.partition_index;
            let state = known.and_then(|known| topics.partition(known.id, index));
            (index, fate(broker, state, wanted))
        });
        fates.push((topic.name, partitions.collect()));
    }
    let responses = fates.iter().map(|(name, partitions)| ReassignableTopicResponse {
        name,
        partitions: partitions
            .iter()
            .map(|(partition_index, fate)| {
                let (error_code, error_message) = told(fate);
                ReassignablePartitionResponse {
                    partition_index: *partition_index,
                    error_code,
                    error_message,
                    ..Default::default()
                }
            })
            .collect(),
        ..Default::default()
    });
    let response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: wire.allow_replication_factor_change,
        error_message: None,
        responses: responses.collect(),
        ..Default::default()
    };
    Ok(call.reply(&response)?.into())
}

fn fate(
    broker: &Broker,
    state: Option<&Partition>,
    wanted: &ReassignablePartition<'_>,
) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
    let Some(state) = state else {
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, UNKNOWN_PARTITION));
    };
    let Some(replicas) = &wanted.replicas else {
        let text = "No partition reassignment is in progress.";
        return Err(Refusal::new(ErrorCode::NoReassignmentInProgress, text));
    };
    if replicas.is_empty() {
        let text = "The manual partition assignment includes an empty replica list.";
        return invalid(text.to_owned());
    }
    let mut seen = BTreeSet::new();
    for replica in replicas {
        if !seen.insert(replica) {
            return invalid(format!(
                "The manual partition assignment includes the broker {replica} more than once."
            ));
        }
        if broker.metadata.image().cluster.broker(*replica).is_none() {
            return invalid(format!(
                "The manual partition assignment includes broker {replica}, but no such broker is \
                 registered."
            ));
        }
    }
    if *replicas == *state.replicas {
        return Ok(());
    }
    invalid("Replicas cannot be moved between nodes by this version yet.".to_owned())
}
