//! Leader epochs of a log and where each began (KIP-101): the answer to "where did we part?".

use crate::format::leader_epoch_checkpoint::EpochEntry;

/// Ascending in both epoch and start offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochs {
    /// From a checkpoint; entries that break the order are dropped as a later one replaces them.
    pub(crate) fn new(entries: Vec<EpochEntry>) -> Self {
        let mut epochs = Self::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start_offset);
        }
        epochs
    }

    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub(crate) fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The epoch that the record at `offset` belongs to.
    pub(crate) fn at(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries.get(after.checked_sub(1)?)?.epoch)
    }

    /// True when it changed something and the checkpoint has to be written.
    pub(crate) fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if let Some(last) = self.latest()
            && last.epoch == epoch
            && start_offset >= last.start_offset
        {
            return false;
        }
        while let Some(last) = self.latest()
            && (last.epoch >= epoch || last.start_offset >= start_offset)
        {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// What a batch in the middle of the log tells, read again: the checkpoint may lack its epoch and know
    /// later ones, which stay.
    pub(crate) fn learn(&mut self, epoch: i32, start_offset: i64) {
        if self.latest().is_none_or(|last| last.start_offset < start_offset && last.epoch < epoch) {
            self.assign(epoch, start_offset);
            return;
        }
        if epoch < 0 || self.at(start_offset).is_some_and(|known| known >= epoch) {
            return;
        }
        self.entries.retain(|entry| {
            let is_later = entry.start_offset > start_offset && entry.epoch > epoch;
            let is_earlier = entry.start_offset < start_offset && entry.epoch < epoch;
            is_later || is_earlier
        });
        let index = self.entries.partition_point(|entry| entry.start_offset < start_offset);
        self.entries.insert(index, EpochEntry { epoch, start_offset });
    }

    /// The largest known epoch at or below `epoch` and its end, `log_end_offset` for the latest.
    pub(crate) fn end_offset(&self, epoch: i32, log_end_offset: i64) -> Option<(i32, i64)> {
        let latest = self.latest()?;
        if epoch == latest.epoch {
            return Some((epoch, log_end_offset));
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(higher)?.start_offset;
        match higher.checked_sub(1).and_then(|floor| self.entries.get(floor)) {
            Some(floor) => Some((floor.epoch, end)),
            None => Some((epoch, end)),
        }
    }

    /// Forgets what begins at or after `end_offset`.
    pub(crate) fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// The epoch that holds `start_offset` begins there now; earlier ones are forgotten.
    pub(crate) fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let passed = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(last) = passed.checked_sub(1) else { return false };
        self.entries.drain(..last);
        let Some(first) = self.entries.first_mut() else { return false };
        let changed = last > 0 || first.start_offset != start_offset;
        first.start_offset = start_offset;
        changed
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in [(2, 10), (4, 20), (7, 30)] {
            assert!(epochs.assign(epoch, start));
        }
        epochs
    }

    #[test]
    fn ends_follow_kip_101() {
        let epochs = sample();
        let asked = [(7, Some((7, 50))), (8, None), (5, Some((4, 30))), (4, Some((4, 30)))];
        for (epoch, end) in asked {
            assert_eq!(epochs.end_offset(epoch, 50), end, "epoch {epoch}");
        }
        assert_eq!(epochs.end_offset(1, 50), Some((1, 10)));
        assert_eq!(LeaderEpochs::default().end_offset(0, 50), None);
        assert_eq!(epochs.at(25), Some(4));
        assert_eq!(epochs.at(9), None);
    }

    #[test]
    fn a_new_epoch_replaces_what_it_contradicts() {
        let mut epochs = sample();
        assert!(!epochs.assign(7, 40));
        assert!(epochs.assign(8, 20));
        assert_eq!(epochs.entries().len(), 2);
    }

    #[test]
    fn a_batch_fills_in_what_a_checkpoint_lacks() {
        let with = |epoch, start_offset| {
            let mut epochs = sample();
            epochs.learn(epoch, start_offset);
            epochs.entries.iter().map(|it| (it.epoch, it.start_offset)).collect::<Vec<_>>()
        };
        assert_eq!(with(1, 2), [(1, 2), (2, 10), (4, 20), (7, 30)]);
        assert_eq!(with(3, 12), [(2, 10), (3, 12), (4, 20), (7, 30)]);
        assert_eq!(with(3, 10), [(3, 10), (4, 20), (7, 30)]);
        // No later record can be of an earlier epoch.
        assert_eq!(with(5, 12), [(2, 10), (5, 12), (7, 30)]);
        assert_eq!(with(8, 40), [(2, 10), (4, 20), (7, 30), (8, 40)]);
        for (known, start_offset) in [(4, 25), (2, 25), (7, 30), (-1, 2)] {
            assert_eq!(with(known, start_offset), [(2, 10), (4, 20), (7, 30)]);
        }
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut epochs = sample();
        assert!(epochs.truncate_from_end(30));
        assert!(epochs.truncate_from_start(25));
        assert_eq!(epochs.entries(), &[EpochEntry { epoch: 4, start_offset: 25 }]);
        assert!(!epochs.truncate_from_start(25));
    }
}
