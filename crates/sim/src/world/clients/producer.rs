//! A producer: batches in flight, repeated in order after whatever went wrong.
//!
//! Three kinds: idempotent with several batches in flight, one at a time with acknowledgements only,
//! and one that asks for no acknowledgement and so never repeats anything.

use std::collections::{BTreeMap, VecDeque};

use strom_base::Random;
use strom_protocol::ErrorCode;
use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::produce_response::ProduceResponse;

use super::actor::{Context, Link};
use super::audit::{Kind, Place};
use super::batch::{Batch, Sender, State};
use super::wire::{INIT_PRODUCER_ID, PRODUCE};

/// Kafka's `max.in.flight.requests.per.connection` of an idempotent producer.
const IN_FLIGHT_MAX: usize = 5;
/// A batch that is refused this often in a row will never be taken.
const ATTEMPTS_MAX: u32 = 200;
const RETRY_MS: u64 = 20;

#[derive(Debug)]
pub(super) struct Producer {
    name: String,
    kind: Kind,
    acks: i16,
    identity: Option<(i64, i16)>,
    /// How often the power had failed when it got that.
    identity_at: u64,
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

/// What an answer said of one batch.
#[derive(Clone, Copy, Debug)]
struct Verdict<'a> {
    error: ErrorCode,
    message: Option<&'a str>,
    base_offset: i64,
}

impl Producer {
    pub(super) fn new(kind: Kind, index: u64, places: &[Place], random: &mut Random) -> Self {
        let queues = places.iter().map(|place| (place.clone(), Queue::default())).collect();
        let acks = match kind {
            Kind::Idempotent => -1,
            Kind::Repeating => [1, -1][usize::from(random.one_in(2))],
            Kind::Unacknowledged => 0,
        };
        Self {
            name: format!("{}{index}", kind.prefix()),
            kind,
            acks,
            identity: None,
            identity_at: 0,
            asked_identity: None,
            identity_refusals: 0,
            queues,
            batches_left: 20 + random.below(60),
            next_number: 0,
        }
    }

    pub(super) fn with_batches(self, batches_left: u64) -> Self {
        Self { batches_left, ..self }
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
        if self.kind == Kind::Idempotent && self.identity.is_none() {
            return self.ask_identity(link, context);
        }
        self.invent(context);
        let sender = Sender { identity: self.identity, acks: self.acks };
        let in_flight_max = if self.kind == Kind::Idempotent { IN_FLIGHT_MAX } else { 1 };
        let mut in_flight = self.in_flight();
        for (place, queue) in &mut self.queues {
            queue.forget_refusals();
            for batch in &mut queue.batches {
                match batch.state {
                    State::Refused => break,
                    State::Sent(_) => {}
                    State::Unsent if in_flight < in_flight_max => {
                        batch.send(place, sender, link, context)?;
                        in_flight += 1;
                    }
                    State::Unsent => break,
                }
            }
            if self.kind == Kind::Unacknowledged {
                queue.batches.retain(|batch| batch.state == State::Unsent);
            }
        }
        if !self.is_done() {
            let delay_ms = 1 + context.random.below(15);
            context.wake_after(delay_ms);
        }
        Ok(())
    }

    fn ask_identity(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
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
        let Some((place, queue)) = self.queues.iter_mut().nth(index) else { return };
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
        context.audit.send(place, &texts);
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
            return self.on_identity(bytes, context);
        }
        let answer: ProduceResponse<'_> = PRODUCE.answer(bytes)?;
        let mut lost_identity = false;
        for topic in &answer.responses {
            for part in &topic.partition_responses {
                let place = (topic.name.to_owned(), part.index);
                let queue = self.queues.get_mut(&place).ok_or("an answer for nobody")?;
                let verdict = Verdict {
                    error: ErrorCode::from_code(part.error_code),
                    message: part.error_message,
                    base_offset: part.base_offset,
                };
                lost_identity |= verdict.error == ErrorCode::OutOfOrderSequenceNumber
                    && context.audit.is_forgiven(&place)
                    && self.identity_at < context.audit.power_failures;
                queue.settle(&place, correlation_id, verdict, context)?;
            }
        }
        if lost_identity {
            self.begin_anew();
        }
        Ok(())
    }

    fn on_identity(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<(), String> {
        self.asked_identity = None;
        let answer: InitProducerIdResponse<'_> = INIT_PRODUCER_ID.answer(bytes)?;
        if answer.error_code == ErrorCode::None.code() {
            let identity = (answer.producer_id, answer.producer_epoch);
            context.audit.give_identity(identity)?;
            self.identity = Some(identity);
            self.identity_at = context.audit.told_at;
            return Ok(());
        }
        self.identity_refusals += 1;
        if self.identity_refusals > ATTEMPTS_MAX {
            let error = ErrorCode::from_code(answer.error_code);
            return Err(format!("no producer id for ever: {}", error.name()));
        }
        context.wake_after(RETRY_MS);
        Ok(())
    }

    /// The power failed under records that were acknowledged and not synced, and with them went what
    /// the node knew of this producer: it takes another id and counts from zero, as clients do.
    fn begin_anew(&mut self) {
        if self.in_flight() > 0 {
            return;
        }
        self.identity = None;
        for queue in self.queues.values_mut() {
            queue.next_sequence = 0;
            for batch in &mut queue.batches {
                batch.base_sequence = queue.next_sequence;
                queue.next_sequence += batch.texts.len() as i32;
            }
        }
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
        verdict: Verdict<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let is_it = |batch: &Batch| batch.state == State::Sent(correlation_id);
        let index = self.batches.iter().position(is_it).ok_or("an answer to no question")?;
        let Verdict { error, message, base_offset } = verdict;
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
                        return Err(format!(
                            "{place:?} refuses {:?} with {} for ever: {message:?}",
                            batch.texts,
                            error.name()
                        ));
                    }
                }
                context.wake_after(RETRY_MS);
            }
            _ => return Err(format!("{place:?} refuses a batch with {}", error.name())),
        }
        Ok(())
    }
}
