//! The loop: the next event, what follows from it, and the end of the world.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use strom_base::{Now, Random};
use strom_broker::Broker;
use strom_broker::effect::ConnectionId;
use strom_protocol::records::crc32c;
use strom_storage::disk::LogId;

use super::Report;
use super::actor::{Act, Actor, Context, Role};
use super::audit::{Audit, Place};
use super::consumer::Consumer;
use super::crash::Ending;
use super::event::{Event, Fault, Queue};
use super::lanes::Speed;
use super::node::{Emitted, Node};
use super::plan::Plan;
use super::view::{View, compare, view};
use crate::disk::SimDisk;
use strom_broker::settings::BrokerSettings;

const START_MS: i64 = 1_700_000_000_000;
/// A world that is not through by then never will be.
const EVENTS_MAX: u64 = 200_000;
const CONNECT_AGAIN_MS: u64 = 10;

/// What the world is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Work,
    /// A reader reads everything; the second time after a clean stop.
    Judge {
        reader: usize,
        is_last: bool,
    },
    Over,
}

pub(super) struct World {
    seed: u64,
    pub(super) random: Random,
    pub(super) now_ms: u64,
    pub(super) queue: Queue,
    pub(super) settings: Option<BrokerSettings>,
    places: Vec<Place>,
    pub(super) node: Option<Node>,
    /// While there is no node.
    pub(super) disk: Option<SimDisk>,
    pub(super) life: u64,
    pub(super) actors: Vec<Actor>,
    /// Whose connection it is, and when the last thing on it happens, there and back.
    pub(super) connections: BTreeMap<ConnectionId, (usize, u64, u64)>,
    /// How often the power had failed when each connection was made, be it broken by now.
    pub(super) made_at: BTreeMap<ConnectionId, u64>,
    /// Left by their clients; the node does not know it yet.
    pub(super) half_open: BTreeSet<ConnectionId>,
    next_connection: u64,
    pub(super) faults_left: usize,
    /// When the last thing about a log is reported.
    reported_ms: BTreeMap<LogId, u64>,
    /// When the node is next told that a deadline is there.
    pub(super) armed_ms: Option<u64>,
    pub(super) is_stopping: bool,
    /// What a crash at a disk operation is.
    pub(super) ending: Ending,
    pub(super) audit: Audit,
    /// The cluster as it was when the node ended, unless it was about to change.
    pub(super) view_before: Option<View>,
    phase: Phase,
    events: u64,
    trace: String,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            seed,
            random: Random::new(seed),
            now_ms: 0,
            queue: Queue::default(),
            settings: None,
            places: Vec::new(),
            node: None,
            disk: Some(SimDisk::new()),
            life: 0,
            actors: Vec::new(),
            connections: BTreeMap::new(),
            made_at: BTreeMap::new(),
            half_open: BTreeSet::new(),
            next_connection: 0,
            faults_left: 0,
            reported_ms: BTreeMap::new(),
            armed_ms: None,
            is_stopping: false,
            ending: Ending::Drawn,
            audit: Audit::default(),
            view_before: None,
            phase: Phase::Work,
            events: 0,
            trace: String::new(),
        }
    }

    pub(super) fn report(self) -> Report {
        Report {
            seed: self.seed,
            events: self.events,
            virtual_ms: self.now_ms,
            starts: self.life,
            disk_operations: self.node.map_or(0, |node| node.into_disk().operations()),
            acknowledged_records: self.audit.acknowledged_records,
            commits: self.audit.committed.commits,
            deleted_topics: self.audit.deleted_topics,
            trace: self.trace,
        }
    }

    pub(super) fn into_trace(self) -> String {
        self.trace
    }

    /// The world that the seed makes up.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let plan = Plan::new(&mut self.random)?;
        self.run_plan(plan)
    }

    pub(super) fn run_plan(&mut self, plan: Plan) -> Result<(), String> {
        self.settings = Some(plan.settings);
        self.places = plan.places;
        self.actors = plan.actors;
        self.audit = plan.audit;
        self.faults_left = plan.faults.len();
        self.ending = plan.ending;
        if let Some(disk) = &mut self.disk {
            disk.faults.crash_at = plan.crash_at;
        }
        self.queue.push(0, Event::Boot);
        for (at_ms, fault) in plan.faults {
            self.queue.push(at_ms, Event::Fault(fault));
        }
        for actor in 0..self.actors.len() {
            let delay_ms = self.random.below(20);
            self.wake_later(actor, delay_ms);
        }
        while self.phase != Phase::Over {
            let (at_ms, event) = self.queue.pop().ok_or("nothing happens any more")?;
            self.now_ms = self.now_ms.max(at_ms);
            self.events += 1;
            if self.events > EVENTS_MAX {
                return Err("the world does not come to its end".into());
            }
            self.note(&event);
            self.on_event(event)?;
            self.crash_if_due();
            if let Some(reason) = self.audit.failure() {
                return Err(reason.to_owned());
            }
            self.turn_page()?;
        }
        Ok(())
    }

    pub(super) fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms, wall_ms: START_MS + self.now_ms as i64 }
    }

    fn note(&mut self, event: &Event) {
        let line = match event {
            Event::Frame { connection, frame } => {
                format!("frame {} {} {:08x}", connection.0, frame.len(), crc32c(frame))
            }
            Event::Answer { connection, bytes, .. } => {
                format!("answer {} {} {:08x}", connection.0, bytes.len(), crc32c(bytes))
            }
            other => format!("{other:?}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.trace, "{} {line}", self.now_ms);
    }

    fn on_event(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Boot => self.boot(),
            Event::Fault(fault) => self.fault(fault),
            Event::RunLane { life, lane, speed } if life == self.life => {
                let emitted = self.node.as_mut().map(|node| node.run(&lane, speed));
                self.take(emitted.unwrap_or_default())
            }
            Event::Completed { life, completion } if life == self.life => {
                self.input(|broker, turn| broker.on_disk_completed(turn, &completion))
            }
            Event::BytesRead { life } if life == self.life => self.input(Broker::on_bytes_read),
            Event::Deadline { life } if life == self.life && self.armed_ms == Some(self.now_ms) => {
                self.armed_ms = None;
                let due = self.node.as_ref().and_then(|node| node.broker.next_deadline());
                if due.is_some_and(|due_ms| due_ms <= self.now_ms) {
                    return self.input(Broker::on_deadline);
                }
                self.take(Emitted::default())
            }
            Event::RunLane { .. }
            | Event::Completed { .. }
            | Event::BytesRead { .. }
            | Event::Deadline { .. } => Ok(()),
            Event::Frame { connection, frame } => {
                let is_open = self.connections.contains_key(&connection);
                if !is_open && !self.half_open.contains(&connection) {
                    return Ok(());
                }
                let now = self.now();
                let emitted = self.node.as_mut().map(|node| node.frame(now, connection, frame));
                self.take(emitted.unwrap_or_default())
            }
            Event::Answer { actor, connection, bytes } => self.answer(actor, connection, &bytes),
            Event::Gone { connection } => {
                if !self.half_open.remove(&connection) {
                    return Ok(());
                }
                self.input(|broker, turn| broker.on_disconnected(turn, connection))
            }
            Event::Closed { actor, connection } => {
                if let Some(it) = self.actors.get_mut(actor)
                    && it.link.connection == Some(connection)
                {
                    let made_at = self.made_at.remove(&connection).unwrap_or(0);
                    it.on_disconnected(made_at < self.audit.power_failures);
                    self.wake_later(actor, CONNECT_AGAIN_MS);
                }
                Ok(())
            }
            Event::Wake { actor } => self.wake(actor),
        }
    }

    pub(super) fn input(
        &mut self,
        act: impl FnOnce(&mut Broker, &mut strom_broker::effect::Turn<'_>),
    ) -> Result<(), String> {
        let now = self.now();
        let emitted = self.node.as_mut().map(|node| node.input(now, act));
        self.take(emitted.unwrap_or_default())
    }

    /// Schedules what the node has asked for.
    pub(super) fn take(&mut self, emitted: Emitted) -> Result<(), String> {
        if let Some(reason) = emitted.halt {
            return Err(format!("the node halts: {reason}"));
        }
        if let Some(error) = emitted.refused.first() {
            return Err(format!("the disk refuses what nobody waits for: {error}"));
        }
        for notice in emitted.notices {
            let _ = writeln!(self.trace, "{} says {notice}", self.now_ms);
        }
        let life = self.life;
        for (lane, speed) in emitted.runs {
            let delay_ms = match speed {
                Speed::Fast => self.random.below(6).saturating_sub(3),
                Speed::Slow => self.random.below(30),
            };
            self.queue.push(self.now_ms + delay_ms, Event::RunLane { life, lane, speed });
        }
        if emitted.awaits_bytes {
            let at_ms = self.now_ms + self.random.below(30);
            self.queue.push(at_ms, Event::BytesRead { life });
        }
        for completion in emitted.done {
            // A sync is never reported before the writes that it covers.
            let last_ms = self.reported_ms.entry(completion.ticket.log).or_default();
            *last_ms = (*last_ms).max(self.now_ms + self.random.below(3));
            self.queue.push(*last_ms, Event::Completed { life, completion });
        }
        for (connection, answer) in emitted.network {
            let Some((actor, _, back_ms)) = self.connections.get_mut(&connection) else { continue };
            *back_ms = (*back_ms).max(self.now_ms + self.random.below(4));
            let (actor, at_ms) = (*actor, *back_ms);
            let event = match answer {
                Some(bytes) => Event::Answer { actor, connection, bytes },
                None => Event::Closed { actor, connection },
            };
            self.queue.push(at_ms, event);
        }
        let Some(node) = &self.node else { return Ok(()) };
        if node.broker.is_running()
            && let Some(before) = self.view_before.take()
        {
            compare(&before, &view(&node.broker))?;
        }
        if node.broker.is_stopped() {
            self.is_stopping = false;
            if let Some(node) = self.node.take() {
                let mut disk = node.into_disk();
                disk.kill();
                self.go_down(disk);
            }
        } else if let Some(due_ms) = node.broker.next_deadline() {
            let at_ms = due_ms.max(self.now_ms + 1);
            if self.armed_ms.is_none_or(|armed_ms| armed_ms > at_ms) {
                self.armed_ms = Some(at_ms);
                self.queue.push(at_ms, Event::Deadline { life });
            }
        }
        Ok(())
    }

    /// One wake at a time: an earlier one stands for a later one.
    fn wake_later(&mut self, actor: usize, delay_ms: u64) {
        let at_ms = self.now_ms + delay_ms;
        let Some(it) = self.actors.get_mut(actor) else { return };
        if it.wakes_ms.is_none_or(|wakes_ms| wakes_ms > at_ms) {
            it.wakes_ms = Some(at_ms);
            self.queue.push(at_ms, Event::Wake { actor });
        }
    }

    fn wake(&mut self, actor: usize) -> Result<(), String> {
        let Some(it) = self.actors.get_mut(actor) else { return Ok(()) };
        if it.wakes_ms.take_if(|wakes_ms| *wakes_ms == self.now_ms).is_none() {
            return Ok(());
        }
        if it.link.connection.is_none() && !self.connect(actor)? {
            self.wake_later(actor, CONNECT_AGAIN_MS);
            return Ok(());
        }
        self.with_actor(actor, Actor::act)
    }

    /// False while nobody listens, or the topics are not there yet.
    fn connect(&mut self, actor: usize) -> Result<bool, String> {
        let is_served = self.node.as_ref().is_some_and(|node| node.broker.is_running());
        let is_first = actor == 0 || self.actors.first().is_some_and(Actor::is_done);
        if !is_served || !is_first {
            return Ok(false);
        }
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, (actor, self.now_ms, self.now_ms));
        self.made_at.insert(connection, self.audit.power_failures);
        if let Some(it) = self.actors.get_mut(actor) {
            it.link.connection = Some(connection);
        }
        self.input(|broker, turn| broker.on_connected(turn, connection, "127.0.0.1".into(), 0))?;
        Ok(true)
    }

    fn answer(
        &mut self,
        actor: usize,
        connection: ConnectionId,
        bytes: &[u8],
    ) -> Result<(), String> {
        if self.actors.get(actor).is_none_or(|it| it.link.connection != Some(connection)) {
            return Ok(());
        }
        self.audit.told_at = self.made_at.get(&connection).copied().unwrap_or(0);
        self.with_actor(actor, |actor, context| actor.on_answer(bytes, context))
    }

    fn with_actor(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Actor, &mut Context<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let now = self.now();
        let Some(actor) = self.actors.get_mut(index) else { return Ok(()) };
        let (random, audit) = (&mut self.random, &mut self.audit);
        let mut context = Context { now, random, audit, acts: Vec::new() };
        act(actor, &mut context)?;
        let (acts, connection) = (context.acts, actor.link.connection);
        for act in acts {
            match (act, connection) {
                (Act::WakeAfter(delay_ms), _) => {
                    self.wake_later(index, delay_ms);
                }
                (Act::Send(frame), Some(connection)) => {
                    let Some((_, there_ms, _)) = self.connections.get_mut(&connection) else {
                        continue;
                    };
                    *there_ms = (*there_ms).max(self.now_ms + self.random.below(4));
                    self.queue.push(*there_ms, Event::Frame { connection, frame });
                }
                (Act::Send(_), None) => {}
            }
        }
        Ok(())
    }

    /// From work to judgement to the end.
    fn turn_page(&mut self) -> Result<(), String> {
        match self.phase {
            Phase::Work => {
                let is_quiet = self.faults_left == 0 && !self.is_stopping && self.node.is_some();
                if is_quiet && self.actors.iter().all(Actor::is_done) {
                    self.call_judge(false);
                }
            }
            Phase::Judge { reader, is_last } => {
                let Some(Role::Consumer(judge)) = self.actors.get(reader).map(|it| &it.role) else {
                    return Ok(());
                };
                if !judge.is_at_the_end() {
                    return Ok(());
                }
                self.audit.judge(&judge.read, &judge.starts())?;
                if is_last {
                    self.phase = Phase::Over;
                } else {
                    self.fault(Fault::CleanStop)?;
                    self.call_judge(true);
                }
            }
            Phase::Over => {}
        }
        Ok(())
    }

    fn call_judge(&mut self, is_last: bool) {
        let reader = self.actors.len();
        let judge = Consumer::judge(&self.places, is_last);
        self.actors.push(Actor::new(Role::Consumer(judge)));
        self.wake_later(reader, 1);
        self.phase = Phase::Judge { reader, is_last };
    }
}
