//! Somebody who creates a topic, writes to it, reads it, deletes it and begins again by the same name.

use strom_protocol::ErrorCode;
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use strom_protocol::delete_topics_request::DeleteTopicsRequest;
use strom_protocol::delete_topics_response::DeleteTopicsResponse;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::produce_response::ProduceResponse;

use super::admin::{Topic, creation};
use super::batch::{Batch, Sender, State};
use super::wire::{CREATE_TOPICS, DELETE_RECORDS, DELETE_TOPICS, FETCH, PRODUCE, each_record};
use super::{Context, Link};
use crate::world::places::{Mark, Place};

const TOPIC: &str = "passing";
/// What its records say of where they belong: none of the world's own places.
const PLACE: Place = Place(u16::MAX);
/// Numbers of records, for each round.
const NUMBERS: u32 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Write,
    Read,
    /// Its records are deleted before it is: the next one of its name must not begin where it did.
    Trim,
    Delete,
}

#[derive(Debug)]
pub(in crate::world) struct Churner {
    configs: Vec<(&'static str, String)>,
    rounds_left: u32,
    round: u32,
    step: Step,
    /// Records of this round that were acknowledged, and how often the power had failed before.
    written: Vec<(Mark, u64)>,
    /// Asked for once at least: the answer may have been lost.
    is_repeated: bool,
    /// A deletion was asked for twice: the first request may still be on its way, and hit the next
    /// topic of that name.
    may_be_deleted_late: bool,
    asked: Option<i32>,
    /// A record that was sent behind the deletion.
    passing: Option<i32>,
    /// One of them may still be on its way, and come into the next topic of that name.
    may_be_written_late: bool,
}

impl Churner {
    pub(in crate::world) fn new(rounds: u32, configs: Vec<(&'static str, String)>) -> Self {
        Self {
            configs,
            rounds_left: rounds,
            round: 0,
            step: Step::Create,
            written: Vec::new(),
            is_repeated: false,
            may_be_deleted_late: false,
            asked: None,
            passing: None,
            may_be_written_late: false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rounds_left == 0 && self.passing.is_none()
    }

    /// Whether something that changes metadata is under way.
    pub(super) fn is_changing(&self) -> bool {
        self.is_repeated
            || (self.asked.is_some() && matches!(self.step, Step::Create | Step::Delete))
    }

    pub(super) fn on_disconnected(&mut self) {
        let was_asked = self.asked.take().is_some();
        self.is_repeated |= was_asked;
        self.may_be_written_late |= self.passing.take().is_some();
        self.may_be_deleted_late |= was_asked && self.step == Step::Delete;
    }

    /// The record of this round that is written next.
    fn next(&self) -> Mark {
        Mark { producer: u16::MAX, number: self.round * NUMBERS + self.written.len() as u32 }
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() || self.passing.is_some() || self.is_done() {
            return Ok(());
        }
        let id = match self.step {
            Step::Create => {
                let topic = Topic { name: TOPIC, partitions: 1, configs: self.configs.clone() };
                link.send(CREATE_TOPICS, &creation(&[topic]), context)?
            }
            Step::Write => match self.write(link, context)? {
                Some(id) => id,
                None => return Ok(()),
            },
            Step::Read => link.send(FETCH, &fetch(), context)?,
            Step::Trim => {
                let offset = self.written.len() as i64;
                let part = DeleteRecordsPartition { offset, ..Default::default() };
                let topic = DeleteRecordsTopic {
                    name: TOPIC,
                    partitions: vec![part],
                    ..Default::default()
                };
                let request = DeleteRecordsRequest {
                    topics: vec![topic],
                    timeout_ms: 1000,
                    ..Default::default()
                };
                link.send(DELETE_RECORDS, &request, context)?
            }
            Step::Delete => {
                let request = DeleteTopicsRequest {
                    topic_names: vec![TOPIC],
                    timeout_ms: 30_000,
                    ..Default::default()
                };
                let id = link.send(DELETE_TOPICS, &request, context)?;
                if context.random.one_in(2) {
                    self.passing = self.write(link, context)?;
                }
                id
            }
        };
        self.asked = Some(id);
        Ok(())
    }

    fn write(&self, link: &mut Link, context: &mut Context<'_>) -> Result<Option<i32>, String> {
        let mut batch = Batch {
            base_sequence: -1,
            timestamp_ms: context.now.wall_ms,
            padding: context.random.below(500) as usize,
            first: self.next(),
            count: 1,
            state: State::Unsent,
            asked: None,
        };
        let sender = Sender { identity: None, acks: -1 };
        batch.send((PLACE, TOPIC, 0), sender, link, context)?;
        Ok(match batch.state {
            State::Sent(id) => Some(id),
            State::Unsent | State::Refused => None,
        })
    }

    pub(super) fn on_answer(
        &mut self,
        correlation_id: i32,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        if self.passing.take_if(|id| *id == correlation_id).is_some() {
            // Written, or not: all that it may not be is forgotten.
            context.audit.steps += 1;
            context.pause(30);
            return Ok(());
        }
        if self.asked.take() != Some(correlation_id) {
            return Err("the topic's owner was answered out of order".into());
        }
        context.pause(30);
        let code = match self.step {
            Step::Create => {
                let answer: CreateTopicsResponse<'_> = CREATE_TOPICS.answer(bytes)?;
                answer.topics.first().map_or(0, |topic| topic.error_code)
            }
            Step::Write => {
                let answer: ProduceResponse<'_> = PRODUCE.answer(bytes)?;
                let parts = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
                parts.map(|part| part.error_code).next().unwrap_or(0)
            }
            Step::Read => return self.on_read(&FETCH.answer(bytes)?, context),
            // Whether they are gone does not matter: the topic goes, too.
            Step::Trim => {
                self.step = Step::Delete;
                return Ok(());
            }
            Step::Delete => {
                let answer: DeleteTopicsResponse<'_> = DELETE_TOPICS.answer(bytes)?;
                answer.responses.first().map_or(0, |topic| topic.error_code)
            }
        };
        self.on_code(ErrorCode::from_code(code), context)
    }

    fn on_code(&mut self, error: ErrorCode, context: &mut Context<'_>) -> Result<(), String> {
        let is_done = match (self.step, error) {
            (_, ErrorCode::None) => true,
            (Step::Create, ErrorCode::TopicAlreadyExists)
            | (Step::Delete, ErrorCode::UnknownTopicOrPartition) => self.is_repeated,
            _ => false,
        };
        if !is_done && error == ErrorCode::UnknownTopicOrPartition && self.may_be_deleted_late {
            self.written.clear();
            self.step = Step::Create;
            self.is_repeated = true;
            context.retry();
            return Ok(());
        }
        if !is_done {
            context.retry();
            let is_fatal = !context.audit.refuse(PLACE, error, None);
            let text = format!("{TOPIC}, {:?}: {}", self.step, error.name());
            return if is_fatal { Err(text) } else { Ok(()) };
        }
        self.is_repeated = false;
        context.audit.steps += 1;
        match self.step {
            Step::Create => self.step = Step::Write,
            Step::Write => {
                self.written.push((self.next(), context.audit.told_at));
                if context.random.one_in(4) {
                    self.step = Step::Read;
                }
            }
            Step::Read | Step::Trim => {}
            Step::Delete => {
                context.audit.deleted_topics += 1;
                self.round += 1;
                self.rounds_left -= 1;
                self.written.clear();
                self.step = Step::Create;
            }
        }
        Ok(())
    }

    /// All that was acknowledged in this round is there, and nothing of an earlier one.
    fn on_read(
        &mut self,
        answer: &FetchResponse<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let part = answer.responses.first().and_then(|topic| topic.partitions.first());
        let part = part.ok_or("a fetch of one partition was answered without it")?;
        let error = ErrorCode::from_code(part.error_code);
        if error == ErrorCode::OffsetOutOfRange && context.audit.was_clock_moved {
            // A start believes the clock, and lets go what is too old by it.
            self.step = Step::Delete;
            return Ok(());
        }
        if error == ErrorCode::UnknownTopicOrPartition && self.may_be_deleted_late {
            self.written.clear();
            self.step = Step::Create;
            self.is_repeated = true;
            return Ok(());
        }
        if error != ErrorCode::None {
            return if error.is_retriable() { Ok(()) } else { Err(error.name().to_owned()) };
        }
        let bytes = part.records.as_ref().and_then(|records| records.inline()).unwrap_or_default();
        let mut found = Vec::new();
        let read = (bytes, context.audit.was_read_wrong);
        let is_whole = each_record(PLACE, read, |(offset, _), mark| {
            if mark.number / NUMBERS != self.round && !self.may_be_written_late {
                return Err(format!(
                    "{TOPIC} offset {offset} holds {mark:?} in round {}",
                    self.round
                ));
            }
            found.push(mark);
            Ok(())
        })?;
        if !is_whole {
            return Ok(());
        }
        let mut found = found.iter();
        let mut kept = self.written.iter().filter(|(_, at)| context.audit.is_kept(*at));
        if let Some((lost, _)) = kept.find(|(mark, _)| !found.any(|it| it == mark)) {
            return Err(format!("{TOPIC}: {lost:?} was acknowledged and is not there"));
        }
        self.step = if context.random.one_in(2) { Step::Trim } else { Step::Delete };
        Ok(())
    }
}

fn fetch() -> FetchRequest<'static> {
    let partition = FetchPartition {
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        replica_id: -1,
        max_wait_ms: 10,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: TOPIC,
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}
