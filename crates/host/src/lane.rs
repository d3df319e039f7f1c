//! What the connections of one thread share: their outboxes, the buffers they read into, the budget of
//! what they have begun to send, whose turn it is, who takes too long.
//!
//! The broker's thread has a lane, and so has each network thread: a connection's task finds here all
//! that it needs without asking the broker. Nothing of it is seen by another thread.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use strom_broker::effect::ConnectionId;
use tokio::sync::Notify;

use crate::budget::{COMPLETION_MS, Held, ReceiveBudget};
use crate::clock::Clock;
use crate::closing::{Ending, EndingLog};
use crate::peers::{Answer, Peer, Peers};
use crate::receive::{BufferPool, SharedRead};
use crate::serves::{Serves, Shared};
use crate::turns::{Line, Turns, give_turns};

/// How often connections are looked at for idleness, as a part of the allowed time.
const IDLE_CHECKS: u64 = 10;

#[derive(Debug)]
pub(crate) struct Lane<A> {
    pub(crate) clock: Clock,
    pub(crate) peers: Peers<A>,
    pub(crate) budget: ReceiveBudget,
    pub(crate) pool: BufferPool,
    pub(crate) shared_read: SharedRead,
    /// Who has had its share.
    pub(crate) turns: Turns,
    /// Whose large requests wait for the disk.
    pub(crate) bulk: Turns,
    endings: EndingLog,
    /// Connections whose next bytes are not in memory.
    awaiting_bytes: Vec<ConnectionId>,
    /// Told when a request has begun to arrive and nobody looks after its time.
    requests_begun: Rc<Notify>,
}

impl<A: Answer> Lane<A> {
    #[must_use]
    pub(crate) fn new(clock: Clock, budget: ReceiveBudget) -> Self {
        Self {
            clock,
            peers: Peers::default(),
            budget,
            pool: BufferPool::default(),
            shared_read: SharedRead::new(),
            turns: Turns::default(),
            bulk: Turns::default(),
            endings: EndingLog::default(),
            awaiting_bytes: Vec::new(),
            requests_begun: Rc::new(Notify::new()),
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().monotonic_ms
    }

    pub(crate) fn open(&mut self, id: ConnectionId) {
        let now_ms = self.now_ms();
        self.peers.open(id, now_ms);
    }

    /// False when it is gone already.
    pub(crate) fn close(&mut self, id: ConnectionId) -> bool {
        let was_open = self.peers.close(id);
        if was_open {
            self.hold_request(id, None);
        }
        was_open
    }

    /// Bytes of answers that the connection's task has not taken yet.
    #[must_use]
    pub(crate) fn outbox_bytes(&self, id: ConnectionId) -> usize {
        self.peers.get(id).map_or(0, Peer::outbox_bytes)
    }

    /// Whether the connection is to be closed.
    #[must_use]
    pub(crate) fn is_closing(&self, id: ConnectionId) -> bool {
        self.peers.get(id).is_none_or(|peer| peer.closing().is_some())
    }

    /// Says why a connection ended, if that is worth a line.
    pub(crate) fn say_ending(&mut self, peer: &str, ending: &Ending) {
        let now_ms = self.now_ms();
        self.endings.say(now_ms, peer, ending);
    }

    fn turns_of(&mut self, line: Line) -> &mut Turns {
        match line {
            Line::Share => &mut self.turns,
            Line::Bulk => &mut self.bulk,
        }
    }

    /// The connection waits for its turn; at the front, if it had one in vain.
    pub(crate) fn get_in_line(&mut self, id: ConnectionId, line: Line, is_first: bool) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.is_in_line = true;
            self.turns_of(line).join(id, is_first);
        }
    }

    /// Lets the connection go on whose turn it is, if one may.
    pub(crate) fn poll_give_turn(
        &mut self,
        line: Line,
        may_go_on: bool,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let turns = self.turns_of(line);
        if !may_go_on {
            return turns.wait(context);
        }
        turns.poll_next(context).map(|id| {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.is_in_line = false;
                peer.wake();
            }
        })
    }

    /// The connection's socket takes nothing from now on, or does again.
    pub(crate) fn mark_stuck(&mut self, id: ConnectionId, is_stuck: bool) {
        let now_ms = self.now_ms();
        if let Some(peer) = self.peers.get_mut(id) {
            (peer.is_stuck, peer.last_active_ms) = (is_stuck, now_ms);
        }
    }

    pub(crate) fn wake(&self, id: ConnectionId) {
        if let Some(peer) = self.peers.get(id) {
            peer.wake();
        }
    }

    /// What a connection holds of an unfinished request; nothing ends it.
    pub(crate) fn hold_request(&mut self, id: ConnectionId, held: Option<Held>) {
        let now_ms = self.now_ms();
        match held {
            Some(held) if self.budget.hold(now_ms, id, held) => self.requests_begun.notify_one(),
            Some(_) => {}
            None => self.budget.forget(id),
        }
        for resumed in self.budget.resume(now_ms) {
            self.wake(resumed);
        }
    }

    /// The connection waits for us in the middle of a request, or it is its peer's turn again.
    pub(crate) fn hold_up(&mut self, id: ConnectionId, is_held_up: bool) {
        let now_ms = self.now_ms();
        if is_held_up {
            self.budget.hold_up(now_ms, id);
        } else if self.budget.go_on(now_ms, id) {
            self.requests_begun.notify_one();
        }
    }

    /// The connection is woken when something was brought into memory.
    pub(crate) fn await_bytes(&mut self, id: ConnectionId) {
        self.awaiting_bytes.push(id);
    }

    /// Something was brought into memory.
    pub(crate) fn on_brought(&mut self) {
        for id in std::mem::take(&mut self.awaiting_bytes) {
            self.wake(id);
        }
    }

    /// Closes connections whose requests were begun and take too long.
    fn close_overdue(&mut self) {
        for id in self.budget.on_deadline(self.now_ms()) {
            if let Some(peer) = self.peers.get_mut(id) {
                let reason = format!("a request was not whole {COMPLETION_MS} ms after its begin");
                peer.cut_off(Ending::Notable(reason));
            }
        }
    }
}

/// Looks after the connections of this thread for as long as it lives.
pub(crate) fn look_after<S: Serves>(shared: &Shared<S>, idle_ms: u64) {
    tokio::task::spawn_local(give_turns(Rc::clone(shared), Line::Share));
    tokio::task::spawn_local(give_turns(Rc::clone(shared), Line::Bulk));
    tokio::task::spawn_local(close_overdue(Rc::clone(shared)));
    tokio::task::spawn_local(close_idle(Rc::clone(shared), idle_ms));
}

/// Ends connections that sent nothing and wait for nothing since `idle_ms`, or take nothing for so long.
async fn close_idle<S: Serves>(shared: Shared<S>, idle_ms: u64) {
    if idle_ms == 0 {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_millis((idle_ms / IDLE_CHECKS).max(1))).await;
        let mut serves = shared.borrow_mut();
        let now_ms = serves.lane().now_ms();
        let peers = serves.lane().peers.iter();
        let quiet = peers.filter(|(_, it)| now_ms.saturating_sub(it.last_active_ms) > idle_ms);
        let idle: Vec<_> = quiet
            .filter(|(id, peer)| peer.is_stuck || serves.outstanding(*id) == 0)
            .map(|(id, _)| id)
            .collect();
        for id in idle {
            if let Some(peer) = serves.lane_mut().peers.get_mut(id) {
                peer.cut_off(Ending::Usual("idle".into()));
            }
        }
    }
}

/// Ends connections that begin a request and do not finish it.
async fn close_overdue<S: Serves>(shared: Shared<S>) {
    let changed = Rc::clone(&shared.borrow().lane().requests_begun);
    let clock = shared.borrow().lane().clock;
    loop {
        let deadline_ms = shared.borrow_mut().lane_mut().budget.next_deadline();
        match deadline_ms {
            None => changed.notified().await,
            Some(deadline_ms) => {
                tokio::time::sleep_until(clock.instant_of(deadline_ms).into()).await;
                shared.borrow_mut().lane_mut().close_overdue();
            }
        }
    }
}
