//! What producers ever sent to a partition, batch by batch.

use super::places::Mark;

/// By producer: the number of each batch's first record, and how many there are in it; in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    by_producer: Vec<Vec<(u32, u32)>>,
}

/// Where somebody is who looks for one record after the other: what comes next is mostly right behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Bookmarks {
    by_producer: Vec<usize>,
}

impl Sent {
    pub(super) fn insert(&mut self, first: Mark, count: u32) {
        let producer = usize::from(first.producer);
        if self.by_producer.len() <= producer {
            self.by_producer.resize_with(producer + 1, Vec::new);
        }
        let Some(batches) = self.by_producer.get_mut(producer) else { return };
        if batches.last().is_none_or(|(last, _)| *last < first.number) {
            batches.push((first.number, count));
            return;
        }
        let at = batches.partition_point(|(number, _)| *number < first.number);
        match batches.get_mut(at).filter(|(number, _)| *number == first.number) {
            Some(batch) => batch.1 = count,
            None => batches.insert(at, (first.number, count)),
        }
    }

    pub(super) fn holds(&self, mark: Mark, bookmarks: &mut Bookmarks) -> bool {
        let producer = usize::from(mark.producer);
        let Some(batches) = self.by_producer.get(producer) else { return false };
        if bookmarks.by_producer.len() <= producer {
            bookmarks.by_producer.resize(producer + 1, 0);
        }
        let Some(bookmark) = bookmarks.by_producer.get_mut(producer) else { return false };
        let is_in = |at: usize| {
            batches.get(at).is_some_and(|(first, count)| {
                mark.number.checked_sub(*first).is_some_and(|index| index < *count)
            })
        };
        if !is_in(*bookmark) {
            *bookmark += 1;
        }
        if !is_in(*bookmark) {
            let behind = batches.partition_point(|(first, _)| *first <= mark.number);
            *bookmark = behind.saturating_sub(1);
        }
        is_in(*bookmark)
    }

    /// Each record, by producer and number.
    pub(super) fn iter(&self) -> impl Iterator<Item = Mark> {
        (0..).zip(&self.by_producer).flat_map(|(producer, batches)| {
            let numbers = batches.iter().flat_map(|(first, count)| *first..first + count);
            numbers.map(move |number| Mark { producer, number })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_found_in_any_order_and_nothing_else() {
        let mut sent = Sent::default();
        let mark = |producer, number| Mark { producer, number };
        for (first, count) in [(0, 2), (2, 1), (7, 3)] {
            sent.insert(mark(2, first), count);
        }
        sent.insert(mark(0, 4), 1);
        let known =
            [(0, 4), (2, 0), (2, 1), (2, 2), (2, 7), (2, 8), (2, 9)].map(|(a, b)| mark(a, b));
        assert_eq!(sent.iter().collect::<Vec<_>>(), known);
        let all = (0..4).flat_map(|producer| (0..12).map(move |number| mark(producer, number)));
        let all: Vec<Mark> = all.collect();
        let back = all.iter().rev();
        let mut bookmarks = Bookmarks::default();
        for it in all.iter().chain(back) {
            assert_eq!(sent.holds(*it, &mut bookmarks), known.contains(it), "{it:?}");
        }
    }
}
