//! One shard: a broker, its disk engine and its connections' outboxes, on one thread.
//!
//! A turn is one input to the broker and everything that follows from it: effects are performed,
//! completions are fed back, until nothing is left but what a worker or a peer has to do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;
use strom_base::{IdMap, Now};
use strom_broker::Broker;
use strom_broker::effect::{
    ConnectionId, Effects, NetworkEffect, Notice, Response, Severity, Turn,
};
use strom_storage::disk::Completion;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::engine::BufferedEngine;
use crate::receive::{BufferPool, SHARED_READ_BYTES};
use crate::sync_worker::SlowResult;

pub type SharedShard = Rc<RefCell<Shard>>;

/// What the shard keeps for one connection's task.
#[derive(Debug)]
struct Peer {
    outbox: VecDeque<Response>,
    /// Why to close once the outbox is sent.
    closing: Option<String>,
    wake: Rc<Notify>,
    last_active_ms: u64,
}

pub struct Shard {
    pub broker: Broker,
    pub engine: BufferedEngine,
    pub pool: BufferPool,
    /// Read into by whichever connection has bytes; empty between turns.
    pub shared_read: BytesMut,
    clock: Clock,
    effects: Effects,
    completions: Vec<Completion>,
    peers: IdMap<ConnectionId, Peer>,
    /// Told when the earliest deadline has changed.
    timer: Rc<Notify>,
    armed_ms: Option<u64>,
    /// Told when the node begins or ends to serve; `halt` says why if it cannot go on.
    stop: Rc<Notify>,
    was_serving: bool,
    halt: Option<String>,
    next_connection: u64,
    /// Whose bytes are being taken: its task looks at its outbox by itself.
    reading: Option<ConnectionId>,
    /// Monotonic time of the last input.
    now_ms: u64,
}

impl Shard {
    #[must_use]
    pub fn new(broker: Broker, engine: BufferedEngine, clock: Clock) -> Self {
        Self {
            broker,
            engine,
            pool: BufferPool::default(),
            shared_read: BytesMut::with_capacity(SHARED_READ_BYTES),
            clock,
            effects: Effects::default(),
            completions: Vec::new(),
            peers: IdMap::default(),
            timer: Rc::new(Notify::new()),
            armed_ms: None,
            stop: Rc::new(Notify::new()),
            was_serving: false,
            halt: None,
            next_connection: 0,
            reading: None,
            now_ms: 0,
        }
    }

    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    #[must_use]
    pub fn timer(&self) -> Rc<Notify> {
        Rc::clone(&self.timer)
    }

    #[must_use]
    pub fn stop(&self) -> Rc<Notify> {
        Rc::clone(&self.stop)
    }

    /// Why the node has to stop, if it has to.
    #[must_use]
    pub fn halted(&self) -> Option<&str> {
        self.halt.as_deref()
    }

    /// When the broker next wants to be called, in monotonic milliseconds.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.broker.next_deadline()
    }

    /// Gives the broker one input and performs all that follows from it.
    pub fn input(&mut self, act: impl FnOnce(&mut Broker, &mut Turn<'_>)) {
        let now = self.clock.now();
        self.now_ms = now.monotonic_ms;
        let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
        act(&mut self.broker, &mut turn);
        self.settle(now);
        let deadline = self.broker.next_deadline();
        if deadline != self.armed_ms {
            self.armed_ms = deadline;
            self.timer.notify_one();
        }
    }

    /// A whole request of a connection, handed over by the connection's own task, which has to look
    /// at its outbox afterwards.
    pub fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) {
        self.reading = Some(id);
        self.input(|broker, turn| broker.on_frame(turn, id, frame));
        self.reading = None;
    }

    pub fn on_slow_result(&mut self, result: SlowResult) {
        match result {
            SlowResult::Completed(completion) => {
                self.input(|broker, turn| broker.on_disk_completed(turn, &completion));
            }
            SlowResult::Failed(error) => tracing::warn!(%error, "a removal failed"),
        }
    }

    fn settle(&mut self, now: Now) {
        loop {
            for (log, folder) in self.effects.folders.drain(..) {
                self.engine.place(log, folder);
            }
            let mut disk = std::mem::take(&mut self.effects.disk);
            for effect in disk.drain(..) {
                self.engine.perform(effect, &mut self.completions);
            }
            self.effects.disk = disk;
            let mut network = std::mem::take(&mut self.effects.network);
            for effect in network.drain(..) {
                self.hand_over(effect);
            }
            self.effects.network = network;
            self.effects.notices.drain(..).for_each(print_notice);
            if let Some(reason) = self.effects.halt.take() {
                self.halt.get_or_insert(reason);
                self.stop.notify_one();
            }
            if self.completions.is_empty() {
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
            self.stop.notify_one();
        }
    }

    fn hand_over(&mut self, effect: NetworkEffect) {
        match effect {
            NetworkEffect::Send { connection, response } => {
                if let Some(peer) = self.peers.get_mut(&connection) {
                    peer.outbox.push_back(response);
                    if self.reading != Some(connection) {
                        peer.wake.notify_one();
                    }
                }
            }
            NetworkEffect::Close { connection, reason } => {
                if let Some(peer) = self.peers.get_mut(&connection) {
                    peer.closing.get_or_insert(reason);
                    peer.wake.notify_one();
                }
            }
        }
    }

    /// Registers a connection; the notifier wakes its task when there is something to send.
    pub fn open_connection(
        &mut self,
        client_host: String,
        listener: usize,
    ) -> (ConnectionId, Rc<Notify>) {
        self.next_connection += 1;
        let id = ConnectionId(self.next_connection);
        let wake = Rc::new(Notify::new());
        let last_active_ms = self.clock.now().monotonic_ms;
        let peer =
            Peer { outbox: VecDeque::new(), closing: None, wake: Rc::clone(&wake), last_active_ms };
        self.peers.insert(id, peer);
        self.input(|broker, turn| broker.on_connected(turn, id, client_host, listener));
        (id, wake)
    }

    pub fn close_connection(&mut self, id: ConnectionId) {
        if self.peers.remove(&id).is_some() {
            self.input(|broker, turn| broker.on_disconnected(turn, id));
        }
    }

    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.peers.len()
    }

    pub fn next_response(&mut self, id: ConnectionId) -> Option<Response> {
        self.peers.get_mut(&id)?.outbox.pop_front()
    }

    /// Whether the connection is to be closed, and why.
    #[must_use]
    pub fn closing(&self, id: ConnectionId) -> Option<&str> {
        self.peers.get(&id)?.closing.as_deref()
    }

    /// To be called after what was received was handled: the time of that is taken, not read again.
    pub fn mark_active(&mut self, id: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.last_active_ms = self.now_ms;
        }
    }

    /// Closes connections that sent nothing and wait for nothing since `idle_ms`.
    pub fn close_idle(&mut self, idle_ms: u64) {
        let now_ms = self.clock.now().monotonic_ms;
        for (id, peer) in &mut self.peers {
            let quiet = now_ms.saturating_sub(peer.last_active_ms) > idle_ms;
            if quiet && self.broker.outstanding(*id) == 0 {
                peer.closing.get_or_insert_with(|| "idle".into());
                peer.wake.notify_one();
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
