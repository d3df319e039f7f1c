//! A value as it is committed and as the appends under way will make it.
//!
//! Decisions look at the latest version, readers at the committed one. A failed append takes
//! its own version back and leaves later ones alone: what remains is what the log says.

/// `None` inside means absent: never written, or a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Versioned<T> {
    committed: Option<T>,
    /// Oldest first, by rising ticket.
    pending: Vec<(u64, Change<T>)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Change<T> {
    Put(Option<T>),
    /// Comes into being only where there is nothing at that point of the log.
    PutIfAbsent(T),
}

impl<T> Default for Versioned<T> {
    fn default() -> Self {
        Self { committed: None, pending: Vec::new() }
    }
}

impl<T> Versioned<T> {
    pub(crate) fn committed(&self) -> Option<&T> {
        self.committed.as_ref()
    }

    pub(crate) fn latest(&self) -> Option<&T> {
        let mut if_absent = None;
        for (_, change) in self.pending.iter().rev() {
            match change {
                Change::Put(value) => return value.as_ref().or(if_absent),
                Change::PutIfAbsent(value) => if_absent = Some(value),
            }
        }
        self.committed.as_ref().or(if_absent)
    }

    /// Nothing to remember: absent, and no append will change that.
    pub(crate) fn is_vacant(&self) -> bool {
        self.committed.is_none() && self.pending.is_empty()
    }

    /// `ticket` is the append that carries the value; none for a record read from the log.
    pub(crate) fn put(&mut self, ticket: Option<u64>, value: Option<T>) {
        self.change(ticket, Change::Put(value));
    }

    /// Puts the value unless there is one already. Says whether that will be decided with the
    /// ticket: as long as an earlier append may fail, nobody knows what is there.
    pub(crate) fn put_if_absent(&mut self, ticket: Option<u64>, value: T) -> bool {
        if self.committed.is_some() && self.pending.is_empty() {
            return false;
        }
        self.change(ticket, Change::PutIfAbsent(value));
        true
    }

    fn change(&mut self, ticket: Option<u64>, change: Change<T>) {
        match ticket {
            Some(ticket) => self.pending.push((ticket, change)),
            None => self.apply(change),
        }
    }

    fn apply(&mut self, change: Change<T>) {
        match change {
            Change::Put(value) => self.committed = value,
            Change::PutIfAbsent(value) => {
                self.committed.get_or_insert(value);
            }
        }
    }

    /// Everything up to and with the ticket is in the log for good.
    pub(crate) fn commit(&mut self, ticket: u64) {
        let count = self.pending.partition_point(|(pending, _)| *pending <= ticket);
        let changes: Vec<(u64, Change<T>)> = self.pending.drain(..count).collect();
        for (_, change) in changes {
            self.apply(change);
        }
    }

    pub(crate) fn abort(&mut self, ticket: u64) {
        self.pending.retain(|(pending, _)| *pending != ticket);
    }

    /// Tickets of appends that have not been decided, oldest first.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().map(|(ticket, _)| *ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_append_takes_back_only_its_own_version() {
        let mut value = Versioned::default();
        value.put(None, Some(1));
        value.put(Some(7), None);
        value.put(Some(8), Some(3));
        assert_eq!((value.committed(), value.latest()), (Some(&1), Some(&3)));
        value.abort(7);
        assert_eq!((value.committed(), value.latest()), (Some(&1), Some(&3)));
        value.commit(8);
        assert_eq!((value.committed(), value.latest()), (Some(&3), Some(&3)));
        value.put(Some(9), None);
        value.abort(9);
        assert_eq!(value.latest(), Some(&3));
        value.put(Some(10), None);
        value.commit(10);
        assert!(value.is_vacant());
    }

    #[test]
    fn what_is_put_if_absent_yields_to_what_turns_out_to_be_there() {
        let mut value = Versioned::default();
        value.put(None, Some(1));
        assert!(!value.put_if_absent(Some(4), 0));
        value.put(Some(5), None);
        assert!(value.put_if_absent(Some(6), 2));
        assert!(value.put_if_absent(Some(7), 3));
        assert_eq!(value.latest(), Some(&2));
        let mut kept = value.clone();
        kept.abort(5);
        assert_eq!(kept.latest(), Some(&1));
        kept.commit(7);
        assert_eq!(kept.committed(), Some(&1));
        value.commit(5);
        assert_eq!((value.committed(), value.latest()), (None, Some(&2)));
        value.commit(6);
        assert_eq!(value.committed(), Some(&2));
    }
}
