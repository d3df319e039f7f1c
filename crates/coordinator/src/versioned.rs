//! A value as it is committed and as the appends under way will make it.
//!
//! Decisions look at the latest version, readers at the committed one. A failed append takes
//! its own version back and leaves later ones alone: what remains is what the log says.

/// `None` inside means absent: never written, or a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Versioned<T> {
    committed: Option<T>,
    /// Oldest first, by rising ticket.
    pending: Vec<(u64, Option<T>)>,
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
        match self.pending.last() {
            Some((_, value)) => value.as_ref(),
            None => self.committed.as_ref(),
        }
    }

    /// Nothing to remember: absent, and no append will change that.
    pub(crate) fn is_vacant(&self) -> bool {
        self.committed.is_none() && self.pending.is_empty()
    }

    /// `ticket` is the append that carries the value; none for a record read from the log.
    pub(crate) fn put(&mut self, ticket: Option<u64>, value: Option<T>) {
        match ticket {
            Some(ticket) => self.pending.push((ticket, value)),
            None => self.committed = value,
        }
    }

    /// Everything up to and with the ticket is in the log for good.
    pub(crate) fn commit(&mut self, ticket: u64) {
        let count = self.pending.partition_point(|(pending, _)| *pending <= ticket);
        if let Some((_, value)) = self.pending.drain(..count).last() {
            self.committed = value;
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
}
