//! Memory for requests that have begun to arrive: how much all connections of a shard may hold, who
//! goes on when it is used up, and who takes too long.
//!
//! Over the limit only the request that began first is read on. It ends, or its time does: so there
//! is always one that makes progress, and what is held exceeds the limit by one request, one read, and what
//! each other connection may bring of a new one: [`crate::intake::SCARCE_READ_BYTES`].

use std::collections::{BTreeMap, BTreeSet};

use strom_base::{IdMap, Planted, planted};
use strom_broker::effect::ConnectionId;

/// The limit when the configuration sets none (`queued.max.request.bytes=-1`).
pub const BYTES_MAX_BY_DEFAULT: usize = 128 << 20;
/// A request that has begun to arrive must be whole after this time …
pub const COMPLETION_MS: u64 = 30_000;
/// … or have brought as many bytes in it: a slow line is no attack, a silent one is.
pub const COMPLETION_BYTES: usize = 4 << 20;

/// One connection's unfinished request.
#[derive(Debug)]
struct Begun {
    /// Memory that it takes.
    bytes: usize,
    /// Place in the order of beginning; `None` while we, not the peer, hold it up.
    place: Option<u64>,
    due_ms: u64,
    received: usize,
    received_when_armed: usize,
    /// What was left of its time when it was held up.
    left_ms: u64,
}

/// All unfinished requests of a shard.
#[derive(Debug)]
pub struct ReceiveBudget {
    bytes_max: usize,
    bytes: usize,
    begun: IdMap<ConnectionId, Begun>,
    order: BTreeMap<u64, ConnectionId>,
    next_place: u64,
    paused: BTreeSet<ConnectionId>,
    /// Somebody sleeps until a deadline; a later one needs no telling.
    is_armed: bool,
}

/// What a connection holds after it has read.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Memory that its buffer takes.
    pub bytes: usize,
    /// Bytes of the unfinished request that have arrived.
    pub received: usize,
    /// Whether it is the peer who has to send more.
    pub is_awaited: bool,
    /// Whether it is another request than when this was last called.
    pub is_new: bool,
}

impl ReceiveBudget {
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            begun: IdMap::default(),
            order: BTreeMap::new(),
            next_place: 0,
            paused: BTreeSet::new(),
            is_armed: false,
        }
    }

    /// What all hold together, as far as it was told.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    #[inline]
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// Whether the connection may go on with the request that it has begun.
    #[inline]
    #[must_use]
    pub fn may_go_on(&self, id: ConnectionId) -> bool {
        !self.is_used_up() || self.is_first(id)
    }

    /// Whether its request began before those of all others who have to send more.
    #[inline]
    #[must_use]
    pub fn is_first(&self, id: ConnectionId) -> bool {
        self.order.first_key_value().is_some_and(|(_, first)| *first == id)
    }

    /// What nobody holds.
    #[inline]
    #[must_use]
    pub fn left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes)
    }

    /// What the connection may hold with what it has.
    #[must_use]
    pub fn room_of(&self, id: ConnectionId) -> usize {
        self.left() + self.begun.get(&id).map_or(0, |begun| begun.bytes)
    }

    /// The connection waits until it may go on; its time stands still.
    pub fn pause(&mut self, id: ConnectionId) {
        if let Some(begun) = self.begun.get_mut(&id) {
            begun.due_ms = u64::MAX;
            self.paused.insert(id);
        }
    }

    /// The connection waits for us: its time stands still, and its place stays its own.
    pub fn hold_up(&mut self, now_ms: u64, id: ConnectionId) {
        let begun = self.begun.get_mut(&id).filter(|it| it.place.is_some());
        if let Some(begun) = begun {
            begun.left_ms = begun.due_ms.saturating_sub(now_ms).min(COMPLETION_MS);
            begun.due_ms = u64::MAX;
            // Or its time would begin when there is memory for it.
            self.paused.remove(&id);
        }
    }

    /// It is the peer's turn again. True when who keeps the deadlines has to be woken.
    pub fn go_on(&mut self, now_ms: u64, id: ConnectionId) -> bool {
        let is_paused = self.paused.contains(&id);
        let held_up = |it: &&mut Begun| it.place.is_some() && it.due_ms == u64::MAX && !is_paused;
        match self.begun.get_mut(&id).filter(held_up) {
            Some(begun) => {
                begun.due_ms = now_ms + begun.left_ms;
                !std::mem::replace(&mut self.is_armed, true)
            }
            None => false,
        }
    }

    /// What a connection holds from now on. True when who keeps the deadlines has to be woken.
    #[inline]
    pub fn hold(&mut self, now_ms: u64, id: ConnectionId, held: Held) -> bool {
        if held.is_new {
            self.forget(id);
        }
        let Held { bytes, received, is_awaited, .. } = held;
        let begun = self.begun.entry(id).or_insert(Begun {
            bytes: 0,
            place: None,
            due_ms: now_ms + COMPLETION_MS,
            received: 0,
            received_when_armed: 0,
            left_ms: 0,
        });
        self.bytes = self.bytes - begun.bytes + bytes;
        (begun.bytes, begun.received) = (bytes, received);
        match begun.place {
            None if is_awaited => {
                self.next_place += 1;
                begun.place = Some(self.next_place);
                begun.due_ms = now_ms + COMPLETION_MS;
                self.order.insert(self.next_place, id);
            }
            Some(place) if !is_awaited => {
                begun.place = None;
                self.order.remove(&place);
            }
            _ => {}
        }
        self.arm()
    }

    /// Somebody may be overdue one day. True when who keeps the deadlines has to be woken.
    fn arm(&mut self) -> bool {
        !self.order.is_empty() && !std::mem::replace(&mut self.is_armed, true)
    }

    /// The connection holds nothing any more.
    #[inline]
    pub fn forget(&mut self, id: ConnectionId) {
        if let Some(begun) = self.begun.remove(&id) {
            self.bytes -= begun.bytes;
            self.paused.remove(&id);
            if let Some(place) = begun.place {
                self.order.remove(&place);
            }
        }
    }

    /// Paused connections that may go on now; they are paused no more. Their time begins anew: whether who
    /// keeps the deadlines has to be woken.
    #[inline]
    pub fn resume(&mut self, now_ms: u64) -> (Vec<ConnectionId>, bool) {
        if self.paused.is_empty() {
            return (Vec::new(), false);
        }
        let resumed: Vec<_> =
            self.paused.iter().copied().filter(|id| self.may_go_on(*id)).collect();
        for id in &resumed {
            self.paused.remove(id);
            if let Some(begun) = self.begun.get_mut(id) {
                begun.due_ms = now_ms + COMPLETION_MS;
            }
        }
        let is_watched = !planted(Planted::TimeUnwatched);
        let is_to_be_armed = is_watched && !resumed.is_empty() && self.arm();
        (resumed, is_to_be_armed)
    }

    /// Monotonic milliseconds; until then nobody needs to look.
    pub fn next_deadline(&mut self) -> Option<u64> {
        let awaited = self.order.values().filter_map(|id| self.begun.get(id));
        let due_ms = awaited.map(|begun| begun.due_ms).filter(|due_ms| *due_ms < u64::MAX).min();
        self.is_armed = due_ms.is_some();
        due_ms
    }

    /// Connections whose requests took too long; those that bring enough get more time.
    pub fn on_deadline(&mut self, now_ms: u64) -> Vec<ConnectionId> {
        let mut overdue = Vec::new();
        for id in self.order.values() {
            let Some(begun) = self.begun.get_mut(id).filter(|it| it.due_ms <= now_ms) else {
                continue;
            };
            if begun.received - begun.received_when_armed.min(begun.received) >= COMPLETION_BYTES {
                begun.received_when_armed = begun.received;
                begun.due_ms = now_ms + COMPLETION_MS;
            } else {
                // Told once: the connection ends now.
                begun.due_ms = u64::MAX;
                overdue.push(*id);
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);
    const C: ConnectionId = ConnectionId(3);

    fn held(bytes: usize) -> Held {
        Held { bytes, received: bytes, is_awaited: true, is_new: false }
    }

    #[test]
    fn over_the_limit_the_first_goes_on_and_then_the_next() {
        let mut budget = ReceiveBudget::new(100);
        for (id, bytes) in [(A, 40), (B, 40), (C, 30)] {
            assert!(budget.may_go_on(id));
            budget.hold(0, id, held(bytes));
        }
        assert!(budget.may_go_on(A) && !budget.may_go_on(B) && !budget.may_go_on(C));
        budget.pause(B);
        budget.pause(C);
        budget.hold(0, A, held(90));
        assert_eq!(budget.resume(COMPLETION_MS).0, []);
        // Its next request begins behind the others.
        budget.hold(0, A, Held { is_new: true, ..held(60) });
        assert_eq!(budget.resume(COMPLETION_MS).0, [B]);
        budget.forget(B);
        assert_eq!(budget.resume(COMPLETION_MS).0, [C]);
        assert_eq!(budget.bytes, 90);
    }

    #[test]
    fn a_request_that_we_hold_up_is_not_waited_for() {
        let mut budget = ReceiveBudget::new(10);
        budget.hold(0, A, Held { is_awaited: false, ..held(20) });
        budget.hold(0, B, held(20));
        assert!(budget.may_go_on(B));
        assert_eq!(budget.on_deadline(COMPLETION_MS), [B]);
        assert_eq!(budget.next_deadline(), None);
    }

    #[test]
    fn who_is_silent_is_overdue_and_who_is_slow_is_not() {
        let mut budget = ReceiveBudget::new(1 << 30);
        assert!(budget.hold(5, A, held(100)));
        assert!(!budget.hold(5, B, held(100)));
        assert_eq!(budget.next_deadline(), Some(5 + COMPLETION_MS));
        budget.hold(6, B, held(100 + COMPLETION_BYTES));
        assert_eq!(budget.on_deadline(5 + COMPLETION_MS), [A]);
        assert_eq!(budget.on_deadline(5 + 2 * COMPLETION_MS), [B]);
    }

    #[test]
    fn who_is_held_up_keeps_its_place_and_what_is_left_of_its_time() {
        let mut budget = ReceiveBudget::new(10);
        budget.hold(0, A, held(20));
        budget.hold(0, B, held(20));
        budget.pause(B);
        budget.hold_up(1000, A);
        assert!(budget.may_go_on(A) && !budget.may_go_on(B));
        assert_eq!((budget.next_deadline(), budget.resume(2000).0), (None, vec![]));
        assert_eq!(budget.on_deadline(10 * COMPLETION_MS), []);
        assert!(budget.go_on(5000, A));
        assert_eq!(budget.next_deadline(), Some(5000 + COMPLETION_MS - 1000));
        assert!(!budget.go_on(5000, C));
        budget.hold_up(6000, B);
        budget.forget(A);
        assert_eq!((budget.resume(7000).0, budget.next_deadline()), (vec![], None));
    }

    #[test]
    fn who_had_to_wait_gets_its_time_anew() {
        let mut budget = ReceiveBudget::new(10);
        budget.hold(0, A, held(10));
        budget.hold(0, B, held(1));
        budget.pause(B);
        assert_eq!(budget.on_deadline(COMPLETION_MS), [A]);
        // Nobody sleeps until a deadline while A ends, and B may never say a word again.
        assert_eq!(budget.next_deadline(), None);
        budget.forget(A);
        assert_eq!(budget.resume(COMPLETION_MS), (vec![B], true));
        assert_eq!(budget.next_deadline(), Some(2 * COMPLETION_MS));
    }
}
