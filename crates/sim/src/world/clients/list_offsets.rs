//! Where partitions start.

use strom_protocol::ErrorCode;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;

use super::audit::Place;

const EARLIEST_TIMESTAMP: i64 = -2;

pub(super) fn earliest(places: &[Place]) -> ListOffsetsRequest<'_> {
    let topics = places.iter().map(|(name, partition)| ListOffsetsTopic {
        name,
        partitions: vec![ListOffsetsPartition {
            partition_index: *partition,
            current_leader_epoch: -1,
            timestamp: EARLIEST_TIMESTAMP,
            ..Default::default()
        }],
        ..Default::default()
    });
    ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..Default::default() }
}

/// What was told without an error.
pub(super) fn answered(answer: &ListOffsetsResponse<'_>) -> Result<Vec<(Place, i64)>, String> {
    let mut offsets = Vec::new();
    for topic in &answer.topics {
        for part in &topic.partitions {
            let error = ErrorCode::from_code(part.error_code);
            if error == ErrorCode::None {
                offsets.push(((topic.name.to_owned(), part.partition_index), part.offset));
            } else if !error.is_retriable() {
                return Err(format!("offsets of {}: {}", topic.name, error.name()));
            }
        }
    }
    Ok(offsets)
}
