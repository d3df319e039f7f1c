//! ListOffsets: offsets by timestamp and by Kafka's sentinels.

use std::collections::BTreeSet;

use strom_protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use strom_protocol::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};
use strom_replica::partition::read_error_code;
use strom_storage::log::{Log, ReadError, Sought, TimestampAndOffset};

use super::Handled;
use crate::Broker;
use crate::call::{Call, Outcome, RequestError};
use crate::effect::Turn;
use crate::gate::read_call;
use crate::look_ups::{LookUp, LookUpTurn, Needed, Reached};

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
    partition: i32,
    timestamp: i64,
    current_leader_epoch: i32,
    is_read_committed: bool,
    is_follower: bool,
}

impl Question {
    fn of(request: &ListOffsetsRequest<'_>, wanted: &ListOffsetsPartition) -> Self {
        Self {
            partition: wanted.partition_index,
            timestamp: wanted.timestamp,
            current_leader_epoch: wanted.current_leader_epoch,
            is_read_committed: request.isolation_level == 1,
            is_follower: request.replica_id >= 0,
        }
    }
}

/// What became of a request's turn.
#[derive(Debug)]
pub(crate) enum LookedUp {
    Outcome(Outcome),
    Unfinished(Needed),
}

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = ListOffsetsRequest::decode(reader, call.version())?;
    let mut reached = from_the_start(&request);
    Ok(match take_turn(broker, turn, call, &request, &mut reached)? {
        LookedUp::Outcome(outcome) => Handled::Outcome(outcome),
        LookedUp::Unfinished(needed) => Handled::LookUp { reached, needed },
    })
}

/// Another turn of a request.
pub(crate) fn go_on(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    look_up: &mut LookUp,
) -> Result<LookedUp, RequestError> {
    let LookUp { address, frame, reached } = look_up;
    let (call, mut reader) = read_call(*address, frame)?;
    let request = ListOffsetsRequest::decode(&mut reader, call.version())?;
    take_turn(broker, turn, &call, &request, reached)
}

/// A look-up may read a whole batch, and a few bytes ask for many: named twice, a partition is refused, as by
/// Apache Kafka.
fn from_the_start(request: &ListOffsetsRequest<'_>) -> Vec<Reached> {
    let (mut named, mut doubled) = (BTreeSet::new(), BTreeSet::new());
    let keys = || {
        let topics = request.topics.iter();
        topics.flat_map(|it| it.partitions.iter().map(|part| (it.name, part.partition_index)))
    };
    for key in keys() {
        if !named.insert(key) {
            doubled.insert(key);
        }
    }
    keys()
        .map(|key| match doubled.contains(&key) {
            true => Reached::NamedTwice,
            false => Reached::NotBefore(0),
        })
        .collect()
}

/// Answers if all partitions can be told of by the end of the turn.
fn take_turn(
    broker: &Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    request: &ListOffsetsRequest<'_>,
    reached: &mut [Reached],
) -> Result<LookedUp, RequestError> {
    let mut this = broker.look_up_turn();
    let bytes_before = this.bytes_left;
    let mut response = ListOffsetsResponse::default();
    let mut reached = reached.iter_mut().enumerate();
    'topics: for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (wanted, reached) in topic.partitions.iter().zip(&mut reached) {
            if this.is_over() {
                break 'topics;
            }
            let question = Question::of(request, wanted);
            let found = match is_too_old(call, wanted.timestamp) {
                true => Err(ErrorCode::UnsupportedVersion),
                false => look_up(broker, turn, (topic.name, &question), reached, &mut this),
            };
            partitions.push(answer(call, wanted.partition_index, found));
        }
        response.topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
            ..Default::default()
        });
    }
    turn.out.count_work(bytes_before - this.bytes_left + this.gathered_bytes());
    Ok(match this.finish() {
        Some(needed) => LookedUp::Unfinished(needed),
        None => LookedUp::Outcome(call.reply(&response)?),
    })
}

fn is_too_old(call: &Call<'_>, timestamp: i64) -> bool {
    SENTINEL_VERSIONS
        .iter()
        .any(|(sentinel, since)| *sentinel == timestamp && call.version() < *since)
}

fn answer<'a>(
    call: &Call<'_>,
    partition_index: i32,
    found: Result<Option<TimestampAndOffset>, ErrorCode>,
) -> ListOffsetsPartitionResponse<'a> {
    let mut response = ListOffsetsPartitionResponse { partition_index, ..Default::default() };
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
    broker: &Broker,
    turn: &Turn<'_>,
    (topic, question): (&str, &Question),
    (place, reached): (usize, &mut Reached),
    this: &mut LookUpTurn,
) -> Result<Option<TimestampAndOffset>, ErrorCode> {
    if *reached == Reached::NamedTwice {
        return Err(ErrorCode::InvalidRequest);
    }
    let partition = broker
        .partition_by_name(topic, question.partition)
        .ok_or_else(|| broker.missing_partition_of(topic, question.partition))?;
    partition.check_leader_epoch(question.current_leader_epoch)?;
    let log = &partition.log;
    let upper = match (question.is_follower, question.is_read_committed) {
        (true, _) => log.log_end_offset(),
        (false, true) => log.last_stable_offset(),
        (false, false) => log.high_watermark(),
    };
    match question.timestamp {
        LATEST => Ok(Some(TimestampAndOffset { offset: upper, ..log.latest() })),
        EARLIEST | EARLIEST_LOCAL => Ok(Some(log.earliest())),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        timestamp @ (MAX_TIMESTAMP | 0..) => {
            match search(log, turn, timestamp, (place, reached), this) {
                Ok(found) => Ok(found.filter(|found| found.offset < upper)),
                Err(ReadError::WouldBlock) => {
                    this.is_blocked = true;
                    Ok(None)
                }
                Err(error) => Err(read_error_code(&error)),
            }
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// Goes on from where the look-up has come to, as far as its turn goes.
fn search(
    log: &Log,
    turn: &Turn<'_>,
    timestamp: i64,
    (place, reached): (usize, &mut Reached),
    this: &mut LookUpTurn,
) -> Result<Option<TimestampAndOffset>, ReadError> {
    while let Reached::NotBefore(from) = *reached
        && !this.is_over()
    {
        let sought = match timestamp {
            MAX_TIMESTAMP => log.seek_max_timestamp(turn.files)?,
            _ => log.seek_timestamp(turn.files, (timestamp, from), &mut this.headers_left)?,
        };
        *reached = match sought {
            Sought::Found(found) => Reached::Found(found),
            Sought::NotBefore(offset) => {
                this.end();
                Reached::NotBefore(offset)
            }
            Sought::In(batch) => match Reached::after(batch.perform(&mut this.bytes_left)) {
                Some(reached) => reached,
                None => {
                    this.leave(place, batch);
                    break;
                }
            },
        };
    }
    Ok(match *reached {
        Reached::Found(found) => found,
        Reached::NotBefore(_) | Reached::NamedTwice => None,
    })
}
