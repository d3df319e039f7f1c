//! Where partitions start.

use strom_protocol::ErrorCode;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;

use crate::world::places::{Place, Places};

const EARLIEST_TIMESTAMP: i64 = -2;

pub(super) fn earliest(places: &Places, wanted: &[Place]) -> ListOffsetsRequest<'static> {
    let named = wanted.iter().map(|place| places.at(*place));
    let topics = named.map(|(name, partition_index)| ListOffsetsTopic {
        name,
        partitions: vec![ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: EARLIEST_TIMESTAMP,
            ..Default::default()
        }],
        ..Default::default()
    });
    ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..Default::default() }
}

/// What was told without an error.
pub(super) fn answered(
    places: &Places,
    answer: &ListOffsetsResponse<'_>,
) -> Result<Vec<(Place, i64)>, String> {
    let mut offsets = Vec::new();
    for topic in &answer.topics {
        for part in &topic.partitions {
            let error = ErrorCode::from_code(part.error_code);
            if error == ErrorCode::None {
                let place = places.find(topic.name, part.partition_index);
                offsets.push((place.ok_or("an offset of nobody")?, part.offset));
            } else if !error.is_retriable() {
                return Err(format!("offsets of {}: {}", topic.name, error.name()));
            }
        }
    }
    Ok(offsets)
}
