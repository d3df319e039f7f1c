//! DeleteRecords: moves the log start offset up; the segments below go with the next retention check.

use strom_protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest};
use strom_protocol::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use strom_protocol::{ErrorCode, Message, Reader};
use strom_replica::partition::read_error_code;

use super::Handled;
use crate::Broker;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

/// Delete up to the high watermark, whatever it is.
const HIGH_WATERMARK: i64 = -1;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = DeleteRecordsRequest::decode(reader, call.version())?;
    let mut response = DeleteRecordsResponse::default();
    for topic in &request.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|wanted| {
                let (low_watermark, error) = match delete(broker, turn, topic.name, wanted) {
                    Ok(low_watermark) => (low_watermark, ErrorCode::None),
                    Err(error) => (-1, error),
                };
                DeleteRecordsPartitionResult {
                    partition_index: wanted.partition_index,
                    low_watermark,
                    error_code: error.code(),
                    ..Default::default()
                }
            })
            .collect();
        response.topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
            ..Default::default()
        });
    }
    Ok(call.reply(&response)?.into())
}

/// The new log start offset.
fn delete(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    topic: &str,
    wanted: &DeleteRecordsPartition<'_>,
) -> Result<i64, ErrorCode> {
    if broker.is_internal_topic(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let log = broker
        .log_by_name(topic, wanted.partition_index)
        .ok_or_else(|| broker.missing_partition_of(topic, wanted.partition_index))?;
    let partition = broker.partitions.get_mut(log).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let log = &mut partition.log;
    if !log.config().cleanup.delete && log.config().cleanup.compact {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match wanted.offset {
        HIGH_WATERMARK => log.high_watermark(),
        offset if offset < 0 => return Err(ErrorCode::OffsetOutOfRange),
        offset => offset,
    };
    log.increment_log_start_offset(offset, &mut turn.out.disk)
        .map_err(|error| read_error_code(&error))?;
    let log_start_offset = log.log_start_offset();
    let mut watchers = Vec::new();
    partition.waiting.tell_watchers(&mut watchers);
    broker.tell_watchers(turn, &mut watchers);
    // No segment tells it: without the checkpoint the records are back after a kill.
    broker.checkpoints.mark_changed(turn.now, &broker.settings.node.logs);
    Ok(log_start_offset)
}
