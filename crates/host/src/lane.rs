//! What the connections of one thread share beside their [`Intake`]: its clock, and who waits for time or for the
//! disk.
//!
//! The broker's thread has a lane, and so has each network thread: a connection's task finds here all
//! that it needs without asking the broker. Nothing of it is seen by another thread.

use std::rc::Rc;
use std::time::Duration;

use strom_broker::effect::ConnectionId;
use strom_intake::budget::ReceiveBudget;
use strom_intake::peers::Answer;
use strom_intake::turns::Line;
use strom_intake::{Ending, Intake};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::closing::EndingLog;
use crate::serves::{Serves, Shared};

/// How often connections are looked at for idleness, as a part of the allowed time.
const IDLE_CHECKS: u64 = 10;

#[derive(Debug)]
pub(crate) struct Lane<A> {
    pub(crate) clock: Clock,
    pub(crate) intake: Intake<A>,
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
            intake: Intake::new(budget),
            endings: EndingLog::default(),
            awaiting_bytes: Vec::new(),
            requests_begun: Rc::new(Notify::new()),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().monotonic_ms
    }

    pub(crate) fn open(&mut self, id: ConnectionId) {
        let now_ms = self.now_ms();
        self.intake.peers.open(id, now_ms);
    }

    /// False when it is gone already.
    pub(crate) fn close(&mut self, id: ConnectionId) -> bool {
        let now_ms = self.now_ms();
        let closed = self.intake.close(now_ms, id);
        if closed == Some(true) {
            self.arm_deadlines();
        }
        closed.is_some()
    }

    /// Says why a connection ended, if that is worth a line.
    pub(crate) fn say_ending(&mut self, peer: &str, ending: &Ending) {
        let now_ms = self.now_ms();
        self.endings.say(now_ms, peer, ending);
    }

    /// The connection's socket takes nothing from now on, or does again.
    pub(crate) fn mark_stuck(&mut self, id: ConnectionId, is_stuck: bool) {
        let now_ms = self.now_ms();
        if let Some(peer) = self.intake.peers.get_mut(id) {
            (peer.is_stuck, peer.last_active_ms) = (is_stuck, now_ms);
        }
    }

    /// A request has begun to arrive and nobody looks after its time.
    pub(crate) fn arm_deadlines(&self) {
        self.requests_begun.notify_one();
    }

    /// The connection is woken when something was brought into memory.
    pub(crate) fn await_bytes(&mut self, id: ConnectionId) {
        self.awaiting_bytes.push(id);
    }

    /// Something was brought into memory.
    pub(crate) fn on_brought(&mut self) {
        for id in std::mem::take(&mut self.awaiting_bytes) {
            self.intake.wake(id);
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
        let peers = serves.lane().intake.peers.iter();
        let quiet = peers.filter(|(_, it)| now_ms.saturating_sub(it.last_active_ms) > idle_ms);
        let idle: Vec<_> = quiet
            .filter(|(id, peer)| peer.is_stuck || serves.outstanding(*id) == 0)
            .map(|(id, _)| id)
            .collect();
        for id in idle {
            if let Some(peer) = serves.lane_mut().intake.peers.get_mut(id) {
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
        let deadline_ms = shared.borrow_mut().lane_mut().intake.budget.next_deadline();
        match deadline_ms {
            None => changed.notified().await,
            Some(deadline_ms) => {
                tokio::time::sleep_until(clock.instant_of(deadline_ms).into()).await;
                let mut serves = shared.borrow_mut();
                let now_ms = serves.now_ms();
                serves.intake_mut().close_overdue(now_ms);
            }
        }
    }
}

/// Gives a turn at a time, for as long as the thread lives.
async fn give_turns<S: Serves>(shared: Shared<S>, line: Line) {
    loop {
        std::future::poll_fn(|context| {
            let mut serves = shared.borrow_mut();
            let may_go_on = match line {
                Line::Share => serves.may_give_turns(),
                Line::Bulk => serves.may_take_bulk(),
            };
            serves.intake_mut().poll_give_turn(line, may_go_on, context)
        })
        .await;
        // In between the sockets are looked at: who has become ready goes first.
        tokio::task::yield_now().await;
    }
}
