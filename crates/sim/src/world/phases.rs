//! From work to healing to judgement, and the bound within which everything has to go on.

use super::clients::{Client, Consumer, Role};
use super::clock::{Nanos, SECOND};
use super::stage::World;
use super::streams::{Purpose, stream};

/// Once nothing goes wrong any more, something has to get further within this time.
const STANDSTILL_MAX: Nanos = 30 * SECOND;
/// And within so many paces of the clients.
const PACES_MAX: u64 = 300;
/// A world that takes more than this for each thing that got further runs in a circle.
const EVENTS_PER_STEP_MAX: u64 = 200_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Clients work, and things go wrong.
    Work,
    /// Nothing more goes wrong, but a log directory has failed: what does not need it comes to its end.
    Without,
    /// Nothing goes wrong any more: the clients come to their end.
    Healed,
    /// A reader reads everything; the second time after a clean stop.
    Judge {
        reader: usize,
        is_last: bool,
    },
    Over,
}

#[derive(Clone, Debug)]
pub(super) struct Phases {
    phase: Phase,
    /// Work takes at least so long, though all clients be done.
    work: Nanos,
    standstill_max: Nanos,
    events_max: u64,
    /// When something got further last, how often that was, and at which event.
    last_step: (Nanos, u64, u64),
}

impl Phases {
    pub(super) fn new(work: Nanos, pace: Nanos) -> Self {
        let standstill_max = STANDSTILL_MAX + PACES_MAX * pace;
        let events_max = EVENTS_PER_STEP_MAX;
        Self { phase: Phase::Work, work, standstill_max, events_max, last_step: (0, 0, 0) }
    }

    /// Nobody needs to get further for so long beyond that.
    pub(super) fn wait_longer(&mut self, time: Nanos) {
        self.standstill_max += time;
        self.events_max += EVENTS_PER_STEP_MAX;
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

impl World {
    /// After each event: whether the world is at its next phase, and whether it gets there.
    pub(super) fn go_on(&mut self) -> Result<(), String> {
        let now = self.clock.at;
        let (at, steps, event) = self.phases.last_step;
        let is_at_work = self.phases.phase == Phase::Work;
        if self.audit.steps != steps || is_at_work {
            self.phases.last_step = (now, self.audit.steps, self.census.events);
        } else if now - at > self.phases.standstill_max {
            return Err(self.standstill(now - at));
        } else if self.census.events - event > self.phases.events_max {
            return Err(format!("{} events, and nothing got further", self.phases.events_max));
        }
        match self.phases.phase {
            Phase::Work => {
                if self.faults_open == 0 && now >= self.phases.work {
                    if self.is_without_a_directory() {
                        self.phases.phase = Phase::Without;
                        self.census.count_fault("work ended without a directory");
                        self.heal_but_for_directories();
                        return Ok(());
                    }
                    self.phases.phase = Phase::Healed;
                    return self.heal();
                }
            }
            Phase::Without => {
                if self.is_done_without() {
                    self.phases.phase = Phase::Healed;
                    return self.heal();
                }
            }
            Phase::Healed => {
                let is_up = self.machine.node.is_some() && !self.machine.is_stopping;
                if is_up && self.clients.iter().all(Client::is_done) {
                    self.call_judge(false);
                }
            }
            Phase::Judge { reader, is_last } => return self.judge(reader, is_last),
            Phase::Over => {}
        }
        Ok(())
    }

    fn standstill(&self, for_ns: Nanos) -> String {
        let waiting: Vec<&str> =
            self.clients.iter().filter(|it| !it.is_done()).map(Client::name).collect();
        let (phase, refusal) = (self.phases.phase, &self.audit.last_refusal);
        let judge = match self.phases.phase {
            Phase::Judge { reader, .. } => self.clients.get(reader),
            _ => None,
        };
        let unread = judge.map_or_else(Vec::new, |it| match &it.role {
            Role::Consumer(judge) => judge.unread(),
            _ => Vec::new(),
        });
        let held = self.machine.node.as_ref().map(|node| node.broker.held());
        format!(
            "nothing got further for {} ms ({phase:?}): not done are {waiting:?}, the last refusal \
             was {refusal:?}, unread are {unread:?}, held is {held:?}",
            for_ns / 1_000_000
        )
    }

    fn judge(&mut self, reader: usize, is_last: bool) -> Result<(), String> {
        let Some(Role::Consumer(judge)) = self.clients.get(reader).map(|it| &it.role) else {
            return Ok(());
        };
        if !judge.has_judged(self.audit.heard()) || self.holds_too_much() {
            return Ok(());
        }
        self.audit.judge(judge.read())?;
        if is_last {
            self.phases.phase = Phase::Over;
            return Ok(());
        }
        self.stop()?;
        self.call_judge(true);
        Ok(())
    }

    /// What a node holds for who is gone is let go in time.
    fn holds_too_much(&self) -> bool {
        let held = self.machine.node.as_ref().map(|node| node.broker.held());
        held.is_some_and(|held| held.requests() > held.unanswered)
    }

    fn call_judge(&mut self, is_last: bool) {
        let reader = self.clients.len();
        let judge = Consumer::judge(&self.audit.places, is_last);
        let random = stream(self.seed(), Purpose::Client(reader as u64));
        self.clients.push(Client::new(Role::Consumer(judge), random));
        self.wake_later(reader, 1);
        self.phases.phase = Phase::Judge { reader, is_last };
    }
}
