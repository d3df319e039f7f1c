//! Where partitions start, and from times to offsets.

use strom_protocol::ErrorCode;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;

use crate::world::places::{Place, Places};

pub(super) const EARLIEST: i64 = -2;

/// Asks for the first offset of each.
pub(super) fn earliest(places: &Places, wanted: &[Place]) -> ListOffsetsRequest<'static> {
    since(places, wanted.iter().map(|place| (*place, EARLIEST)))
}

/// Asks for the first record of each at or after a time.
pub(super) fn since(
    places: &Places,
    wanted: impl IntoIterator<Item = (Place, i64)>,
) -> ListOffsetsRequest<'static> {
    let topics = wanted.into_iter().map(|(place, timestamp)| {
        let (name, partition_index) = places.at(place);
        let partitions = vec![ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp,
            ..Default::default()
        }];
        ListOffsetsTopic { name, partitions, ..Default::default() }
    });
    ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..Default::default() }
}

/// Timestamp and offset of a partition's record.
pub(super) type Record = (i64, i64);

/// What was told without an error.
pub(super) fn answered(
    places: &Places,
    answer: &ListOffsetsResponse<'_>,
) -> Result<Vec<(Place, Record)>, String> {
    let mut offsets = Vec::new();
    for topic in &answer.topics {
        for part in &topic.partitions {
            let error = ErrorCode::from_code(part.error_code);
            if error == ErrorCode::None {
                let place = places.find(topic.name, part.partition_index);
                let found = (part.timestamp, part.offset);
                offsets.push((place.ok_or("an offset of nobody")?, found));
            } else if !error.is_retriable() {
                return Err(format!("offsets of {}: {}", topic.name, error.name()));
            }
        }
    }
    Ok(offsets)
}
