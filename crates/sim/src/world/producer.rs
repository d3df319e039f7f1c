//! An idempotent producer: batches in flight, repeated in order after whatever went wrong.

use std::collections::{BTreeMap, VecDeque};

use strom_base::Random;
use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_protocol::{ErrorCode, Records};

use super::actor::{Context, Link};
use super::audit::Place;
use super::wire::{INIT_PRODUCER_ID, PRODUCE};

/// Kafka's `max.in.flight.requests.per.connection` of an idempotent producer.
const IN_FLIGHT_MAX: usize = 5;
/// A batch that is refused this often in a row will never be taken.
const ATTEMPTS_MAX: u32 = 200;
const RETRY_MS: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unsent,
    Sent(i32),
    Refused,
}

#[derive(Debug)]
struct Batch {
    base_sequence: i32,
    timestamp_ms: i64,
    padding: usize,
    texts: Vec<String>,
    state: State,
    attempts: u32,
}

#[derive(Debug)]
pub(super) struct Producer {
    name: String,
    identity: Option<(i64, i16)>,
    asked_identity: Option<i32>,
    identity_refusals: u32,
    queues: BTreeMap<Place, Queue>,
    batches_left: u64,
    next_number: u64,
}

#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Batch>,
    next_sequence: i32,
}

impl Producer {
    pub(super) fn new(name: String, places: &[Place], batches: u64) -> Self {
        let queues = places.iter().map(|place| (place.clone(), Queue::default())).collect();
        Self {
            name,
            identity: None,
            asked_identity: None,
            identity_refusals: 0,
            queues,
            batches_left: batches,
            next_number: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.batches_left == 0 && self.queues.values().all(|queue| queue.batches.is_empty())
    }

    pub(super) fn on_disconnected(&mut self) {
        self.asked_identity = None;
        for batch in self.queues.values_mut().flat_map(|queue| &mut queue.batches) {
            batch.state = State::Unsent;
        }
    }

    /// Sends what may be sent.
    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        let Some(identity) = self.identity else {
            if self.asked_identity.is_none() {
                let request = InitProducerIdRequest {
                    transactional_id: None,
                    transaction_timeout_ms: 60_000,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..Default::default()
                };
                self.asked_identity = Some(link.send(INIT_PRODUCER_ID, &request, context)?);
            }
            return Ok(());
        };
        self.invent(context);
        let mut in_flight = self.in_flight();
        for (place, queue) in &mut self.queues {
            queue.forget_refusals();
            for batch in &mut queue.batches {
                match batch.state {
                    State::Refused => break,
                    State::Sent(_) => {}
                    State::Unsent if in_flight < IN_FLIGHT_MAX => {
                        batch.send(place, identity, link, context)?;
                        in_flight += 1;
                    }
                    State::Unsent => break,
                }
            }
        }
        if !self.is_done() {
            let delay_ms = 1 + context.random.below(15);
            context.wake_after(delay_ms);
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        let batches = self.queues.values().flat_map(|queue| &queue.batches);
        batches.filter(|batch| matches!(batch.state, State::Sent(_))).count()
    }

    /// Makes up a batch now and then.
    fn invent(&mut self, context: &mut Context<'_>) {
        if self.batches_left == 0 || context.random.one_in(3) {
            return;
        }
        let index = context.random.below(self.queues.len() as u64) as usize;
        let Some((_, queue)) = self.queues.iter_mut().nth(index) else { return };
        if queue.batches.len() >= IN_FLIGHT_MAX {
            return;
        }
        self.batches_left -= 1;
        let count = 1 + context.random.below(3);
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(format!("{}#{}", self.name, self.next_number));
            self.next_number += 1;
        }
        queue.batches.push_back(Batch {
            base_sequence: queue.next_sequence,
            timestamp_ms: context.now.wall_ms,
            padding: padding(context.random),
            texts,
            state: State::Unsent,
            attempts: 0,
        });
        queue.next_sequence += count as i32;
    }

    pub(super) fn on_answer(
        &mut self,
        correlation_id: i32,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        if self.asked_identity == Some(correlation_id) {
            self.asked_identity = None;
            let answer: InitProducerIdResponse<'_> = INIT_PRODUCER_ID.answer(bytes)?;
            if answer.error_code == ErrorCode::None.code() {
                self.identity = Some((answer.producer_id, answer.producer_epoch));
            } else {
                self.identity_refusals += 1;
                if self.identity_refusals > ATTEMPTS_MAX {
                    let error = ErrorCode::from_code(answer.error_code);
                    return Err(format!("no producer id for ever: {}", error.name()));
                }
                context.wake_after(RETRY_MS);
            }
            return Ok(());
        }
        let answer: ProduceResponse<'_> = PRODUCE.answer(bytes)?;
        for topic in &answer.responses {
            for part in &topic.partition_responses {
                let place = (topic.name.to_owned(), part.index);
                let queue = self.queues.get_mut(&place).ok_or("an answer for nobody")?;
                let error = ErrorCode::from_code(part.error_code);
                queue.settle(&place, correlation_id, (error, part.base_offset), context)?;
            }
        }
        Ok(())
    }
}

fn padding(random: &mut Random) -> usize {
    match random.below(8) {
        0 => random.below(40_000) as usize,
        1..=3 => random.below(2000) as usize,
        _ => random.below(100) as usize,
    }
}

impl Queue {
    /// Once nothing is under way any more, what was refused is sent again, in order.
    fn forget_refusals(&mut self) {
        if self.batches.iter().any(|batch| matches!(batch.state, State::Sent(_))) {
            return;
        }
        for batch in &mut self.batches {
            batch.state = State::Unsent;
        }
    }

    fn settle(
        &mut self,
        place: &Place,
        correlation_id: i32,
        (error, base_offset): (ErrorCode, i64),
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let is_it = |batch: &Batch| batch.state == State::Sent(correlation_id);
        let index = self.batches.iter().position(is_it).ok_or("an answer to no question")?;
        match error {
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => {
                if let Some(batch) = self.batches.remove(index) {
                    context.audit.acknowledge(place, base_offset, &batch.texts);
                }
            }
            _ if error.is_retriable() || error == ErrorCode::OutOfOrderSequenceNumber => {
                if let Some(batch) = self.batches.get_mut(index) {
                    batch.state = State::Refused;
                    batch.attempts += 1;
                    if batch.attempts > ATTEMPTS_MAX {
                        return Err(format!("{place:?} refuses with {} for ever", error.name()));
                    }
                }
                context.wake_after(RETRY_MS);
            }
            _ => return Err(format!("{place:?} refuses a batch with {}", error.name())),
        }
        Ok(())
    }
}

impl Batch {
    fn send(
        &mut self,
        place: &Place,
        (producer_id, producer_epoch): (i64, i16),
        link: &mut Link,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id,
            producer_epoch,
            base_sequence: self.base_sequence,
            ..BatchOptions::default()
        });
        for text in &self.texts {
            let mut value = text.clone().into_bytes();
            value.push(b'\n');
            value.resize(value.len() + self.padding, b'x');
            let timestamp_ms = self.timestamp_ms;
            let key = Some(text.as_bytes());
            builder
                .append(&NewRecord { timestamp_ms, key, value: Some(&value), headers: &[] })
                .map_err(|error| error.to_string())?;
        }
        let records = builder.build();
        let data = PartitionProduceData {
            index: place.1,
            records: Some(Records::Inline(&records)),
            ..Default::default()
        };
        let topic =
            TopicProduceData { name: &place.0, partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        self.state = State::Sent(link.send(PRODUCE, &request, context)?);
        Ok(())
    }
}
