//! Somebody who makes topics and deletes them, by the same names again and again, and who deletes records.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use strom_base::Random;
use strom_protocol::ErrorCode;

use super::Shared;
use crate::crash::book::Book;
use crate::crash::plan::{Plan, Trimming};
use crate::crash::requests;
use crate::load::wire::Connection;

const NAMES: [&str; 3] = ["passing-0", "passing-1", "passing-2"];
/// A request that takes longer has an unknown end, as one that was cut off.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Gone,
    There,
    /// The answer to the last request did not come.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Operator {
    port: u16,
    topics: Mutex<BTreeMap<&'static str, State>>,
}

impl Operator {
    pub(super) fn new(port: u16) -> Self {
        let topics = NAMES.map(|name| (name, State::Gone)).into_iter().collect();
        Self { port, topics: Mutex::new(topics) }
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn run(&self, plan: &Plan, shared: &Shared, mut random: Random) {
        let mut connection = None;
        while !shared.is_over() {
            if connection.is_none() {
                connection = Connection::open(self.port).ok();
            }
            if let Some(open) = &mut connection {
                let done = open
                    .set_patience(PATIENCE)
                    .and_then(|()| self.change_topic(open, shared, &mut random))
                    .and_then(|()| self.delete_records(open, plan, shared, &mut random));
                if done.is_err() {
                    connection = None;
                }
            }
            thread::sleep(Duration::from_millis(5 + random.below(60)));
        }
    }

    /// An answer that does not come leaves the state unknown; one that must not be is noted.
    fn change_topic(
        &self,
        connection: &mut Connection,
        shared: &Shared,
        random: &mut Random,
    ) -> Result<()> {
        let mut topics = self.topics();
        let at = random.below(NAMES.len() as u64) as usize;
        let Some((name, state)) = topics.iter_mut().nth(at) else { return Ok(()) };
        let before = std::mem::replace(state, State::Unknown);
        let makes = before == State::Gone;
        let error = if makes {
            requests::create_topic(connection, name)?
        } else {
            requests::delete_topic(connection, name)?
        };
        match (before, error) {
            (State::Gone, ErrorCode::None) => *state = State::There,
            (State::There, ErrorCode::None) => *state = State::Gone,
            (State::Unknown, ErrorCode::None | ErrorCode::UnknownTopicOrPartition) => {
                *state = State::Gone;
            }
            (State::Gone, ErrorCode::TopicAlreadyExists)
            | (State::There, ErrorCode::UnknownTopicOrPartition) => {
                shared.book.contradict(format!("topic {name} was {before:?}, now {error:?}"));
            }
            _ => {}
        }
        Ok(())
    }

    /// What was acknowledged of topics holds.
    ///
    /// # Errors
    /// When it does not, or the node does not answer.
    pub(crate) fn check(&self, port: u16) -> Result<()> {
        // While this is held nobody changes them.
        let topics = self.topics();
        let mut connection = Connection::open(port)?;
        connection.set_patience(super::PATIENCE)?;
        let there = requests::topics(&mut connection)?;
        for (name, state) in topics.iter().filter(|(_, state)| **state != State::Unknown) {
            let is_there = there.contains(*name);
            ensure!(is_there == (*state == State::There), "topic {name} is {state:?}: {there:?}");
        }
        Ok(())
    }

    /// The process has ended by force. Records that were deleted may be back: as in Apache Kafka, the
    /// checkpoint that tells where a log starts is written at intervals.
    pub(crate) fn forget_cuts(&self, plan: &Plan, book: &Book) {
        let _held = self.topics();
        for topic in plan.topics.iter().filter(|topic| topic.trimming == Trimming::Asked) {
            for partition in 0..topic.partitions {
                let place = (topic.name.to_owned(), partition);
                book.note(&place, |page| (page.log_start, page.cut_acknowledged) = (0, 0));
            }
        }
    }

    fn delete_records(
        &self,
        connection: &mut Connection,
        plan: &Plan,
        shared: &Shared,
        random: &mut Random,
    ) -> Result<()> {
        let topic = plan.topics.iter().find(|topic| topic.trimming == Trimming::Asked);
        let Some(topic) = topic.filter(|_| random.one_in(8)) else { return Ok(()) };
        // Nobody forgets cuts between the answer and its note.
        let _held = self.topics();
        let place =
            (topic.name.to_owned(), random.below(topic.partitions.unsigned_abs().into()) as i32);
        let page = shared.book.page(&place);
        let Some((last, _)) = page.acknowledged.last_key_value() else { return Ok(()) };
        let offset =
            page.cut_asked + random.below((last - page.cut_asked).max(0) as u64 / 2 + 1) as i64;
        shared.book.note(&place, |page| page.cut_asked = page.cut_asked.max(offset));
        let named = (place.0.as_str(), place.1);
        let (error, start) = requests::delete_records(connection, named, offset)?;
        if error == ErrorCode::None {
            if start < offset {
                let what = format!("{place:?} was deleted up to {offset}, it starts at {start}");
                shared.book.contradict(what);
            }
            shared
                .book
                .note(&place, |page| page.cut_acknowledged = page.cut_acknowledged.max(start));
        }
        Ok(())
    }
}
