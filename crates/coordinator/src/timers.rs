//! What is to happen by itself, and when.
//!
//! Most timers are sessions, pushed back by every heartbeat and rarely due. So a later deadline is
//! only noted; the queue is put right when the old one comes up.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::Now;

#[derive(Clone, Copy, Debug)]
struct Entry {
    due_ms: u64,
    /// Where the timer stands in the queue: never after `due_ms`.
    queued_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    entries: BTreeMap<K, Entry>,
    queue: BTreeSet<(u64, K)>,
}

impl<K: Ord + Clone> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeMap::new(), queue: BTreeSet::new() }
    }

    /// Sets the timer to go off once at `due_ms`, instead of when it was to go off before.
    pub(crate) fn schedule(&mut self, key: K, due_ms: u64) {
        match self.entries.get_mut(&key) {
            Some(entry) if entry.queued_ms <= due_ms => entry.due_ms = due_ms,
            _ => {
                self.cancel(&key);
                self.entries.insert(key.clone(), Entry { due_ms, queued_ms: due_ms });
                self.queue.insert((due_ms, key));
            }
        }
    }

    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.queue.remove(&(entry.queued_ms, key.clone()));
        }
    }

    /// Never later than the first timer; earlier when that one was pushed back.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.queue.first().map(|(queued_ms, _)| *queued_ms)
    }

    /// Takes out the next timer that is due, if any.
    pub(crate) fn pop_due(&mut self, now: Now) -> Option<K> {
        while self.next_deadline().is_some_and(|queued_ms| queued_ms <= now.monotonic_ms) {
            let (_, key) = self.queue.pop_first()?;
            let entry = self.entries.get_mut(&key)?;
            if entry.due_ms <= now.monotonic_ms {
                self.entries.remove(&key);
                return Some(key);
            }
            entry.queued_ms = entry.due_ms;
            let due_ms = entry.due_ms;
            self.queue.insert((due_ms, key));
        }
        None
    }

    /// Every timer stands in the queue exactly once, never too late.
    pub(crate) fn check(&self) {
        assert_eq!(self.entries.len(), self.queue.len(), "timers and queue differ");
        for (key, entry) in &self.entries {
            assert!(entry.queued_ms <= entry.due_ms, "a timer stands too late in the queue");
            assert!(self.queue.contains(&(entry.queued_ms, key.clone())), "a timer is not queued");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic_ms: u64) -> Now {
        Now { monotonic_ms, wall_ms: 0 }
    }

    #[test]
    fn a_timer_goes_off_once_at_its_last_deadline() {
        let mut timers = Timers::new();
        timers.schedule("session", 10);
        timers.schedule("session", 30);
        timers.schedule("join", 20);
        timers.schedule("gone", 5);
        timers.cancel(&"gone");
        timers.check();
        assert_eq!(timers.pop_due(at(10)), None);
        assert_eq!(timers.next_deadline(), Some(20));
        assert_eq!(timers.pop_due(at(30)), Some("join"));
        assert_eq!(timers.pop_due(at(30)), Some("session"));
        assert_eq!(timers.pop_due(at(30)), None);
        timers.schedule("early", 50);
        timers.schedule("early", 40);
        timers.check();
        assert_eq!(timers.pop_due(at(40)), Some("early"));
        assert_eq!(timers.next_deadline(), None);
    }
}
