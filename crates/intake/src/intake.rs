//! What the connections of one thread share: their outboxes, the buffers they read into, the budget of
//! what they have begun to send, whose turn it is.

use std::task::{Context, Poll};

use bytes::BytesMut;
use strom_base::{Planted, planted};
use strom_broker::effect::ConnectionId;

use crate::budget::{COMPLETION_MS, Held, ReceiveBudget};
use crate::ending::Ending;
use crate::peers::{Answer, Peer, Peers};
use crate::receive::{BufferPool, SHARED_READ_BYTES, SharedRead, lent_for};
use crate::turns::{Line, Turns};

/// What is read at once while the budget of unfinished requests is used up.
pub const SCARCE_READ_BYTES: usize = 4 * 1024;

#[derive(Debug)]
pub struct Intake<A> {
    pub peers: Peers<A>,
    pub budget: ReceiveBudget,
    pub pool: BufferPool,
    pub shared_read: SharedRead,
    /// Who has had its share.
    pub turns: Turns,
    /// Whose large requests wait for the disk.
    pub bulk: Turns,
}

impl<A: Answer> Intake<A> {
    #[must_use]
    pub fn new(budget: ReceiveBudget) -> Self {
        Self {
            peers: Peers::default(),
            budget,
            pool: BufferPool::default(),
            shared_read: SharedRead::new(),
            turns: Turns::default(),
            bulk: Turns::default(),
        }
    }

    /// Whether who keeps the deadlines has to be woken; `None` when it is gone already.
    pub fn close(&mut self, now_ms: u64, id: ConnectionId) -> Option<bool> {
        let forgets = !planted(Planted::MemoryNotGivenBack);
        self.peers.close(id).then(|| forgets && self.hold_request(now_ms, id, None))
    }

    /// A buffer for the beginning of a request, of which so many bytes have arrived. Where memory is short it
    /// is for these.
    pub fn buffer_for(&mut self, arrived: usize, wanted: usize) -> BytesMut {
        let left = self.budget.left();
        if lent_for(wanted) <= left {
            return self.pool.take(wanted);
        }
        BytesMut::with_capacity(wanted.min(left.max(arrived)))
    }

    /// Sees to it that the buffer of a connection, which takes so many bytes, has room for `wanted`. Where memory
    /// is short that is room for the next few bytes; the request that began first gets room for all of it.
    /// What the buffer takes then.
    pub fn enlarge(
        &mut self,
        id: ConnectionId,
        (buffer, taken): (&mut BytesMut, usize),
        wanted: usize,
        whole: Option<usize>,
    ) -> usize {
        let room = self.budget.room_of(id);
        if lent_for(wanted) <= room {
            return self.pool.enlarge(buffer, taken, wanted);
        }
        let few = buffer.len() + SCARCE_READ_BYTES;
        if self.budget.is_first(id) {
            let capacity = wanted.min(room.max(few).max(whole.unwrap_or(0)));
            if capacity > SHARED_READ_BYTES {
                return self.pool.enlarge(buffer, taken, capacity);
            }
            // With more room it would read, and keep, what stands behind its request.
            return self.pool.enlarge_exactly(buffer, taken, capacity);
        }
        self.pool.enlarge_exactly(buffer, taken, wanted.min(room.max(few)))
    }

    /// Bytes of answers that the connection's task has not taken yet.
    #[must_use]
    pub fn outbox_bytes(&self, id: ConnectionId) -> usize {
        self.peers.get(id).map_or(0, Peer::outbox_bytes)
    }

    /// Whether the connection is to be closed.
    #[must_use]
    pub fn is_closing(&self, id: ConnectionId) -> bool {
        self.peers.get(id).is_none_or(|peer| peer.closing().is_some())
    }

    fn turns_of(&mut self, line: Line) -> &mut Turns {
        match line {
            Line::Share => &mut self.turns,
            Line::Bulk => &mut self.bulk,
        }
    }

    /// The connection waits for its turn; at the front, if it had one in vain.
    pub fn get_in_line(&mut self, id: ConnectionId, line: Line, is_first: bool) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.is_in_line = true;
            self.turns_of(line).join(id, is_first);
        }
    }

    /// Lets the connection go on whose turn it is, if one may.
    pub fn poll_give_turn(
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

    pub fn wake(&self, id: ConnectionId) {
        if let Some(peer) = self.peers.get(id) {
            peer.wake();
        }
    }

    /// What a connection holds of an unfinished request; nothing ends it. True when who keeps the deadlines
    /// has to be woken.
    pub fn hold_request(&mut self, now_ms: u64, id: ConnectionId, held: Option<Held>) -> bool {
        let is_to_be_armed = match held {
            Some(held) => self.budget.hold(now_ms, id, held),
            None => {
                self.budget.forget(id);
                false
            }
        };
        let (resumed, is_armed_anew) = self.budget.resume(now_ms);
        if !planted(Planted::PausedForGood) {
            resumed.into_iter().for_each(|id| self.wake(id));
        }
        is_to_be_armed || is_armed_anew
    }

    /// The connection waits for us in the middle of a request, or it is its peer's turn again. True when who
    /// keeps the deadlines has to be woken.
    pub fn hold_up(&mut self, now_ms: u64, id: ConnectionId, is_held_up: bool) -> bool {
        if is_held_up {
            self.budget.hold_up(now_ms, id);
        }
        !is_held_up && self.budget.go_on(now_ms, id)
    }

    /// Closes connections whose requests were begun and take too long; how many.
    pub fn close_overdue(&mut self, now_ms: u64) -> usize {
        let overdue = self.budget.on_deadline(now_ms);
        for id in &overdue {
            if let Some(peer) = self.peers.get_mut(*id) {
                let reason = format!("a request was not whole {COMPLETION_MS} ms after its begin");
                peer.cut_off(Ending::Notable(reason));
            }
        }
        overdue.len()
    }
}

#[cfg(test)]
mod tests {
    use strom_broker::effect::Response;

    use super::*;

    /// It would read, and keep, what its client sends behind.
    #[test]
    fn who_goes_first_in_scarce_memory_gets_room_for_its_request_alone() {
        let mut intake = Intake::<Response>::new(ReceiveBudget::new(1000));
        intake.pool.give(BytesMut::with_capacity(80_000), 80_000);
        let held = Held { bytes: 4096, received: 4096, is_awaited: true, is_new: true };
        intake.hold_request(0, ConnectionId(1), Some(held));
        let mut buffer = BytesMut::zeroed(4096);
        let allocated = intake.enlarge(ConnectionId(1), (&mut buffer, 4096), 11_549, Some(11_549));
        assert!((11_549..16_000).contains(&allocated), "{allocated}");
        assert_eq!(buffer.len(), 4096);
    }
}
