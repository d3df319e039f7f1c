//! Who waits on a partition: writers for the high watermark to pass their records, readers for
//! anything new. Waiting costs nothing until the partition moves.

use std::collections::{BTreeSet, VecDeque};

/// More than clients have under way while a disk is full: they give up and come again, and those who gave up
/// are still counted.
const POSTPONED_MAX: usize = 10_000;

/// Whom to tell when records are committed (or will never be). Opaque numbers of the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitWaiter {
    /// Part `part` of a produce request that is parked under `token`.
    Produce { token: u64, part: u32 },
    /// Records of the group coordinator, by its ticket.
    Coordinator { ticket: u64 },
}

/// A parked fetch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchToken(pub u64);

/// Who is told when a partition moves, once. Opaque numbers of the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watcher {
    /// A parked fetch that stands by itself.
    Fetch(FetchToken),
    /// The partition at `place` of a fetch session.
    Session { id: i32, place: u32 },
}

/// The waiting lists of one partition.
#[derive(Debug, Default)]
pub struct Waiting {
    /// In the order of their offsets.
    commits: VecDeque<(i64, CommitWaiter)>,
    /// By the sequence of the log's ticket: what is to be synced before it is acknowledged.
    syncs: Vec<(u64, CommitWaiter)>,
    /// The same, when that sync had no room: any later one will do. What they wait for stays in the log,
    /// and who were told of a failure would send it again by another name.
    postponed: Vec<(u64, CommitWaiter)>,
    watchers: BTreeSet<Watcher>,
}

impl Waiting {
    /// `waiter` waits until the high watermark reaches `offset` (one past its last record).
    pub fn await_commit(&mut self, offset: i64, waiter: CommitWaiter) {
        // A repeated batch waits for the first of its kind, which lies before the newest.
        let index = self.commits.partition_point(|(other, _)| *other <= offset);
        self.commits.insert(index, (offset, waiter));
    }

    /// `waiter` waits until the ticket of this sequence is kept.
    pub fn await_sync(&mut self, sequence: u64, waiter: CommitWaiter) {
        self.syncs.push((sequence, waiter));
    }

    /// Everybody who waits for this ticket.
    pub fn take_synced(&mut self, sequence: u64) -> impl Iterator<Item = CommitWaiter> {
        self.syncs.extract_if(.., move |(other, _)| *other == sequence).map(|(_, waiter)| waiter)
    }

    /// For the sync of this ticket there was no room: who waits for it waits for a later one, up to a
    /// number that nobody comes to. Whether anybody does.
    pub fn postpone(&mut self, sequence: u64) -> bool {
        let room = POSTPONED_MAX.saturating_sub(self.postponed.len());
        let waits = self.syncs.extract_if(.., |(other, _)| *other == sequence).take(room);
        self.postponed.extend(waits);
        !self.postponed.is_empty()
    }

    /// Everybody whose sync had no room and was asked for before this ticket's.
    pub fn take_postponed(&mut self, sequence: u64) -> impl Iterator<Item = CommitWaiter> {
        let earlier = self.postponed.extract_if(.., move |(other, _)| *other < sequence);
        earlier.map(|(_, waiter)| waiter)
    }

    /// The next waiter whose records are committed at `high_watermark`.
    pub fn next_committed(&mut self, high_watermark: i64) -> Option<CommitWaiter> {
        let (offset, _) = self.commits.front()?;
        if *offset > high_watermark { None } else { self.commits.pop_front().map(|(_, w)| w) }
    }

    /// The last waiter whose records end above `log_end_offset`: they were taken back.
    pub fn next_lost(&mut self, log_end_offset: i64) -> Option<CommitWaiter> {
        let (offset, _) = self.commits.back()?;
        if *offset <= log_end_offset { None } else { self.commits.pop_back().map(|(_, w)| w) }
    }

    /// Every writer who waits, in no particular order: nothing will come any more.
    pub fn take_writers(&mut self) -> Vec<CommitWaiter> {
        let commits = self.commits.drain(..).map(|(_, waiter)| waiter);
        let syncs = self.syncs.drain(..).chain(self.postponed.drain(..));
        commits.chain(syncs.map(|(_, waiter)| waiter)).collect()
    }

    /// `watcher` is told of the next move.
    pub fn watch(&mut self, watcher: Watcher) {
        self.watchers.insert(watcher);
    }

    /// `watcher` need not be told any more.
    pub fn forget(&mut self, watcher: Watcher) {
        self.watchers.remove(&watcher);
    }

    /// The partition has moved: its watchers are added to `told`. Who wants to be told again watches
    /// again.
    pub fn tell_watchers(&mut self, told: &mut Vec<Watcher>) {
        told.extend(std::iter::from_fn(|| self.watchers.pop_first()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_batch_waits_for_the_first_of_its_kind() {
        let mut waiting = Waiting::default();
        let waiter = |part| CommitWaiter::Produce { token: 1, part };
        for (part, offset) in [(0, 3), (1, 5), (2, 3)] {
            waiting.await_commit(offset, waiter(part));
        }
        let released: Vec<_> = std::iter::from_fn(|| waiting.next_committed(3)).collect();
        assert_eq!(released, [waiter(0), waiter(2)]);
    }

    #[test]
    fn a_sync_releases_who_waits_for_it() {
        let mut waiting = Waiting::default();
        let waiter = |part| CommitWaiter::Produce { token: 1, part };
        waiting.await_sync(7, waiter(0));
        waiting.await_sync(8, waiter(1));
        waiting.await_sync(7, waiter(2));
        assert_eq!(waiting.take_synced(7).collect::<Vec<_>>(), [waiter(0), waiter(2)]);
        assert_eq!(waiting.take_synced(7).count(), 0);
    }

    #[test]
    fn who_had_no_room_waits_for_a_later_sync() {
        let mut waiting = Waiting::default();
        let waiter = |part| CommitWaiter::Produce { token: 1, part };
        waiting.await_sync(7, waiter(0));
        waiting.await_sync(8, waiter(1));
        assert!(waiting.postpone(7));
        // Asked for earlier and reported later: it says nothing of the seventh.
        assert_eq!(waiting.take_postponed(6).count(), 0);
        assert_eq!(waiting.take_synced(7).count(), 0);
        assert_eq!(waiting.take_postponed(8).collect::<Vec<_>>(), [waiter(0)]);
        assert_eq!(waiting.take_synced(8).collect::<Vec<_>>(), [waiter(1)]);
        assert!(!waiting.postpone(9), "nobody waits");
    }

    #[test]
    fn nobody_is_left_behind_when_the_partition_goes_away() {
        let mut waiting = Waiting::default();
        let waiter = |part| CommitWaiter::Produce { token: 1, part };
        waiting.await_commit(3, waiter(0));
        waiting.await_sync(7, waiter(1));
        waiting.await_sync(6, waiter(2));
        waiting.postpone(6);
        assert_eq!(waiting.take_writers(), [waiter(0), waiter(1), waiter(2)]);
        assert_eq!((waiting.next_lost(0), waiting.take_synced(7).count()), (None, 0));
    }

    #[test]
    fn commits_are_released_in_order_as_the_watermark_passes() {
        let mut waiting = Waiting::default();
        for (part, offset) in [3, 5, 9].into_iter().enumerate() {
            waiting.await_commit(offset, CommitWaiter::Produce { token: 1, part: part as u32 });
        }
        assert_eq!(waiting.next_committed(2), None);
        let released: Vec<_> = std::iter::from_fn(|| waiting.next_committed(5)).collect();
        assert_eq!(released.len(), 2);
        assert_eq!(waiting.next_lost(9), None);
        assert_eq!(waiting.next_lost(5), Some(CommitWaiter::Produce { token: 1, part: 2 }));
        assert_eq!(waiting.next_lost(5), None);
    }
}
