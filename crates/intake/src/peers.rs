//! What a thread keeps for each connection's task: answers to be sent, and whether it is to end.

use std::collections::VecDeque;
use std::task::Waker;

use strom_base::IdMap;
use strom_broker::effect::{ConnectionId, Response};

use crate::ending::Ending;

/// An answer as it waits to be sent.
pub trait Answer {
    /// Its bytes, without those that lie in files.
    fn own_bytes(&self) -> usize;
}

impl Answer for Response {
    fn own_bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[derive(Debug)]
pub struct Peer<A> {
    outbox: VecDeque<A>,
    /// Bytes in `outbox`, without the file ranges.
    outbox_bytes: usize,
    /// Why to close once the outbox is sent.
    closing: Option<Ending>,
    /// The outbox is not sent any more either.
    is_cut_off: bool,
    /// Of the connection's task.
    waker: Waker,
    /// Its socket takes nothing.
    pub is_stuck: bool,
    /// Waits for its turn: see [`crate::turns`].
    pub is_in_line: bool,
    /// Monotonic.
    pub last_active_ms: u64,
}

#[derive(Debug)]
pub struct Peers<A> {
    by_id: IdMap<ConnectionId, Peer<A>>,
}

impl<A> Default for Peers<A> {
    fn default() -> Self {
        Self { by_id: IdMap::default() }
    }
}

impl<A: Answer> Peers<A> {
    /// A new connection.
    pub fn open(&mut self, id: ConnectionId, now_ms: u64) {
        let peer = Peer {
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            closing: None,
            is_cut_off: false,
            waker: Waker::noop().clone(),
            is_stuck: false,
            is_in_line: false,
            last_active_ms: now_ms,
        };
        self.by_id.insert(id, peer);
    }

    /// False when it is gone already.
    pub fn close(&mut self, id: ConnectionId) -> bool {
        self.by_id.remove(&id).is_some()
    }

    pub fn get(&self, id: ConnectionId) -> Option<&Peer<A>> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Peer<A>> {
        self.by_id.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Peer<A>)> {
        self.by_id.iter().map(|(id, peer)| (*id, peer))
    }
}

impl<A: Answer> Peer<A> {
    /// An answer to be sent. The task that is reading looks at its outbox by itself.
    pub fn put(&mut self, answer: A, is_reading: bool) {
        self.outbox_bytes += answer.own_bytes();
        self.outbox.push_back(answer);
        if !is_reading {
            self.wake();
        }
    }

    pub fn take(&mut self) -> Option<A> {
        let answer = self.outbox.pop_front()?;
        self.outbox_bytes = self.outbox_bytes.saturating_sub(answer.own_bytes());
        Some(answer)
    }

    /// Bytes of answers that the connection's task has not taken yet.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox_bytes
    }

    /// Answers that the connection's task has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Who is woken when there is something for the connection's task to do.
    pub fn attend(&mut self, waker: &Waker) {
        if !self.waker.will_wake(waker) {
            self.waker.clone_from(waker);
        }
    }

    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// To be closed behind what is to be sent; the first reason counts.
    pub fn end(&mut self, ending: Ending) {
        self.closing.get_or_insert(ending);
        self.wake();
    }

    /// To be closed behind what its task has taken: the next answer cannot be made.
    pub fn break_off(&mut self, ending: Ending) {
        self.outbox.clear();
        self.outbox_bytes = 0;
        self.end(ending);
    }

    /// To be closed without sending what is left.
    pub fn cut_off(&mut self, ending: Ending) {
        self.is_cut_off = true;
        self.end(ending);
    }

    pub fn closing(&self) -> Option<&Ending> {
        self.closing.as_ref()
    }

    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_counts_the_bytes_of_its_answers() {
        let mut peers = Peers::default();
        peers.open(ConnectionId(1), 0);
        let peer = peers.get_mut(ConnectionId(1)).expect("it was opened");
        for length in [100, 20] {
            peer.put(Response { bytes: vec![0; length], ranges: vec![] }, true);
        }
        assert_eq!(peer.outbox_bytes(), 120);
        peer.take();
        assert_eq!(peer.outbox_bytes(), 20);
    }
}
