//! Produce: each partition's batch into its log; the answer waits until the batches are committed.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use bytes::BytesMut;
use strom_base::{IdMap, Now, Planted, Uuid, planted};
use strom_coordinator::AnswerRoom;
use strom_metadata::image::Topic;
use strom_protocol::compression::Codec;
use strom_protocol::header::decode_request_header;
use strom_protocol::produce::{
    ProduceTerms, ProducedTopic, read_produce_request, write_produce_response,
};
use strom_protocol::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse,
};
use strom_protocol::records::BatchHeader;
use strom_protocol::{ErrorCode, Reader, Records};
use strom_replica::CommitWaiter;
use strom_replica::partition::append_error_code;
use strom_storage::disk::{LogId, Ticket};
use strom_storage::log::{AppendError, AppendOrigin, Examined, RecordError};

use crate::Broker;
use crate::call::{Outcome, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::examinations::{Batch, ExaminedProduce, Finding, Looked, compare};

pub(crate) const VERSIONS: RangeInclusive<i16> = 3..=13;
/// Since this version topics are named by their ids only.
const FIRST_VERSION_WITH_IDS: i16 = 13;
/// KIP-110.
const FIRST_VERSION_WITH_ZSTD: i16 = 7;
/// Since this version the leader is told to who asked somebody else (KIP-951).
const FIRST_VERSION_WITH_LEADERS: i16 = 10;

/// Of a batch that nobody came to look at: producers send it again.
const LEFT_OUT: &str =
    "the batches before it in the request take too much memory in the codecs of their topics";

/// Lists of parts that are kept for the next requests, and how long they may be.
const SPARE_MAX: usize = 64;
const SPARE_PARTS_MAX: usize = 64;

/// One partition of a request and what became of it.
#[derive(Debug)]
struct Part {
    /// Shared: a long name with many partitions is kept once.
    topic_name: Arc<str>,
    topic_id: Uuid,
    partition: i32,
    /// `None`: nothing is tried.
    log: Option<LogId>,
    /// Where in the frame its records are.
    records: Range<usize>,
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
    /// Empty lists of those that were answered, for the next ones.
    spare: Vec<Vec<Part>>,
}

impl ParkedProduces {
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    fn recycle(&mut self, mut parts: Vec<Part>) {
        if self.spare.len() < SPARE_MAX && parts.capacity() <= SPARE_PARTS_MAX {
            parts.clear();
            self.spare.push(parts);
        }
    }
}

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    address: ReturnAddress,
    frame: BytesMut,
) -> Result<Outcome, RequestError> {
    let read = read_parts(broker, (turn.now, address.version), &frame)?;
    look(broker, turn, address, (frame, read))
}

/// Goes on with a request whose records were looked at. Topics may have come and gone meanwhile, or are configured
/// anew; which part is which the frame tells.
pub(crate) fn handle_examined(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    examined: ExaminedProduce,
) -> Result<Outcome, RequestError> {
    let ExaminedProduce { address, frame, findings, is_complete } = examined;
    let mut read = read_parts(broker, (turn.now, address.version), &frame)?;
    let (unseen, findings) = compare(read.unseen, findings);
    read.unseen = unseen;
    if is_complete && !read.unseen.is_empty() {
        read.unseen.extend(findings.into_iter().map(|it| it.batch));
        read.unseen.sort_unstable_by_key(|it| it.part);
        return look(broker, turn, address, (frame, read));
    }
    append_all(broker, turn, address, (frame, read), findings)
}

/// Looks at the records of a request, or has somebody else look, and goes on.
fn look(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    address: ReturnAddress,
    (frame, read): (BytesMut, ReadParts),
) -> Result<Outcome, RequestError> {
    if read.unseen.is_empty() {
        return append_all(broker, turn, address, (frame, read), Vec::new());
    }
    let ReadParts { parts, acks, unseen } = read;
    match broker.look_at_records(turn, (address, acks == 0), frame, unseen) {
        Looked::AtOnce(frame, findings) => {
            let read = ReadParts { parts, acks, unseen: Vec::new() };
            append_all(broker, turn, address, (frame, read), findings)
        }
        Looked::Elsewhere => {
            broker.parked_produces.recycle(parts);
            Ok(Outcome::Parked)
        }
    }
}

/// Appends each partition's batch. `findings`: about those whose records were looked at; what is still unseen is
/// to be sent again.
fn append_all(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    address: ReturnAddress,
    (mut frame, read): (BytesMut, ReadParts),
    mut findings: Vec<Finding>,
) -> Result<Outcome, RequestError> {
    let token = broker.parked_produces.last_token + 1;
    let is_silent = read.acks == 0;
    let mut parked = ParkedProduce { address, parts: read.parts, waiting: 0, is_silent };
    let mut unseen = read.unseen.iter().peekable();
    // Records stand in the frame in the order of the parts, so each split leaves the rest in place.
    let (mut consumed, mut room) = (0, AnswerRoom::default());
    for (index, part) in parked.parts.iter_mut().enumerate() {
        let found = findings.pop_if(|it| it.batch.part == index);
        if unseen.next_if(|it| it.part == index).is_some() {
            part.outcome = PartOutcome::failed(ErrorCode::RequestTimedOut, Some(LEFT_OUT.into()));
            continue;
        }
        let Some(log) = part.log else { continue };
        let skip = part.records.start.saturating_sub(consumed).min(frame.len());
        let gap = frame.split_to(skip);
        let batches = frame.split_to(part.records.len().min(frame.len()));
        consumed += gap.len() + batches.len();
        let examined = found.map_or(Ok(None), |it| it.examined);
        match append(broker, turn, (address.version, log), (batches, examined)) {
            Ok(Pending { end_offset, outcome, is_committed, sync }) => {
                part.outcome = outcome;
                let waiter = CommitWaiter::Produce { token, part: index as u32 };
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
    if parked.waiting > 0 {
        broker.parked_produces.last_token = token;
        broker.parked_produces.by_token.insert(token, parked);
        return Ok(Outcome::Parked);
    }
    finish(broker, turn, parked)
}

/// A request that was read.
struct ReadParts {
    parts: Vec<Part>,
    acks: i16,
    /// Batches whose records are to be looked at.
    unseen: Vec<Batch>,
}

/// Reads the request, resolves its partitions and finds its records in the frame.
fn read_parts(
    broker: &mut Broker,
    (now, version): (Now, i16),
    frame: &[u8],
) -> Result<ReadParts, RequestError> {
    let mut parts = broker.parked_produces.spare.pop().unwrap_or_default();
    let (broker, mut unseen) = (&*broker, Vec::new());
    let mut reader = Reader::for_request(frame);
    decode_request_header(&mut reader)?;
    let terms = read_produce_request(&mut reader, version, |terms, topic, data| {
        let known = resolve(broker, version, topic);
        let topic_id = known.map_or(topic.id, |topic| topic.id);
        let log = broker.partitions.find(topic_id, data.index);
        let name = known.map_or(topic.name, |topic| &topic.name);
        let outcome = refusal(broker, terms, (name, topic_id, data.index), log)
            .map_or_else(PartOutcome::open, |(error, text)| PartOutcome::failed(error, text));
        let records = match data.records {
            Some(Records::Inline(bytes)) => place_in(frame, bytes),
            _ => 0..0,
        };
        let found = log.and_then(|log| broker.partitions.get(log));
        let topic_name = match (found, parts.last()) {
            (Some(partition), _) => Arc::clone(&partition.log.identity().topic),
            (None, Some(last)) if *last.topic_name == *name => Arc::clone(&last.topic_name),
            (None, _) => name.into(),
        };
        let is_tried = outcome.error == ErrorCode::None;
        let log = log.filter(|_| is_tried);
        if let Some(partition) = found.filter(|_| is_tried)
            && let Some(batches) = frame.get(records.clone())
            && let Some(examination) = partition.log.examination_of(now, batches)
        {
            let log = partition.log.identity().id;
            unseen.push(Batch { part: parts.len(), log, records: records.clone(), examination });
        }
        parts.push(Part { topic_name, topic_id, partition: data.index, log, records, outcome });
    })?;
    Ok(ReadParts { parts, acks: terms.acks, unseen })
}

fn resolve<'a>(broker: &'a Broker, version: i16, topic: ProducedTopic<'_>) -> Option<&'a Topic> {
    let topics = &broker.metadata.image().topics;
    if version >= FIRST_VERSION_WITH_IDS {
        topics.by_id(topic.id)
    } else {
        topics.by_name(topic.name)
    }
}

/// Why a partition's batch is not even tried.
fn refusal(
    broker: &Broker,
    terms: &ProduceTerms<'_>,
    (name, topic_id, partition): (&str, Uuid, i32),
    log: Option<LogId>,
) -> Option<(ErrorCode, Option<String>)> {
    if !(-1..=1).contains(&terms.acks) {
        return Some((ErrorCode::InvalidRequiredAcks, None));
    }
    if terms.transactional_id.is_some() {
        let text = "transactions are not served by this node yet".to_owned();
        return Some((ErrorCode::InvalidTxnState, Some(text)));
    }
    if name.is_empty() {
        return Some((ErrorCode::UnknownTopicId, None));
    }
    if broker.is_internal_topic(name) {
        let text = format!("Cannot append to internal topic {name}");
        return Some((ErrorCode::InvalidTopicException, Some(text)));
    }
    log.is_none().then(|| (broker.missing_partition(topic_id, partition), None))
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
    (batches, examined): (BytesMut, Examined),
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
    let (now, disk) = (turn.now, &mut turn.out.disk);
    let appended =
        partition.append_examined(now, (batches, Some(examined)), AppendOrigin::Client, disk);
    let appended = appended.map_err(PartOutcome::refused)?;
    let end_offset = appended.last_offset + 1;
    let is_committed = end_offset <= partition.high_watermark()
        || (appended.is_duplicate && planted(Planted::DuplicateAnsweredEarly));
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
fn finish(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    parked: ParkedProduce,
) -> Result<Outcome, RequestError> {
    if parked.is_silent {
        let failed = parked.parts.iter().find(|part| part.outcome.error != ErrorCode::None);
        if let Some(part) = failed {
            // The only sign a producer without acknowledgements can get.
            return Err(RequestError::Refused(format!(
                "{} for {}-{} with acks=0",
                part.outcome.error.name(),
                part.topic_name,
                part.partition
            )));
        }
        broker.parked_produces.recycle(parked.parts);
        return Ok(Outcome::Silent);
    }
    let response = answer(broker, turn.out.spare(), &parked)?;
    broker.parked_produces.recycle(parked.parts);
    Ok(Outcome::Reply(response))
}

fn topic_of(part: &Part) -> ProducedTopic<'_> {
    ProducedTopic { name: &part.topic_name, id: part.topic_id }
}

fn answer(
    broker: &Broker,
    spare: Response,
    parked: &ParkedProduce,
) -> Result<Response, RequestError> {
    parked.address.encode_by(spare, &mut Vec::new(), |writer| {
        write_produce_response(writer, parked.address.version, &parked.parts, topic_of, |part| {
            partition_response(broker, parked.address.version, part)
        })
    })
}

fn partition_response<'a>(
    broker: &Broker,
    version: i16,
    part: &'a Part,
) -> PartitionProduceResponse<'a> {
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
        && version >= FIRST_VERSION_WITH_LEADERS
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
        let to = parked.address.to;
        let result = finish(self, turn, parked);
        self.conclude(turn, to, result);
    }
}
