//! DescribeProducers: who writes to a partition, and with an open transaction since where (KIP-664).

use std::collections::BTreeSet;

use strom_base::Uuid;
use strom_coordinator::AnswerRoom;
use strom_protocol::describe_producers_request::DescribeProducersRequest;
use strom_protocol::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};
use strom_replica::Partition;

use crate::Broker;
use crate::api::{Handled, UNKNOWN_PARTITION};
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let mut wire = DescribeProducersRequest::decode(reader, call.version())?;
    // A few bytes ask for many: each partition is described once, and as long as there is room.
    let mut named = BTreeSet::new();
    for topic in &mut wire.topics {
        topic.partition_indexes.retain(|index| named.insert((topic.name, *index)));
    }
    let mut room = AnswerRoom::default();
    let topics = wire.topics.iter().map(|topic| {
        let known = broker.metadata.image().topics.by_name(topic.name);
        let topic_id = known.map_or(Uuid::ZERO, |known| known.id);
        let partitions = topic.partition_indexes.iter().map(|index| {
            let log = broker.partitions.find(topic_id, *index);
            let partition = log.and_then(|log| broker.partitions.get(log));
            let partition = partition.ok_or_else(|| broker.missing_partition(topic_id, *index));
            describe(*index, partition, &mut room)
        });
        TopicResponse { name: topic.name, partitions: partitions.collect(), ..Default::default() }
    });
    let response = DescribeProducersResponse { topics: topics.collect(), ..Default::default() };
    Ok(call.reply(&response)?.into())
}

fn describe<'a>(
    partition_index: i32,
    partition: Result<&Partition, ErrorCode>,
    room: &mut AnswerRoom,
) -> PartitionResponse<'a> {
    let partition = match partition {
        Ok(partition) => partition,
        Err(error) => {
            let is_unknown = error == ErrorCode::UnknownTopicOrPartition;
            return PartitionResponse {
                partition_index,
                error_code: error.code(),
                error_message: is_unknown.then_some(UNKNOWN_PARTITION),
                ..Default::default()
            };
        }
    };
    if !room.take(2 * size_of::<ProducerState<'_>>() * partition.log.producers().count()) {
        return PartitionResponse {
            partition_index,
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some(AnswerRoom::REFUSAL),
            ..Default::default()
        };
    }
    let producers = partition.log.producers().map(|producer| ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence().unwrap_or(-1),
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_first_offset.unwrap_or(-1),
        ..Default::default()
    });
    PartitionResponse {
        partition_index,
        active_producers: producers.collect(),
        ..Default::default()
    }
}
