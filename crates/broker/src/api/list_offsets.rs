//! ListOffsets: offsets by timestamp and by Kafka's sentinels.

use std::collections::BTreeSet;

use strom_protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use strom_protocol::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};
use strom_replica::Partition;
use strom_replica::partition::read_error_code;
use strom_storage::log::{ReadError, TimestampAndOffset};

use super::Handled;
use crate::Broker;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// The first offset that is kept locally (KIP-405).
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in remote storage (KIP-1005); without one there is none.
const LATEST_TIERED: i64 = -5;
/// The first offset not uploaded yet (KIP-1023); without remote storage there is none.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Sentinels came with versions; older requests with them are refused per partition.
const SENTINEL_VERSIONS: [(i64, i16); 4] =
    [(MAX_TIMESTAMP, 7), (EARLIEST_LOCAL, 8), (LATEST_TIERED, 9), (EARLIEST_PENDING_UPLOAD, 11)];

const FIRST_VERSION_WITH_EPOCH: i16 = 4;

/// What a partition's log is asked.
struct Question {
    timestamp: i64,
    current_leader_epoch: i32,
    is_read_committed: bool,
    is_follower: bool,
}

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = ListOffsetsRequest::decode(reader, call.version())?;
    let mut response = ListOffsetsResponse::default();
    // A look-up may read a whole batch, and a few bytes ask for many: named twice, a partition is
    // refused, as by Apache Kafka.
    let (mut named, mut doubled) = (BTreeSet::new(), BTreeSet::new());
    for topic in &request.topics {
        for key in topic.partitions.iter().map(|it| (topic.name, it.partition_index)) {
            if !named.insert(key) {
                doubled.insert(key);
            }
        }
    }
    for topic in &request.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|wanted| match doubled.contains(&(topic.name, wanted.partition_index)) {
                true => ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    error_code: ErrorCode::InvalidRequest.code(),
                    ..Default::default()
                },
                false => answer(broker, turn, call, (&request, topic.name, wanted)),
            })
            .collect();
        response.topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
            ..Default::default()
        });
    }
    // Only a look-up that would wait for the disk says so: its reader need not know.
    let mut parts = response.topics.iter().flat_map(|topic| &topic.partitions);
    if parts.any(|part| part.error_code == ErrorCode::OffsetNotAvailable.code()) {
        return Ok(Handled::AfterRead);
    }
    Ok(call.reply(&response)?.into())
}

fn answer<'a>(
    broker: &Broker,
    turn: &Turn<'_>,
    call: &Call<'_>,
    (request, topic, wanted): (&ListOffsetsRequest<'_>, &str, &ListOffsetsPartition<'_>),
) -> ListOffsetsPartitionResponse<'a> {
    let question = Question {
        timestamp: wanted.timestamp,
        current_leader_epoch: wanted.current_leader_epoch,
        is_read_committed: request.isolation_level == 1,
        is_follower: request.replica_id >= 0,
    };
    let too_old = SENTINEL_VERSIONS
        .iter()
        .any(|(sentinel, since)| *sentinel == wanted.timestamp && call.version() < *since);
    let found = if too_old {
        Err(ErrorCode::UnsupportedVersion)
    } else {
        broker
            .partition_by_name(topic, wanted.partition_index)
            .ok_or_else(|| broker.missing_partition_of(topic, wanted.partition_index))
            .and_then(|partition| look_up(partition, turn, &question))
    };
    let mut response = ListOffsetsPartitionResponse {
        partition_index: wanted.partition_index,
        ..Default::default()
    };
    match found {
        Ok(Some(found)) => {
            response.timestamp = found.timestamp;
            response.offset = found.offset;
            if call.version() >= FIRST_VERSION_WITH_EPOCH {
                response.leader_epoch = found.leader_epoch.unwrap_or(-1);
            }
        }
        Ok(None) => {}
        Err(error) => response.error_code = error.code(),
    }
    response
}

fn look_up(
    partition: &Partition,
    turn: &Turn<'_>,
    question: &Question,
) -> Result<Option<TimestampAndOffset>, ErrorCode> {
    partition.check_leader_epoch(question.current_leader_epoch)?;
    let log = &partition.log;
    let failed = |error: ReadError| read_error_code(&error);
    let upper = match (question.is_follower, question.is_read_committed) {
        (true, _) => log.log_end_offset(),
        (false, true) => log.last_stable_offset(),
        (false, false) => log.high_watermark(),
    };
    let visible = |found: &TimestampAndOffset| found.offset < upper;
    match question.timestamp {
        LATEST => Ok(Some(TimestampAndOffset { offset: upper, ..log.latest() })),
        EARLIEST | EARLIEST_LOCAL => Ok(Some(log.earliest())),
        MAX_TIMESTAMP => Ok(log.max_timestamp(turn.files).map_err(failed)?.filter(visible)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        timestamp if timestamp < 0 => Err(ErrorCode::UnsupportedVersion),
        timestamp => {
            let found = log.offset_for_timestamp(turn.files, timestamp).map_err(failed)?;
            Ok(found.filter(visible))
        }
    }
}
