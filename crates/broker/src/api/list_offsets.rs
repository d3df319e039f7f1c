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
use crate::look_ups::{LookUp, LookUpTurn, Open, Reached};

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
/// KIP-207.
const FIRST_VERSION_WITH_NOT_AVAILABLE: i16 = 5;

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
    /// Partitions are left open.
    Unfinished,
}

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = ListOffsetsRequest::decode(reader, call.version())?;
    let mut walk = Walk::new(from_the_start(&request), Vec::new());
    let mut this = broker.look_up_turn();
    let looked_up = walk.all(broker, turn, call, &request, &mut this)?;
    turn.out.count_work(this.work_bytes());
    Ok(match looked_up {
        LookedUp::Outcome(outcome) => Handled::Outcome(outcome),
        LookedUp::Unfinished => {
            let Walk { reached, open, .. } = walk;
            Handled::LookUp { reached, open, needed: this.needed() }
        }
    })
}

/// Another turn of a request.
pub(crate) fn go_on(
    broker: &Broker,
    turn: &mut Turn<'_>,
    look_up: &mut LookUp,
    this: &mut LookUpTurn,
) -> Result<LookedUp, RequestError> {
    let mut walk =
        Walk::new(std::mem::take(&mut look_up.reached), std::mem::take(&mut look_up.open));
    walk.open(broker, turn, this);
    let looked_up = match walk.open.is_empty() && !this.is_over() {
        true => walk.all_of(broker, turn, look_up, this)?,
        false => LookedUp::Unfinished,
    };
    (look_up.reached, look_up.open) = (walk.reached, walk.open);
    Ok(looked_up)
}

/// The answer of a look-up for which there is no room: what is left open is to be asked again.
pub(crate) fn give_up(
    broker: &Broker,
    turn: &mut Turn<'_>,
    look_up: &mut LookUp,
) -> Result<Outcome, RequestError> {
    let mut walk = Walk::new(std::mem::take(&mut look_up.reached), Vec::new());
    walk.has_room = false;
    match walk.all_of(broker, turn, look_up, &mut LookUpTurn::empty())? {
        LookedUp::Outcome(outcome) => Ok(outcome),
        LookedUp::Unfinished => Err(RequestError::Refused("a look-up was not given up".into())),
    }
}

/// A look-up may read a whole batch, and a few bytes ask for many: named twice, a partition is refused, as by
/// Apache Kafka.
fn from_the_start(request: &ListOffsetsRequest<'_>) -> Vec<Reached> {
    let keys = || {
        let topics = request.topics.iter();
        topics.flat_map(|it| it.partitions.iter().map(|part| (it.name, part.partition_index)))
    };
    let (mut named, mut doubled) = (BTreeSet::new(), BTreeSet::new());
    // As clients name them, nearly always.
    if !keys().is_sorted_by(|one, next| one < next) {
        doubled.extend(keys().filter(|key| !named.insert(*key)));
    }
    keys()
        .map(|key| match doubled.contains(&key) {
            true => Reached::NamedTwice,
            false => Reached::Nothing,
        })
        .collect()
}

/// A request's partitions, and how far each has come.
struct Walk {
    reached: Vec<Reached>,
    open: Vec<Open>,
    /// Somebody may go on with what is left open.
    has_room: bool,
}

impl Walk {
    fn new(reached: Vec<Reached>, open: Vec<Open>) -> Self {
        Self { reached, open, has_room: true }
    }

    fn all_of(
        &mut self,
        broker: &Broker,
        turn: &mut Turn<'_>,
        look_up: &LookUp,
        this: &mut LookUpTurn,
    ) -> Result<LookedUp, RequestError> {
        let (call, mut reader) = read_call(look_up.address, &look_up.frame)?;
        let request = ListOffsetsRequest::decode(&mut reader, call.version())?;
        self.all(broker, turn, &call, &request, this)
    }

    /// Comes to all partitions, and answers if none is left open.
    fn all(
        &mut self,
        broker: &Broker,
        turn: &mut Turn<'_>,
        call: &Call<'_>,
        request: &ListOffsetsRequest<'_>,
        this: &mut LookUpTurn,
    ) -> Result<LookedUp, RequestError> {
        let mut response = ListOffsetsResponse::default();
        let mut reached = self.reached.iter_mut().enumerate();
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (wanted, (place, reached)) in topic.partitions.iter().zip(&mut reached) {
                let question = Question::of(request, wanted);
                let found = match is_too_old(call, wanted.timestamp) {
                    true => Err(ErrorCode::UnsupportedVersion),
                    false => look_up(broker, turn, (topic.name, &question), (place, reached), this),
                };
                let found = match found {
                    Ok(Told::Offset(offset)) => Ok(offset),
                    Ok(Told::Open(_)) if !self.has_room => Err(not_available(call)),
                    Ok(Told::Open(open)) => {
                        self.open.push(open);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                };
                partitions.push(answer(call, wanted.partition_index, found));
            }
            response.topics.push(ListOffsetsTopicResponse {
                name: topic.name,
                partitions,
                ..Default::default()
            });
        }
        this.step(self.reached.len());
        Ok(match self.open.is_empty() {
            true => LookedUp::Outcome(call.reply(&response)?),
            false => LookedUp::Unfinished,
        })
    }

    /// Comes to those that are left open, as far as the turn goes.
    fn open(&mut self, broker: &Broker, turn: &Turn<'_>, this: &mut LookUpTurn) {
        let reached = &mut self.reached;
        self.open.retain(|open| {
            if this.is_over() {
                return true;
            }
            this.step(1);
            let (Some(partition), Some(reached)) =
                (broker.partitions.get(open.log), reached.get_mut(open.place))
            else {
                return false;
            };
            let at = (open.place, reached);
            // What is told in the end of one that is gone, or failed, is that.
            search(&partition.log, turn, open.timestamp, at, this).is_ok_and(|is_open| is_open)
        });
    }
}

/// Clients ask again.
fn not_available(call: &Call<'_>) -> ErrorCode {
    match call.version() >= FIRST_VERSION_WITH_NOT_AVAILABLE {
        true => ErrorCode::OffsetNotAvailable,
        false => ErrorCode::LeaderNotAvailable,
    }
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

/// What is known of a partition.
enum Told {
    Offset(Option<TimestampAndOffset>),
    Open(Open),
}

fn look_up(
    broker: &Broker,
    turn: &Turn<'_>,
    (topic, question): (&str, &Question),
    (place, reached): (usize, &mut Reached),
    this: &mut LookUpTurn,
) -> Result<Told, ErrorCode> {
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
    Ok(Told::Offset(match question.timestamp {
        LATEST => Some(TimestampAndOffset { offset: upper, ..log.latest() }),
        EARLIEST | EARLIEST_LOCAL => Some(log.earliest()),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => None,
        timestamp @ (MAX_TIMESTAMP | 0..) => {
            let searched = search(log, turn, timestamp, (place, reached), this);
            if searched.map_err(|error| read_error_code(&error))? {
                let log = log.identity().id;
                return Ok(Told::Open(Open { place, log, timestamp }));
            }
            match *reached {
                Reached::Found(_, found) => found.filter(|found| found.offset < upper),
                Reached::Nothing | Reached::NotBefore(..) | Reached::NamedTwice => None,
            }
        }
        _ => return Err(ErrorCode::UnsupportedVersion),
    }))
}

/// Goes on from where the look-up has come to, as far as its turn goes; whether there is more to do.
fn search(
    log: &Log,
    turn: &Turn<'_>,
    timestamp: i64,
    (place, reached): (usize, &mut Reached),
    this: &mut LookUpTurn,
) -> Result<bool, ReadError> {
    let id = log.identity().id;
    // The newest of a segment is told also when its records are deleted, as by Apache Kafka.
    let log_start_offset = if timestamp == MAX_TIMESTAMP { 0 } else { log.log_start_offset() };
    while let Some(from) = reached.search_from(id, log_start_offset) {
        if this.is_over() {
            return Ok(true);
        }
        this.step(1);
        let mut limits = this.limits();
        let sought = match timestamp {
            MAX_TIMESTAMP => log.seek_max_timestamp(turn.files, &limits),
            _ => log.seek_timestamp(turn.files, (timestamp, from), &mut limits),
        };
        this.share.steps_left = limits.headers_left;
        *reached = match sought {
            Ok(Sought::Found(found)) => Reached::Found(id, found),
            Ok(Sought::NotBefore(from)) => Reached::NotBefore(id, from),
            Ok(Sought::TooLarge) => {
                this.end();
                return Ok(true);
            }
            Ok(Sought::In(batch)) => {
                match Reached::after(id, batch.perform(&mut this.share.bytes_left)) {
                    Some(reached) => reached,
                    None => {
                        this.leave((place, id), batch);
                        return Ok(true);
                    }
                }
            }
            Err(ReadError::WouldBlock) => {
                this.is_blocked = true;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
    }
    Ok(false)
}
