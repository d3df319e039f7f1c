//! What a shard does for its connections' tasks: their requests and answers, whose turn it is, who
//! takes too long.

use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use strom_broker::effect::{ConnectionId, Response, Turn};
use strom_storage::disk::DiskError;

use super::Shard;
use crate::budget::{COMPLETION_MS, Held};
use crate::closing::Ending;
use crate::peers::Peer;
use crate::send::{Outgoing, pieces_of};

/// Requests of one connection that may wait for their answers; then its socket is not read.
const OUTSTANDING_MAX: usize = 128;
/// Requests that are taken at once.
const REQUESTS_MAX: usize = 64;
/// Answers that wait to be sent; then no further requests are taken up.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Pieces of answers that are gathered before they are sent.
const PIECES_MAX: usize = 64;

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
        // What is on its way goes out, also when the next answer cannot be made any more.
        if !outgoing.is_empty() {
            return Ok(());
        }
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

    /// The connection is woken when something was brought into memory.
    pub(crate) fn await_bytes(&mut self, id: ConnectionId) {
        self.awaiting_bytes.push(id);
    }
}
