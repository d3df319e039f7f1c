//! A producer: batches in flight, repeated in order after whatever went wrong.
//!
//! Three kinds: idempotent with several batches in flight, one at a time with acknowledgements only,
//! and one that asks for no acknowledgement and so never repeats anything.

use std::collections::VecDeque;

use strom_base::Random;
use strom_protocol::ErrorCode;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::produce_response::ProduceResponse;

use super::asker::question;
use super::batch::{Batch, Sender, State};
use super::wire::{INIT_PRODUCER_ID, PRODUCE};
use super::{Act, Context, Link};
use crate::world::audit::Audit;
use crate::world::clock::MILLISECOND;
use crate::world::places::{Mark, Place};

/// Kafka's `max.in.flight.requests.per.connection` of an idempotent producer.
const IN_FLIGHT_MAX: usize = 5;
/// Where a partition is not served others have their turn for so long.
const PUT_OFF_PACES: u64 = 100;

/// How a producer produces, and so what it is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Kind {
    /// Exactly once, in order.
    Idempotent,
    /// One batch at a time, repeated until it is acknowledged: in order, perhaps more than once.
    Repeating,
    /// Never repeated: in order, at most once.
    Unacknowledged,
}

#[derive(Debug)]
pub(in crate::world) struct Producer {
    number: u16,
    kind: Kind,
    acks: i16,
    identity: Option<(i64, i16)>,
    /// How often the power had failed when it got that.
    identity_at: u64,
    /// The node knows nothing of it any more: once nothing is under way it begins anew.
    is_forgotten: bool,
    asked_identity: Option<i32>,
    queues: Vec<Queue>,
    /// Batches that were sent and not answered yet.
    in_flight: usize,
    batches_left: u64,
    next_number: u32,
    /// Most of its values are smaller than this.
    padding_max: u64,
    /// Nothing is sent behind a first batch before that is there. Where batches may be refused for
    /// good reason, the one behind the first would be taken as the beginning of a stranger.
    begins_alone: bool,
    /// The sequence of its first batches.
    first_sequence: i64,
    /// It leaves a connection on which nothing was answered for so long, in milliseconds.
    patience_ms: u64,
    /// Since when it waits for the next answer.
    waits_since_ms: u64,
}

#[derive(Debug)]
struct Queue {
    place: Place,
    batches: VecDeque<Batch>,
    /// As sequences are if they never began at 0 again.
    next_sequence: i64,
    /// Its partition was refused as a whole: nothing is sent there before, in milliseconds.
    put_off_until_ms: u64,
    /// Of the present identity, the sequence behind the last batch that was acknowledged.
    acknowledged: Option<i64>,
}

/// What an answer said of one batch.
#[derive(Clone, Copy, Debug)]
struct Verdict<'a> {
    error: ErrorCode,
    message: Option<&'a str>,
    base_offset: i64,
}

impl Producer {
    pub(in crate::world) fn new(
        number: u16,
        kind: Kind,
        places: &[Place],
        random: &mut Random,
    ) -> Self {
        let queue = |place: &Place| Queue {
            place: *place,
            batches: VecDeque::new(),
            next_sequence: 0,
            put_off_until_ms: 0,
            acknowledged: None,
        };
        let acks = match kind {
            Kind::Idempotent => -1,
            Kind::Repeating => [1, -1][usize::from(random.one_in(2))],
            Kind::Unacknowledged => 0,
        };
        Self {
            number,
            kind,
            acks,
            identity: None,
            identity_at: 0,
            is_forgotten: false,
            asked_identity: None,
            queues: places.iter().map(queue).collect(),
            in_flight: 0,
            batches_left: 0,
            next_number: 0,
            padding_max: 2000,
            begins_alone: false,
            first_sequence: 0,
            patience_ms: u64::MAX,
            waits_since_ms: 0,
        }
    }

    pub(in crate::world) fn with_batches(self, batches_left: u64) -> Self {
        Self { batches_left, ..self }
    }

    /// It has no more batches left than that.
    pub(in crate::world) fn stop_after(&mut self, batches: u64) {
        self.batches_left = self.batches_left.min(batches);
    }

    pub(in crate::world) fn begin_alone(&mut self) {
        self.begins_alone = true;
    }

    /// Sequences begin shortly before the largest, as those of who has produced for long.
    pub(in crate::world) fn begin_before_wrap(&mut self, batches: u64) {
        self.first_sequence = i64::from(i32::MAX) - batches as i64;
        self.queues.iter_mut().for_each(|queue| queue.next_sequence = self.first_sequence);
    }

    pub(in crate::world) fn with_patience(self, patience_ms: u64) -> Self {
        Self { patience_ms, ..self }
    }

    pub(in crate::world) fn with_padding(self, padding_max: u64) -> Self {
        Self { padding_max, ..self }
    }

    pub(super) fn is_done(&self) -> bool {
        self.batches_left == 0 && self.queues.iter().all(|queue| queue.batches.is_empty())
    }

    /// Whether it has nothing left for partitions that are there.
    pub(in crate::world) fn is_done_where(&self, is_there: &dyn Fn(Place) -> bool) -> bool {
        let mut there = self.queues.iter().filter(|queue| is_there(queue.place)).peekable();
        let has_none = there.peek().is_none();
        has_none || (self.batches_left == 0 && there.all(|queue| queue.batches.is_empty()))
    }

    pub(super) fn on_disconnected(&mut self) {
        self.asked_identity = None;
        self.in_flight = 0;
        for batch in self.queues.iter_mut().flat_map(|queue| &mut queue.batches) {
            batch.state = State::Unsent;
        }
    }

    /// Sends what may be sent.
    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.is_forgotten && self.in_flight == 0 {
            self.begin_anew(context.audit);
        }
        if self.kind == Kind::Idempotent && self.identity.is_none() {
            return self.ask_identity(link, context);
        }
        let now_ms = context.now.monotonic_ms;
        if self.in_flight == 0 {
            self.waits_since_ms = now_ms;
        } else if now_ms - self.waits_since_ms > self.patience_ms {
            // Who never got an answer in time would never get any.
            self.patience_ms = self.patience_ms.saturating_mul(2);
            context.acts.push(Act::GiveUp);
            return Ok(());
        }
        if self.is_forgotten {
            context.pause(15);
            return Ok(());
        }
        self.invent(context);
        let sender = Sender { identity: self.identity, acks: self.acks };
        let in_flight_max = if self.kind == Kind::Idempotent { IN_FLIGHT_MAX } else { 1 };
        let is_due =
            |queue: &&mut Queue| !queue.batches.is_empty() && queue.put_off_until_ms <= now_ms;
        for queue in self.queues.iter_mut().filter(is_due) {
            queue.forget_refusals();
            let (topic, partition) = context.audit.places.at(queue.place);
            let most =
                if self.begins_alone && queue.acknowledged.is_none() { 1 } else { IN_FLIGHT_MAX };
            for batch in queue.batches.iter_mut().take(most) {
                match batch.state {
                    State::Refused => break,
                    State::Sent(_) => {}
                    State::Unsent if self.in_flight < in_flight_max => {
                        batch.send((queue.place, topic, partition), sender, link, context)?;
                        self.in_flight += 1;
                    }
                    State::Unsent => break,
                }
            }
            if self.kind == Kind::Unacknowledged {
                queue.batches.retain(|batch| batch.state == State::Unsent);
                self.in_flight = 0;
            }
        }
        if !self.is_done() {
            context.pause(15);
        }
        Ok(())
    }

    fn ask_identity(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked_identity.is_none() {
            self.asked_identity = Some(link.send(INIT_PRODUCER_ID, &question(), context)?);
        }
        Ok(())
    }

    /// Makes up a batch now and then.
    fn invent(&mut self, context: &mut Context<'_>) {
        if self.batches_left == 0 || context.random.one_in(3) {
            return;
        }
        let index = context.random.below(self.queues.len() as u64) as usize;
        let Some(queue) = self.queues.get_mut(index) else { return };
        if queue.batches.len() >= IN_FLIGHT_MAX {
            return;
        }
        self.batches_left -= 1;
        let count = 1 + context.random.below(3) as u32;
        let first = Mark { producer: self.number, number: self.next_number };
        self.next_number += count;
        context.audit.send(queue.place, first, count);
        queue.batches.push_back(Batch {
            base_sequence: queue.next_sequence,
            timestamp_ms: context.now.wall_ms,
            padding: padding(context.random, self.padding_max),
            first,
            count,
            state: State::Unsent,
            asked: None,
        });
        queue.next_sequence += i64::from(count);
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
        self.waits_since_ms = context.now.monotonic_ms;
        for topic in &answer.responses {
            for part in &topic.partition_responses {
                let place = context.audit.places.find(topic.name, part.index);
                let is_it = |queue: &&mut Queue| Some(queue.place) == place;
                let queue = self.queues.iter_mut().find(is_it).ok_or("an answer for nobody")?;
                let error = ErrorCode::from_code(part.error_code);
                self.is_forgotten |= error == ErrorCode::OutOfOrderSequenceNumber
                    && context.audit.is_forgiven(queue.place)
                    && self.identity_at < context.audit.power_failures;
                let message = part.error_message;
                let verdict = Verdict { error, message, base_offset: part.base_offset };
                self.in_flight = self.in_flight.saturating_sub(1);
                queue.settle(correlation_id, verdict, context)?;
            }
        }
        Ok(())
    }

    fn on_identity(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<(), String> {
        self.asked_identity = None;
        let answer: InitProducerIdResponse<'_> = INIT_PRODUCER_ID.answer(bytes)?;
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                let identity = (answer.producer_id, answer.producer_epoch);
                context.audit.give_identity(identity)?;
                self.identity = Some(identity);
                self.identity_at = context.audit.told_at;
            }
            error if error.is_retriable() => context.retry(),
            error => return Err(format!("no producer id: {}", error.name())),
        }
        Ok(())
    }

    /// The power failed under records that were acknowledged and not synced, and with them went what
    /// the node knew of this producer: it takes another id and counts from zero, as clients do.
    fn begin_anew(&mut self, audit: &mut Audit) {
        self.is_forgotten = false;
        self.identity = None;
        for queue in &mut self.queues {
            queue.next_sequence = self.first_sequence;
            queue.acknowledged = None;
            for batch in &mut queue.batches {
                // By its old name it may still be on its way.
                if batch.asked.take().is_some() {
                    audit.doubt(queue.place, batch.first, batch.count);
                }
                batch.base_sequence = queue.next_sequence;
                queue.next_sequence += i64::from(batch.count);
            }
        }
    }
}

/// Mostly small, at times many times the usual.
fn padding(random: &mut Random, padding_max: u64) -> usize {
    let most = match random.below(8) {
        0 => padding_max * 20,
        1..=3 => padding_max,
        _ => padding_max / 20,
    };
    random.below(most + 1) as usize
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
                    let behind = batch.base_sequence + i64::from(batch.count);
                    self.acknowledged = self.acknowledged.max(Some(behind));
                    context.audit.acknowledge(self.place, base_offset, batch.first, batch.count);
                    if let Some(asked) = batch.asked.filter(|_| base_offset >= 0) {
                        let end = base_offset + i64::from(batch.count);
                        context.audit.answer(self.place, asked, (base_offset, end));
                    }
                }
            }
            // One behind it was taken, so this one was before: a start knows no batch but the last of a
            // producer whose others retention has let go.
            ErrorCode::OutOfOrderSequenceNumber
                if context.audit.may_have_let_go(self.place)
                    && self
                        .batches
                        .get(index)
                        .is_some_and(|it| Some(it.base_sequence) < self.acknowledged) =>
            {
                self.batches.remove(index);
            }
            _ if context.audit.refuse(self.place, error, message) => {
                if let Some(batch) = self.batches.get_mut(index) {
                    batch.state = State::Refused;
                }
                if matches!(error, ErrorCode::KafkaStorageError | ErrorCode::NotLeaderOrFollower) {
                    let pauses_ms = PUT_OFF_PACES * context.pace / MILLISECOND;
                    self.put_off_until_ms = context.now.monotonic_ms + pauses_ms;
                }
                context.retry();
            }
            _ => return Err(format!("{:?} refuses a batch with {}", self.place, error.name())),
        }
        Ok(())
    }
}
