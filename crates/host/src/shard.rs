//! One shard: a broker, its disk engine and its connections' outboxes, on one thread.
//!
//! A turn is one input to the broker and everything that follows from it: effects are performed,
//! completions are fed back, until nothing is left but what a worker or a peer has to do.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use strom_base::Now;
use strom_base::time::earlier;
use strom_broker::Broker;
use strom_broker::effect::{
    ConnectionId, Effects, NetworkEffect, Notice, Response, Severity, Turn,
};
use strom_storage::disk::{Completion, DiskError};
use tokio::sync::Notify;

use crate::admission::Admission;
use crate::budget::{COMPLETION_MS, Held, ReceiveBudget};
use crate::clock::Clock;
use crate::closing::{Ending, EndingLog};
use crate::cold_reads::RangeKey;
use crate::descriptors::Descriptors;
use crate::engine::DiskEngine;
use crate::listeners::connection_limits;
use crate::peers::{Peer, Peers};
use crate::receive::{BufferPool, SHARED_READ_BYTES};
use crate::send::{Outgoing, pieces_of};
use crate::sync_worker::SlowResult;
use crate::tls::TlsListeners;
use crate::turns::Turns;

pub(crate) type SharedShard = Rc<RefCell<Shard>>;

/// Requests of one connection that may wait for their answers; then its socket is not read.
const OUTSTANDING_MAX: usize = 128;
/// Requests that are taken at once.
const REQUESTS_MAX: usize = 64;
/// Answers that wait to be sent; then no further requests are taken up.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Pieces of answers that are gathered before they are sent.
const PIECES_MAX: usize = 64;

/// What a shard is made from.
pub(crate) struct ShardStart {
    pub(crate) broker: Broker,
    pub(crate) engine: DiskEngine,
    pub(crate) clock: Clock,
    pub(crate) admission: Admission,
    pub(crate) budget: ReceiveBudget,
    pub(crate) descriptors: Descriptors,
    pub(crate) tls: TlsListeners,
}

pub(crate) struct Shard {
    pub(crate) broker: Broker,
    pub(crate) engine: DiskEngine,
    pub(crate) admission: Admission,
    pub(crate) budget: ReceiveBudget,
    descriptors: Descriptors,
    pub(crate) tls: TlsListeners,
    pub(crate) pool: BufferPool,
    /// Read into by whichever connection has bytes; empty between turns.
    pub(crate) shared_read: BytesMut,
    clock: Clock,
    effects: Effects,
    completions: Vec<Completion>,
    peers: Peers,
    /// Told when the earliest deadline has changed.
    timer: Rc<Notify>,
    armed_ms: Option<u64>,
    /// Told when the node begins or ends to serve; `halt` says why if it cannot go on.
    phase_changed: Rc<Notify>,
    was_serving: bool,
    halt: Option<String>,
    /// Told when a connection has ended.
    room: Rc<Notify>,
    /// Told when a request has begun to arrive and nobody looks after its time.
    requests_begun: Rc<Notify>,
    endings: EndingLog,
    pub(crate) turns: Turns,
    /// Connections whose next bytes are not in memory.
    awaiting_bytes: Vec<ConnectionId>,
    /// Whose requests are being taken: its task looks at its outbox by itself.
    reading: Option<ConnectionId>,
    /// When the requests that are being taken were received.
    now: Now,
}

/// What a connection's task is to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Requests may be taken.
    Receive,
    /// Nothing until it is woken, but to send answers …
    Wait,
    /// … which are small: its turn will come.
    WaitInLine,
    /// To send what is left, and to end.
    End(Ending),
    /// To end at once.
    CutOff(Ending),
}

impl Shard {
    #[must_use]
    pub(crate) fn new(start: ShardStart) -> Self {
        let ShardStart { broker, engine, clock, admission, budget, descriptors, tls } = start;
        Self {
            broker,
            engine,
            admission,
            budget,
            descriptors,
            tls,
            pool: BufferPool::default(),
            shared_read: BytesMut::with_capacity(SHARED_READ_BYTES),
            clock,
            effects: Effects::default(),
            completions: Vec::new(),
            peers: Peers::default(),
            timer: Rc::new(Notify::new()),
            armed_ms: None,
            phase_changed: Rc::new(Notify::new()),
            was_serving: false,
            halt: None,
            room: Rc::new(Notify::new()),
            requests_begun: Rc::new(Notify::new()),
            endings: EndingLog::default(),
            turns: Turns::default(),
            awaiting_bytes: Vec::new(),
            reading: None,
            now: Now::default(),
        }
    }

    #[must_use]
    pub(crate) fn clock(&self) -> Clock {
        self.clock
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

    #[must_use]
    pub(crate) fn requests_begun(&self) -> Rc<Notify> {
        Rc::clone(&self.requests_begun)
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
        self.engine.on_deadline(self.clock.now().monotonic_ms);
        self.input(Broker::on_deadline);
    }

    /// Gives the broker one input and performs all that follows from it.
    pub(crate) fn input(&mut self, act: impl FnOnce(&mut Broker, &mut Turn<'_>)) {
        let now = self.clock.now();
        let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
        act(&mut self.broker, &mut turn);
        self.conclude(now);
    }

    /// Performs all that follows from inputs.
    fn conclude(&mut self, now: Now) {
        self.settle(now);
        self.arm();
    }

    fn arm(&mut self) {
        let deadline = self.next_deadline_ms();
        if deadline != self.armed_ms {
            self.armed_ms = deadline;
            self.timer.notify_one();
        }
    }

    /// The requests of one read of a connection follow, handed over by its own task.
    pub(crate) fn begin_requests(&mut self) {
        self.now = self.clock.now();
    }

    /// A whole request.
    pub(crate) fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) {
        let mut turn = Turn { now: self.now, files: &self.engine, out: &mut self.effects };
        self.broker.on_frame(&mut turn, id, frame);
    }

    /// What follows from the requests of one read is done all together. The connection's task has to
    /// look at its outbox afterwards.
    pub(crate) fn end_requests(&mut self, id: ConnectionId) {
        self.reading = Some(id);
        self.conclude(self.now);
        self.reading = None;
        if let Some(peer) = self.peers.get_mut(id) {
            peer.last_active_ms = self.now.monotonic_ms;
        }
    }

    pub(crate) fn on_slow_result(&mut self, result: SlowResult) {
        self.engine.on_finished(&result);
        if let Some(error) = result.failure {
            tracing::warn!(%error, "a disk operation failed");
        }
        if let Some(flushed) = &result.flushed {
            self.engine.on_flushed(self.clock.now().monotonic_ms, flushed);
            self.arm();
        }
        match result.completion {
            Some(completion) => {
                self.input(|broker, turn| broker.on_disk_completed(turn, &completion));
            }
            None => self.check_directories(),
        }
    }

    /// The connection is woken when something was brought into memory.
    pub(crate) fn await_bytes(&mut self, id: ConnectionId) {
        self.awaiting_bytes.push(id);
    }

    /// A range of a file is in memory now.
    pub(crate) fn on_brought(&mut self, range: RangeKey) {
        self.engine.cold.on_brought(range);
        for id in std::mem::take(&mut self.awaiting_bytes) {
            if let Some(peer) = self.peers.get(id) {
                peer.wake();
            }
        }
        self.input(Broker::on_bytes_read);
    }

    /// Without its data the node must not acknowledge anything any more.
    fn check_directories(&mut self) {
        if let Some(lost) = self.engine.lost_directory() {
            self.effects.halt = Some(format!(
                "the data folder {} is gone, the node stops: put it back, or name another in \
                 log.dirs",
                lost.display()
            ));
            self.take_halt();
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
            let mut network = std::mem::take(&mut self.effects.network);
            for effect in network.drain(..) {
                self.hand_over(effect);
            }
            self.effects.network = network;
            self.effects.notices.drain(..).for_each(print_notice);
            self.check_directories();
            self.take_halt();
            if std::mem::take(&mut self.effects.has_new_settings) {
                self.obey_settings();
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
            self.phase_changed.notify_one();
        }
    }

    fn hand_over(&mut self, effect: NetworkEffect) {
        match effect {
            NetworkEffect::Send { connection, response } => {
                let is_reading = self.reading == Some(connection);
                if let Some(peer) = self.peers.get_mut(connection) {
                    peer.put(response, is_reading);
                }
            }
            NetworkEffect::Close { connection, reason } => {
                let is_usual = !self.broker.is_running();
                if let Some(peer) = self.peers.get_mut(connection) {
                    peer.end(if is_usual {
                        Ending::Usual(reason)
                    } else {
                        Ending::Notable(reason)
                    });
                }
            }
        }
    }

    pub(crate) fn open_connection(&mut self, client_host: String, listener: usize) -> ConnectionId {
        let id = self.peers.open(self.clock.now().monotonic_ms);
        self.input(|broker, turn| broker.on_connected(turn, id, client_host, listener));
        id
    }

    pub(crate) fn close_connection(&mut self, id: ConnectionId) {
        if self.peers.close(id) {
            self.hold_request(id, None);
            self.input(|broker, turn| broker.on_disconnected(turn, id));
        }
    }

    /// What the connection's task is to do, which is woken by `waker` when that changes.
    pub(crate) fn next_of(&mut self, id: ConnectionId, waker: &Waker) -> Next {
        let Some(peer) = self.peers.get_mut(id) else { return Next::End(Ending::ByPeer) };
        peer.attend(waker);
        if let Some(ending) = peer.closing().cloned() {
            return if peer.is_cut_off() { Next::CutOff(ending) } else { Next::End(ending) };
        }
        if peer.is_in_line {
            return Next::WaitInLine;
        }
        let is_full = peer.outbox_bytes() >= OUTBOX_BYTES_MAX
            || self.broker.outstanding(id) >= OUTSTANDING_MAX;
        if is_full { Next::Wait } else { Next::Receive }
    }

    /// How many requests of the connection may be taken now.
    #[must_use]
    pub(crate) fn room_for_requests(&self, id: ConnectionId) -> usize {
        if self.outbox_bytes(id) >= OUTBOX_BYTES_MAX {
            return 0;
        }
        OUTSTANDING_MAX.saturating_sub(self.broker.outstanding(id)).min(REQUESTS_MAX)
    }

    /// Moves answers that are ready into `outgoing`.
    ///
    /// # Errors
    /// When one cannot be made: the connection cannot go on.
    pub(crate) fn collect(
        &mut self,
        id: ConnectionId,
        outgoing: &mut Outgoing,
    ) -> Result<(), DiskError> {
        let Some(peer) = self.peers.get_mut(id) else { return Ok(()) };
        while outgoing.len() < PIECES_MAX
            && let Some(mut response) = peer.take()
        {
            let mut spare = self.effects.spare();
            pieces_of(&mut response, &self.engine, outgoing, &mut spare.bytes)?;
            self.effects.recycle(response);
            self.effects.recycle(spare);
        }
        Ok(())
    }

    /// Buffers of answers that were sent.
    pub(crate) fn recycle(&mut self, spent: &mut Vec<Vec<u8>>) {
        for bytes in spent.drain(..) {
            self.effects.recycle(Response { bytes, ranges: Vec::new() });
        }
    }

    /// The connection lets the others go first.
    pub(crate) fn get_in_line(&mut self, id: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.is_in_line = true;
            self.turns.join(id);
        }
    }

    /// Lets the connection go on whose turn it is.
    pub(crate) fn poll_give_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.turns.poll_next(context).map(|id| {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.is_in_line = false;
                peer.wake();
            }
        })
    }

    /// Bytes of answers that the connection's task has not taken yet.
    #[must_use]
    fn outbox_bytes(&self, id: ConnectionId) -> usize {
        self.peers.get(id).map_or(0, Peer::outbox_bytes)
    }

    /// Whether the connection is to be closed.
    #[must_use]
    pub(crate) fn is_closing(&self, id: ConnectionId) -> bool {
        self.peers.get(id).is_none_or(|peer| peer.closing().is_some())
    }

    /// Says why a connection ended, if that is worth a line.
    pub(crate) fn say_ending(&mut self, peer: &str, ending: &Ending) {
        self.endings.say(self.clock.now().monotonic_ms, peer, ending);
    }

    /// What a connection holds of an unfinished request; nothing ends it.
    pub(crate) fn hold_request(&mut self, id: ConnectionId, held: Option<Held>) {
        let now_ms = self.clock.now().monotonic_ms;
        match held {
            Some(held) if self.budget.hold(now_ms, id, held) => self.requests_begun.notify_one(),
            Some(_) => {}
            None => self.budget.forget(id),
        }
        for resumed in self.budget.resume(now_ms) {
            if let Some(peer) = self.peers.get(resumed) {
                peer.wake();
            }
        }
    }

    /// Closes connections whose requests were begun and take too long.
    pub(crate) fn close_overdue(&mut self) {
        for id in self.budget.on_deadline(self.clock.now().monotonic_ms) {
            if let Some(peer) = self.peers.get_mut(id) {
                let reason = format!("a request was not whole {COMPLETION_MS} ms after its begin");
                peer.cut_off(Ending::Notable(reason));
            }
        }
    }

    /// Closes connections that sent nothing and wait for nothing since `idle_ms`.
    pub(crate) fn close_idle(&mut self, idle_ms: u64) {
        let now_ms = self.clock.now().monotonic_ms;
        for (id, peer) in self.peers.iter_mut() {
            let quiet = now_ms.saturating_sub(peer.last_active_ms) > idle_ms;
            if quiet && self.broker.outstanding(id) == 0 {
                peer.cut_off(Ending::Usual("idle".into()));
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
