//! A set of logs, a bit for each: a node may have a hundred thousand, of which few have ever held
//! anything.

use strom_storage::disk::LogId;

#[derive(Clone, Debug, Default)]
pub(crate) struct LogSet {
    words: Vec<u64>,
}

/// The word of a log and its bit in it.
fn place(log: LogId) -> (usize, u64) {
    (log.0 as usize / 64, 1 << (log.0 % 64))
}

impl LogSet {
    pub(crate) fn insert(&mut self, log: LogId) {
        let (word, bit) = place(log);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= bit;
        }
    }

    pub(crate) fn remove(&mut self, log: LogId) {
        let (word, bit) = place(log);
        if let Some(bits) = self.words.get_mut(word) {
            *bits &= !bit;
        }
    }

    #[must_use]
    pub(crate) fn contains(&self, log: LogId) -> bool {
        let (word, bit) = place(log);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = LogId> {
        (0..).zip(&self.words).flat_map(|(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(LogId(word * 64 + bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_in_order() {
        let mut set = LogSet::default();
        for id in [700, 3, 64, 63, 3, 128] {
            set.insert(LogId(id));
        }
        set.remove(LogId(64));
        set.remove(LogId(100_000));
        assert_eq!(set.iter().map(|log| log.0).collect::<Vec<_>>(), [3, 63, 128, 700]);
        assert!(set.contains(LogId(700)) && !set.contains(LogId(64)) && set.len() == 4);
    }
}
