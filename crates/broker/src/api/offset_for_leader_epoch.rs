//! OffsetForLeaderEpoch: where a leader epoch ended here, so that a reader finds a truncation (KIP-320).

use strom_protocol::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use strom_protocol::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use strom_protocol::{Message, Reader};

use super::Handled;
use crate::Broker;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = OffsetForLeaderEpochRequest::decode(reader, call.version())?;
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in &request.topics {
        let partitions =
            topic.partitions.iter().map(|wanted| answer(broker, topic.topic, wanted)).collect();
        response.topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions,
            ..Default::default()
        });
    }
    Ok(call.reply(&response)?.into())
}

fn answer<'a>(
    broker: &Broker,
    topic: &str,
    wanted: &OffsetForLeaderPartition<'_>,
) -> EpochEndOffset<'a> {
    let found = broker
        .partition_by_name(topic, wanted.partition)
        .ok_or_else(|| broker.missing_partition_of(topic, wanted.partition))
        .and_then(|partition| {
            partition.check_leader_epoch(wanted.current_leader_epoch)?;
            Ok(partition.log.end_offset_for_epoch(wanted.leader_epoch))
        });
    let mut answer = EpochEndOffset { partition: wanted.partition, ..Default::default() };
    match found {
        Ok(Some((leader_epoch, end_offset))) => {
            answer.leader_epoch = leader_epoch;
            answer.end_offset = end_offset;
        }
        Ok(None) => {}
        Err(error) => answer.error_code = error.code(),
    }
    answer
}
