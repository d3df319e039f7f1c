//! One shard: a broker, its disk engine and, unless these live on network threads, its connections, on
//! one thread: the broker's.
//!
//! A turn is one input to the broker and everything that follows from it: effects are performed,
//! completions are fed back, until nothing is left but what a worker or a peer has to do.

mod network;
mod serving;

use std::cell::RefCell;
use std::rc::Rc;

use strom_base::Now;
use strom_base::time::earlier;
use strom_broker::Broker;
use strom_broker::effect::{
    ConnectionId, Effects, NetworkEffect, Notice, Response, Severity, Turn,
};
use strom_storage::disk::Completion;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::cold_reads::Brought;
use crate::descriptors::Descriptors;
use crate::engine::DiskEngine;
use crate::examiner::{self, Examiner};
use crate::lane::Lane;
use crate::listeners::connection_limits;
use crate::network::Exchange;
use crate::sync_worker::SlowResult;
use crate::tls::TlsListeners;
use strom_intake::admission::Admission;
use strom_intake::budget::ReceiveBudget;
use strom_intake::{Ending, Takes};

pub(crate) use network::serve_network;

pub(crate) type SharedShard = Rc<RefCell<Shard>>;

/// What a shard is made from.
pub(crate) struct ShardStart {
    pub(crate) broker: Broker,
    pub(crate) engine: DiskEngine,
    pub(crate) examiner: Examiner,
    pub(crate) clock: Clock,
    pub(crate) admission: Admission,
    pub(crate) budget: ReceiveBudget,
    pub(crate) descriptors: Descriptors,
    pub(crate) tls: TlsListeners,
}

pub(crate) struct Shard {
    pub(crate) broker: Broker,
    pub(crate) engine: DiskEngine,
    examiner: Examiner,
    pub(crate) admission: Admission,
    descriptors: Descriptors,
    pub(crate) tls: TlsListeners,
    /// Of the connections that live on this thread.
    lane: Lane<Response>,
    /// With the network threads, if there are any.
    exchange: Option<Exchange>,
    last_connection: u64,
    effects: Effects,
    completions: Vec<Completion>,
    /// Told when the earliest deadline has changed.
    timer: Rc<Notify>,
    armed_ms: Option<u64>,
    /// Told when the node begins or ends to serve; `halt` says why if it cannot go on.
    phase_changed: Rc<Notify>,
    was_serving: bool,
    halt: Option<String>,
    /// Told when a connection has ended.
    room: Rc<Notify>,
    /// Whose requests are being taken: its task looks at its outbox by itself.
    reading: Option<ConnectionId>,
    /// When the requests that are being taken were received.
    now: Now,
}

impl Shard {
    #[must_use]
    pub(crate) fn new(start: ShardStart) -> Self {
        let ShardStart { broker, engine, examiner, clock, admission, budget, descriptors, tls } =
            start;
        Self {
            broker,
            engine,
            examiner,
            admission,
            descriptors,
            tls,
            lane: Lane::new(clock, budget),
            exchange: None,
            last_connection: 0,
            effects: Effects::default(),
            completions: Vec::new(),
            timer: Rc::new(Notify::new()),
            armed_ms: None,
            phase_changed: Rc::new(Notify::new()),
            was_serving: false,
            halt: None,
            room: Rc::new(Notify::new()),
            reading: None,
            now: Now::default(),
        }
    }

    #[must_use]
    pub(crate) fn clock(&self) -> Clock {
        self.lane.clock
    }

    #[must_use]
    pub(crate) fn timer(&self) -> Rc<Notify> {
        Rc::clone(&self.timer)
    }

    #[must_use]
    pub(crate) fn phase_changed(&self) -> Rc<Notify> {
        Rc::clone(&self.phase_changed)
    }

    #[must_use]
    pub(crate) fn room(&self) -> Rc<Notify> {
        Rc::clone(&self.room)
    }

    /// Why the node has to stop, if it has to.
    #[must_use]
    pub(crate) fn halted(&self) -> Option<&str> {
        self.halt.as_deref()
    }

    /// When the broker or the disk engine next wants to be called, in monotonic milliseconds.
    #[must_use]
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        earlier(self.broker.next_deadline(), self.engine.next_deadline())
    }

    pub(crate) fn on_deadline(&mut self) {
        let now = self.lane.clock.now();
        self.engine.on_deadline(now.monotonic_ms, &mut self.completions);
        self.let_bulk_go_on();
        self.input(Broker::on_deadline);
    }

    /// Gives the broker one input and performs all that follows from it.
    pub(crate) fn input(&mut self, act: impl FnOnce(&mut Broker, &mut Turn<'_>)) {
        let now = self.lane.clock.now();
        let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
        act(&mut self.broker, &mut turn);
        self.conclude(now);
    }

    /// Performs all that follows from inputs.
    fn conclude(&mut self, now: Now) {
        self.settle(now);
        if let Some(exchange) = &mut self.exchange {
            exchange.hand_over();
        }
        self.arm();
    }

    fn arm(&mut self) {
        let deadline = self.next_deadline_ms();
        if deadline != self.armed_ms {
            self.armed_ms = deadline;
            self.timer.notify_one();
        }
    }

    pub(crate) fn on_slow_result(&mut self, result: SlowResult) {
        self.engine.on_finished(&result);
        if let Some(error) = result.failure {
            tracing::warn!(%error, "a disk operation failed");
        }
        if let Some(flushed) = &result.flushed {
            let now = self.lane.clock.now();
            self.engine.on_flushed(now.monotonic_ms, flushed, &mut self.completions);
            self.arm();
        }
        self.let_bulk_go_on();
        self.completions.extend(result.completion);
        let now = self.lane.clock.now();
        if self.completions.is_empty() {
            self.check_directories(now);
        }
        if !self.completions.is_empty() || !self.effects.is_empty() {
            self.conclude(now);
        }
    }

    /// Records were looked at.
    pub(crate) fn on_examiner_told(&mut self, told: examiner::Told) {
        match told {
            examiner::Told::Examined(examined) => {
                self.input(|broker, turn| broker.on_examined(turn, examined));
                self.let_bulk_go_on();
            }
            examiner::Told::Ended => {
                self.effects.halt = Some(
                    "a thread that looks at records has ended, which is a defect of this \
                     program: start the node again"
                        .to_owned(),
                );
                self.take_halt();
            }
        }
    }

    /// Large requests are taken up again, if enough is done of what they have brought.
    fn let_bulk_go_on(&mut self) {
        if !self.may_take_bulk() {
            return;
        }
        self.lane.intake.bulk.go_on();
        if let Some(exchange) = &mut self.exchange {
            exchange.let_bulk_go_on();
        }
    }

    /// A range of a file is in memory now.
    pub(crate) fn on_brought(&mut self, brought: Brought) {
        self.engine.cold.on_brought(brought);
        self.lane.on_brought();
        self.input(Broker::on_bytes_read);
    }

    /// Without its data the node must not acknowledge anything any more.
    fn check_directories(&mut self, now: Now) {
        for (directory, reason) in self.engine.take_failures() {
            let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
            self.broker.on_directory_failed(&mut turn, directory, &reason);
        }
        if let Some(directory) = self.engine.lost_worker() {
            self.effects.halt = Some(format!(
                "the thread that keeps {} safe has ended, which is a defect of this program: \
                 start the node again",
                directory.display()
            ));
            self.take_halt();
        }
    }

    fn take_halt(&mut self) {
        if let Some(reason) = self.effects.halt.take() {
            self.halt.get_or_insert(reason);
            self.phase_changed.notify_one();
        }
    }

    /// Limits of connections and key stores that were changed while the node runs.
    fn obey_settings(&mut self) {
        match connection_limits(self.broker.settings(), self.descriptors) {
            Ok(limits) => self.admission.set_limits(limits),
            Err(error) => tracing::error!(%error, "changed limits of connections are not obeyed"),
        }
        if let Err(error) = self.tls.reload(self.broker.settings()) {
            tracing::error!(%error, "changed key stores are not used, connections go on as before");
        }
        self.room.notify_waiters();
    }

    fn settle(&mut self, now: Now) {
        loop {
            let mut gone = Vec::new();
            for (log, folder) in self.effects.folders.drain(..) {
                match folder {
                    Some(folder) => self.engine.place(log, folder),
                    None => gone.push(log),
                }
            }
            let mut disk = std::mem::take(&mut self.effects.disk);
            for effect in disk.drain(..) {
                self.engine.perform(now.monotonic_ms, effect, &mut self.completions);
            }
            self.effects.disk = disk;
            // What a turn asks of a log before it goes is done where the log was.
            gone.into_iter().for_each(|log| self.engine.forget(log));
            for examination in self.effects.examinations.drain(..) {
                self.examiner.examine(examination);
            }
            let mut network = std::mem::take(&mut self.effects.network);
            for effect in network.drain(..) {
                self.hand_over(effect);
            }
            self.effects.network = network;
            self.effects.notices.drain(..).for_each(print_notice);
            self.check_directories(now);
            self.take_halt();
            if std::mem::take(&mut self.effects.has_new_settings) {
                self.obey_settings();
            }
            if self.completions.is_empty() && self.effects.is_empty() {
                break;
            }
            let mut completions = std::mem::take(&mut self.completions);
            for completion in completions.drain(..) {
                let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
                self.broker.on_disk_completed(&mut turn, &completion);
            }
            self.completions = completions;
        }
        let is_serving = self.broker.is_running();
        if is_serving != self.was_serving || self.broker.is_stopped() {
            self.was_serving = is_serving;
            self.phase_changed.notify_one();
        }
    }

    fn hand_over(&mut self, effect: NetworkEffect) {
        match effect {
            NetworkEffect::Send { connection, response } => {
                let is_reading = self.reading == Some(connection);
                if let Some(exchange) = &mut self.exchange {
                    exchange.answer(connection, response, (&self.engine, &mut self.effects));
                } else if let Some(peer) = self.lane.intake.peers.get_mut(connection) {
                    peer.put(response, is_reading);
                }
            }
            NetworkEffect::Silent { connection, requests } => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.tell_silent(connection, requests);
                } else if self.reading != Some(connection) {
                    self.lane.intake.wake(connection);
                }
            }
            NetworkEffect::GoOn { connection } => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.go_on(connection);
                } else {
                    self.lane.intake.wake(connection);
                }
            }
            NetworkEffect::Close { connection, reason } => {
                let is_usual = !self.broker.is_running();
                let ending = match is_usual {
                    true => Ending::Usual(reason),
                    false => Ending::Notable(reason),
                };
                if let Some(exchange) = &mut self.exchange {
                    exchange.close(connection, ending);
                } else if let Some(peer) = self.lane.intake.peers.get_mut(connection) {
                    peer.end(ending);
                }
            }
        }
    }
}

fn print_notice(notice: Notice) {
    match notice.severity {
        Severity::Info => tracing::info!("{}", notice.text),
        Severity::Warning => tracing::warn!("{}", notice.text),
        Severity::Error => tracing::error!("{}", notice.text),
    }
}
