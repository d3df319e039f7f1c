//! Appends under way and what waits for them: the heart of record-and-reply.
//!
//! `P` is what is parked with an append: replies to release, or the rest of a decision.

use std::collections::BTreeMap;

use strom_base::Now;

#[derive(Clone, Debug)]
struct InFlight<K, P> {
    /// Keys whose newest version rides on this append.
    touched: Vec<K>,
    parked: Vec<P>,
    deadline_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Outbox<K, P> {
    next_ticket: u64,
    in_flight: BTreeMap<u64, InFlight<K, P>>,
    /// Appends up to this ticket have been given up on by those who waited.
    expired_through: u64,
}

/// What became of a wish to wait for everything that is under way.
#[must_use]
pub(crate) enum Wait<P> {
    Parked,
    /// Nothing is under way.
    Needless(P),
    /// What is under way has been given up on.
    Hopeless(P),
}

impl<K, P> Outbox<K, P> {
    pub(crate) fn new() -> Self {
        Self { next_ticket: 1, in_flight: BTreeMap::new(), expired_through: 0 }
    }

    /// The ticket that the next `add` will use.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.next_ticket
    }

    /// Deadlines must not fall: every append of a coordinator has the same timeout.
    pub(crate) fn add(&mut self, touched: Vec<K>, parked: Vec<P>, deadline_ms: u64) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.saturating_add(1);
        self.in_flight.insert(ticket, InFlight { touched, parked, deadline_ms });
        ticket
    }

    /// Parks with the newest append under way.
    pub(crate) fn park_with_last(&mut self, parked: P) -> Wait<P> {
        match self.in_flight.last_entry() {
            None => Wait::Needless(parked),
            Some(entry) if *entry.key() <= self.expired_through => Wait::Hopeless(parked),
            Some(mut entry) => {
                entry.get_mut().parked.push(parked);
                Wait::Parked
            }
        }
    }

    /// Ends an append, whatever its fate. Nothing for a ticket that is unknown or over.
    pub(crate) fn take(&mut self, ticket: u64) -> Option<(Vec<K>, Vec<P>)> {
        self.in_flight.remove(&ticket).map(|entry| (entry.touched, entry.parked))
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let waiting = self.in_flight.range(self.expired_through.saturating_add(1)..);
        waiting.map(|(_, entry)| entry.deadline_ms).next()
    }

    /// What waited too long. The append itself stays: it may still be committed.
    pub(crate) fn expire(&mut self, now: Now) -> Vec<P> {
        let mut expired = Vec::new();
        for (ticket, entry) in self.in_flight.range_mut(self.expired_through.saturating_add(1)..) {
            if entry.deadline_ms > now.monotonic_ms {
                break;
            }
            self.expired_through = *ticket;
            expired.append(&mut entry.parked);
        }
        expired
    }

    /// Everything that waits, when there is nothing to wait for any more.
    pub(crate) fn drain(&mut self) -> Vec<P> {
        std::mem::take(&mut self.in_flight).into_values().flat_map(|entry| entry.parked).collect()
    }

    /// What waits, oldest first.
    pub(crate) fn parked(&self) -> impl Iterator<Item = &P> {
        self.in_flight.values().flat_map(|entry| entry.parked.iter())
    }

    pub(crate) fn is_in_flight(&self, ticket: u64) -> bool {
        self.in_flight.contains_key(&ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_too_long_are_let_go_but_the_append_is_not_forgotten() {
        let at = |monotonic_ms| Now { monotonic_ms, wall_ms: 0 };
        let mut outbox = Outbox::new();
        let first = outbox.add(vec!["key"], vec!["reply"], 10);
        let second = outbox.add(vec![], vec![], 20);
        assert!(matches!(outbox.park_with_last("late"), Wait::Parked));
        assert_eq!(outbox.expire(at(9)), Vec::<&str>::new());
        assert_eq!(outbox.expire(at(10)), ["reply"]);
        assert_eq!(outbox.next_deadline(), Some(20));
        assert_eq!(outbox.take(first), Some((vec!["key"], vec![])));
        assert_eq!(outbox.expire(at(20)), ["late"]);
        assert!(matches!(outbox.park_with_last("later"), Wait::Hopeless("later")));
        assert!(outbox.is_in_flight(second) && outbox.take(second).is_some());
        assert_eq!(outbox.take(second), None);
        assert!(matches!(outbox.park_with_last("now"), Wait::Needless("now")));
        assert_eq!(outbox.next_deadline(), None);
    }
}
