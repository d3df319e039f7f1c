//! Who was woken: what an executor's queue is to the node's tasks.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use strom_broker::effect::ConnectionId;
use strom_intake::turns::Line;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    Connection(ConnectionId),
    Line(Line),
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Rung>,
    /// Woken, and not gone on yet.
    rung: BTreeSet<Rung>,
}

#[derive(Debug)]
struct Bell {
    rung: Rung,
    queue: Arc<Mutex<Queue>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        ring(&self.queue, self.rung);
    }
}

fn ring(queue: &Mutex<Queue>, rung: Rung) {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.rung.insert(rung) {
        queue.waiting.push_back(rung);
    }
}

#[derive(Debug, Default)]
pub(super) struct Bells {
    queue: Arc<Mutex<Queue>>,
}

impl Bells {
    pub(super) fn of(&self, rung: Rung) -> Waker {
        Waker::from(Arc::new(Bell { rung, queue: Arc::clone(&self.queue) }))
    }

    pub(super) fn ring(&self, rung: Rung) {
        ring(&self.queue, rung);
    }

    /// Who was woken first of those who have not been called.
    pub(super) fn next(&self) -> Option<Rung> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }

    /// It goes on now: from here on it can be woken again.
    pub(super) fn on_answered(&self, rung: Rung) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).rung.remove(&rung);
    }
}
