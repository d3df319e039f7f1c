//! Produce: each partition's batch into its log; the answer waits until the batches are committed.

use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

use bytes::BytesMut;
use strom_base::{IdMap, Uuid};
use strom_coordinator::AnswerRoom;
use strom_protocol::compression::Codec;
use strom_protocol::header::decode_request_header;
use strom_protocol::produce_request::ProduceRequest;
use strom_protocol::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use strom_protocol::records::BatchHeader;
use strom_protocol::{ErrorCode, Message, Reader, Records};
use strom_replica::CommitWaiter;
use strom_replica::partition::append_error_code;
use strom_storage::disk::{LogId, Ticket};
use strom_storage::log::{AppendError, AppendOrigin, RecordError};

use crate::Broker;
use crate::call::{Outcome, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};

pub(crate) const VERSIONS: RangeInclusive<i16> = 3..=13;
/// Since this version topics are named by their ids only.
const FIRST_VERSION_WITH_IDS: i16 = 13;
/// KIP-110.
const FIRST_VERSION_WITH_ZSTD: i16 = 7;

/// One partition of a request and what became of it.
#[derive(Debug)]
struct Part {
    /// Shared: a long name with many partitions is kept once.
    topic_name: Rc<str>,
    topic_id: Uuid,
    partition: i32,
    outcome: PartOutcome,
}

#[derive(Debug)]
struct PartOutcome {
    error: ErrorCode,
    message: Option<String>,
    /// The records at fault (KIP-467).
    records: Vec<RecordError>,
    base_offset: i64,
    log_append_time_ms: i64,
    log_start_offset: i64,
}

impl PartOutcome {
    /// Not decided yet.
    fn open() -> Self {
        Self::failed(ErrorCode::None, None)
    }

    fn failed(error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            message,
            records: Vec::new(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
        }
    }

    fn refused(error: AppendError) -> Self {
        let refused = Self::failed(append_error_code(&error), Some(error.to_string()));
        Self { records: error.into_records(), ..refused }
    }

    /// Without the records at fault when there is no room left for them: a batch of some bytes names a
    /// thousand.
    fn within(mut self, room: &mut AnswerRoom) -> Self {
        let sizes = self.records.iter().map(|it| size_of::<RecordError>() + it.message.len());
        if !room.take(2 * sizes.sum::<usize>()) {
            self.records = Vec::new();
        }
        self
    }
}

/// A produce whose batches are on their way to being committed.
#[derive(Debug)]
struct ParkedProduce {
    address: ReturnAddress,
    parts: Vec<Part>,
    /// Parts that are not committed yet.
    waiting: u32,
    is_silent: bool,
}

/// All produces that wait.
#[derive(Debug, Default)]
pub(crate) struct ParkedProduces {
    by_token: IdMap<u64, ParkedProduce>,
    last_token: u64,
}

/// Where in the frame a partition's records are.
struct Input {
    part: Part,
    log: Option<LogId>,
    records: Range<usize>,
}

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    address: ReturnAddress,
    mut frame: BytesMut,
) -> Result<Outcome, RequestError> {
    let (inputs, acks) = read_inputs(broker, address.version, &frame)?;
    let token = broker.parked_produces.last_token + 1;
    let mut parked = ParkedProduce {
        address,
        parts: Vec::with_capacity(inputs.len()),
        waiting: 0,
        is_silent: acks == 0,
    };
    // Records stand in the frame in the order of the parts, so each split leaves the rest in place.
    let (mut consumed, mut room) = (0, AnswerRoom::default());
    for Input { mut part, log, records } in inputs {
        if let Some(log) = log {
            let skip = records.start.saturating_sub(consumed).min(frame.len());
            let gap = frame.split_to(skip);
            let batches = frame.split_to(records.len().min(frame.len()));
            consumed += gap.len() + batches.len();
            let index = parked.parts.len() as u32;
            match append(broker, turn, (address.version, log), batches) {
                Ok(Pending { end_offset, outcome, is_committed, sync }) => {
                    part.outcome = outcome;
                    let waiter = CommitWaiter::Produce { token, part: index };
                    if !is_committed {
                        parked.waiting += 1;
                        broker.await_commit(log, end_offset, waiter);
                    }
                    if let Some(ticket) = sync {
                        parked.waiting += 1;
                        broker.await_sync(log, ticket, waiter);
                    }
                }
                Err(outcome) => part.outcome = outcome.within(&mut room),
            }
        }
        parked.parts.push(part);
    }
    if parked.waiting > 0 {
        broker.parked_produces.last_token = token;
        broker.parked_produces.by_token.insert(token, parked);
        return Ok(Outcome::Parked);
    }
    finish(broker, &parked)
}

/// Reads the request, resolves its partitions and finds its records in the frame.
fn read_inputs(
    broker: &Broker,
    version: i16,
    frame: &[u8],
) -> Result<(Vec<Input>, i16), RequestError> {
    let mut reader = Reader::for_request(frame);
    decode_request_header(&mut reader)?;
    let request = ProduceRequest::decode(&mut reader, version)?;
    reader.finish()?;
    let mut inputs = Vec::new();
    for topic in &request.topic_data {
        let image = broker.metadata.image();
        let known = if version >= FIRST_VERSION_WITH_IDS {
            image.topics.by_id(topic.topic_id)
        } else {
            image.topics.by_name(topic.name)
        };
        let name: Rc<str> = known.map_or(topic.name, |topic| &topic.name).into();
        let topic_id = known.map_or(topic.topic_id, |topic| topic.id);
        for data in &topic.partition_data {
            let log = broker.partitions.find(topic_id, data.index);
            let refusal = refusal(broker, &request, &name, known.is_some(), log);
            let records = match &data.records {
                Some(Records::Inline(bytes)) => place_in(frame, bytes),
                _ => 0..0,
            };
            let outcome = refusal
                .map_or_else(PartOutcome::open, |(error, text)| PartOutcome::failed(error, text));
            let log = if outcome.error == ErrorCode::None { log } else { None };
            let part =
                Part { topic_name: Rc::clone(&name), topic_id, partition: data.index, outcome };
            inputs.push(Input { part, log, records });
        }
    }
    Ok((inputs, request.acks))
}

/// Why a partition's batch is not even tried.
fn refusal(
    broker: &Broker,
    request: &ProduceRequest<'_>,
    name: &str,
    topic_is_known: bool,
    log: Option<LogId>,
) -> Option<(ErrorCode, Option<String>)> {
    if !(-1..=1).contains(&request.acks) {
        return Some((ErrorCode::InvalidRequiredAcks, None));
    }
    if request.transactional_id.is_some() {
        let text = "transactions are not served by this node yet".to_owned();
        return Some((ErrorCode::InvalidTxnState, Some(text)));
    }
    if !topic_is_known && name.is_empty() {
        return Some((ErrorCode::UnknownTopicId, None));
    }
    if broker.is_internal_topic(name) {
        let text = format!("Cannot append to internal topic {name}");
        return Some((ErrorCode::InvalidTopicException, Some(text)));
    }
    log.is_none().then_some((ErrorCode::UnknownTopicOrPartition, None))
}

/// Where `part`, a piece of `frame`, lies in it.
fn place_in(frame: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize);
    let end = start.wrapping_add(part.len());
    if frame.get(start..end).is_some() { start..end } else { 0..0 }
}

/// A batch that was accepted.
struct Pending {
    end_offset: i64,
    outcome: PartOutcome,
    /// Already committed: a duplicate of what is.
    is_committed: bool,
    /// The topic wants it synced before it is acknowledged (`flush.messages`).
    sync: Option<Ticket>,
}

fn append(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    (version, log): (i16, LogId),
    batches: BytesMut,
) -> Result<Pending, PartOutcome> {
    if version < FIRST_VERSION_WITH_ZSTD
        && BatchHeader::parse(&batches).is_ok_and(|header| header.codec() == Ok(Codec::Zstd))
    {
        let text = format!(
            "Produce requests with version {version} are not allowed to use ZStandard compression"
        );
        return Err(PartOutcome::failed(ErrorCode::UnsupportedCompressionType, Some(text)));
    }
    let partition = broker
        .partitions
        .get_mut(log)
        .ok_or_else(|| PartOutcome::failed(ErrorCode::NotLeaderOrFollower, None))?;
    let appended = partition
        .append(turn.now, batches, AppendOrigin::Client, &mut turn.out.disk)
        .map_err(PartOutcome::refused)?;
    let end_offset = appended.last_offset + 1;
    let is_committed = end_offset <= partition.high_watermark();
    broker.owe(turn, u64::from(appended.bytes));
    Ok(Pending {
        end_offset,
        is_committed,
        sync: appended.sync_ticket,
        outcome: PartOutcome {
            error: ErrorCode::None,
            message: None,
            records: Vec::new(),
            base_offset: appended.first_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
        },
    })
}

/// The answer when every part has its outcome.
fn finish(broker: &Broker, parked: &ParkedProduce) -> Result<Outcome, RequestError> {
    if parked.is_silent {
        let failed = parked.parts.iter().find(|part| part.outcome.error != ErrorCode::None);
        return match failed {
            None => Ok(Outcome::Silent),
            // The only sign a producer without acknowledgements can get.
            Some(part) => Err(RequestError::Refused(format!(
                "{} for {}-{} with acks=0",
                part.outcome.error.name(),
                part.topic_name,
                part.partition
            ))),
        };
    }
    answer(broker, parked).map(Outcome::Reply)
}

fn answer(broker: &Broker, parked: &ParkedProduce) -> Result<Response, RequestError> {
    let mut response = ProduceResponse::default();
    for part in &parked.parts {
        let data = partition_response(broker, part);
        match response.responses.last_mut() {
            Some(last) if last.topic_id == part.topic_id && last.name == &*part.topic_name => {
                last.partition_responses.push(data);
            }
            _ => response.responses.push(TopicProduceResponse {
                name: &part.topic_name,
                topic_id: part.topic_id,
                partition_responses: vec![data],
                ..Default::default()
            }),
        }
    }
    parked.address.encode(&response)
}

fn partition_response<'a>(broker: &Broker, part: &'a Part) -> PartitionProduceResponse<'a> {
    let outcome = &part.outcome;
    let mut data = PartitionProduceResponse {
        index: part.partition,
        error_code: outcome.error.code(),
        base_offset: outcome.base_offset,
        log_append_time_ms: outcome.log_append_time_ms,
        log_start_offset: outcome.log_start_offset,
        record_errors: outcome.records.iter().map(record_error).collect(),
        error_message: outcome.message.as_deref(),
        ..Default::default()
    };
    if outcome.error == ErrorCode::NotLeaderOrFollower
        && let Some(partition) =
            broker.metadata.image().topics.partition(part.topic_id, part.partition)
    {
        data.current_leader = LeaderIdAndEpoch {
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            ..Default::default()
        };
    }
    data
}

fn record_error(error: &RecordError) -> BatchIndexAndErrorMessage<'_> {
    BatchIndexAndErrorMessage {
        batch_index: error.batch_index,
        batch_index_error_message: Some(&error.message),
        ..Default::default()
    }
}

impl Broker {
    /// Part `part` of a parked produce is committed, or failed with `error`.
    pub(crate) fn on_produce_part(
        &mut self,
        turn: &mut Turn<'_>,
        (token, part): (u64, u32),
        error: ErrorCode,
    ) {
        let Some(parked) = self.parked_produces.by_token.get_mut(&token) else { return };
        if error != ErrorCode::None
            && let Some(part) = parked.parts.get_mut(part as usize)
        {
            part.outcome = PartOutcome::failed(error, None);
        }
        parked.waiting = parked.waiting.saturating_sub(1);
        if parked.waiting > 0 {
            return;
        }
        let Some(parked) = self.parked_produces.by_token.remove(&token) else { return };
        let result = finish(self, &parked);
        self.conclude(turn, parked.address.to, result);
    }
}
