//! What the judge asks about times: the first record at or after a time, and the newest, are where its own reading
//! of the partition says.

use strom_base::Random;

use super::list_offsets::{EARLIEST, Record};
use crate::world::places::Place;

/// ListOffsets for the first record with the largest timestamp.
const NEWEST: i64 = -3;

/// Records of a partition, each later than all before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Record>,
}

impl Steps {
    /// The next record of the partition.
    pub(super) fn see(&mut self, offset: i64, timestamp: i64) {
        if self.steps.last().is_none_or(|(latest, _)| *latest < timestamp) {
            self.steps.push((timestamp, offset));
        }
    }

    /// A time that tells something, and which record is to be found by it.
    fn question(&self, random: &mut Random) -> (i64, Option<Record>) {
        let count = self.steps.len() as u64;
        if count == 0 || random.one_in(4) {
            return (NEWEST, self.steps.last().copied());
        }
        let near = self.steps.get(random.below(count) as usize).map_or(0, |(time, _)| *time);
        let timestamp = (near + random.below(3) as i64 - 1).max(0);
        (timestamp, self.steps.iter().find(|(time, _)| *time >= timestamp).copied())
    }
}

/// One question for each partition.
#[derive(Clone, Debug, Default)]
pub(super) enum Times {
    #[default]
    Open,
    Asked(Vec<Question>),
    /// Other records were found, or none: it is asked where the logs start.
    Doubted(Vec<Question>),
    Told,
}

#[derive(Clone, Debug)]
pub(super) struct Question {
    place: Place,
    timestamp: i64,
    expected: Option<Record>,
    /// The offset behind what was read.
    end: i64,
    /// As far as it was told.
    found: Option<Record>,
}

impl Question {
    /// Whether the log's start has passed the record, so that another one is found. The newest of a segment is
    /// told also after that, as by Apache Kafka.
    fn is_about_what_has_gone(&self, start: i64) -> bool {
        let is_before = |record: Option<Record>| record.is_some_and(|(_, offset)| offset < start);
        is_before(self.expected) || self.timestamp == NEWEST && is_before(self.found)
    }
}

impl Times {
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Told)
    }

    /// The connection is gone, and the answer with it.
    pub(super) fn ask_again(&mut self) {
        *self = Self::Open;
    }

    /// What is asked next. `all`: each partition's steps, and the offset behind what was read.
    pub(super) fn ask<'s>(
        &mut self,
        all: impl Iterator<Item = (Place, &'s Steps, i64)>,
        random: &mut Random,
    ) -> Vec<(Place, i64)> {
        if let Self::Doubted(questions) = self {
            return questions.iter().map(|it| (it.place, EARLIEST)).collect();
        }
        let questions: Vec<Question> = all
            .map(|(place, steps, end)| {
                let (timestamp, expected) = steps.question(random);
                Question { place, timestamp, expected, end, found: None }
            })
            .collect();
        let asked = questions.iter().map(|it| (it.place, it.timestamp)).collect();
        *self = Self::Asked(questions);
        asked
    }

    /// Timestamp and offset of each partition that was told without an error.
    pub(super) fn on_told(&mut self, told: &[(Place, Record)]) -> Result<(), String> {
        let of = |place: Place| {
            told.iter().find(|(other, _)| *other == place).map(|(_, record)| *record)
        };
        match std::mem::take(self) {
            Self::Asked(questions) => {
                let mut doubted = Vec::new();
                for mut question in questions {
                    let Some(found) = of(question.place) else { return Ok(()) };
                    if found.1 >= question.end {
                        // It has come meanwhile: first it is read.
                        return Ok(());
                    }
                    question.found = (found.1 >= 0).then_some(found);
                    if question.found != question.expected {
                        doubted.push(question);
                    }
                }
                *self = if doubted.is_empty() { Self::Told } else { Self::Doubted(doubted) };
            }
            Self::Doubted(questions) => {
                for question in &questions {
                    let Some((_, start)) = of(question.place) else {
                        *self = Self::Doubted(questions);
                        return Ok(());
                    };
                    if !question.is_about_what_has_gone(start) {
                        return Err(format!("the log starts at {start}: {question:?}"));
                    }
                }
                *self = Self::Told;
            }
            Self::Open | Self::Told => return Err("times were not asked for".into()),
        }
        Ok(())
    }
}
