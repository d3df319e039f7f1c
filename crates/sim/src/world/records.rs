//! Records by offset, for many that lie close to each other: in pages, as they come one behind the other.

use super::places::Mark;

/// Offsets of one page: as many as a word has bits.
const PAGE: i64 = u64::BITS as i64;

#[derive(Clone, Debug)]
struct Page {
    /// The offset of its first record, a multiple of [`PAGE`].
    first: i64,
    /// A bit for each that is there.
    there: u64,
    marks: Box<[Mark; PAGE as usize]>,
}

impl Page {
    fn new(first: i64) -> Self {
        let nobody = Mark { producer: 0, number: 0 };
        Self { first, there: 0, marks: Box::new([nobody; PAGE as usize]) }
    }

    fn get(&self, index: usize) -> Option<Mark> {
        self.marks.get(index).copied().filter(|_| self.there & 1 << index != 0)
    }

    /// Those that are there at or behind an offset.
    fn behind(&self, start: i64) -> impl Iterator<Item = (i64, Mark)> {
        let skipped = start.saturating_sub(self.first).clamp(0, PAGE) as u32;
        let mut left = self.there & u64::MAX.checked_shl(skipped).unwrap_or_default();
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            let mark = *self.marks.get(index)?;
            left &= left - 1;
            Some((self.first + index as i64, mark))
        })
    }
}

/// A map from offsets to marks, in the order of offsets.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    /// In the order of their offsets, none of them empty.
    pages: Vec<Page>,
}

/// The first offset of a page, and the index in it.
fn split(offset: i64) -> (i64, usize) {
    let index = offset.rem_euclid(PAGE);
    (offset.wrapping_sub(index), index as usize)
}

impl Records {
    /// The index of a page; or where it belongs.
    fn find(&self, first: i64) -> Result<usize, usize> {
        // Mostly it is the last one, or the next.
        let last = self.pages.len().checked_sub(1).and_then(|at| Some((at, self.pages.get(at)?)));
        match last {
            Some((at, page)) if page.first == first => Ok(at),
            Some((_, page)) if page.first > first => {
                self.pages.binary_search_by_key(&first, |page| page.first)
            }
            _ => Err(self.pages.len()),
        }
    }

    /// What stood there before.
    pub(super) fn insert(&mut self, offset: i64, mark: Mark) -> Option<Mark> {
        let (first, index) = split(offset);
        let at = self.find(first).unwrap_or_else(|at| {
            self.pages.insert(at, Page::new(first));
            at
        });
        let page = self.pages.get_mut(at)?;
        let before = page.get(index);
        page.there |= 1 << index;
        if let Some(place) = page.marks.get_mut(index) {
            *place = mark;
        }
        before
    }

    pub(super) fn get(&self, offset: i64) -> Option<Mark> {
        let (first, index) = split(offset);
        self.pages.get(self.find(first).ok()?)?.get(index)
    }

    pub(super) fn last_offset(&self) -> Option<i64> {
        let page = self.pages.last()?;
        Some(page.first + i64::from(page.there.checked_ilog2()?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, Mark)> {
        self.pages.iter().flat_map(|page| page.behind(i64::MIN))
    }

    /// The first one at or behind `start` that is not the same there.
    pub(super) fn first_unlike(&self, start: i64, other: &Records) -> Option<(i64, Mark)> {
        let behind = self.pages.partition_point(|page| page.first < split(start).0);
        self.pages.iter().skip(behind).find_map(|page| {
            let theirs = other.find(page.first).ok().and_then(|at| other.pages.get(at));
            let is_unlike = |(offset, mark): &(i64, Mark)| {
                theirs.and_then(|theirs| theirs.get(split(*offset).1)) != Some(*mark)
            };
            page.behind(start).find(is_unlike)
        })
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(i64, Mark) -> bool) {
        for page in &mut self.pages {
            let gone = page.behind(i64::MIN).filter(|(offset, mark)| !is_kept(*offset, *mark));
            page.there &= !gone.fold(0, |gone, (offset, _)| gone | 1 << split(offset).1);
        }
        self.pages.retain(|page| page.there != 0);
    }

    pub(super) fn clear(&mut self) {
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use strom_base::Random;

    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { producer: 1, number: number as u32 }
    }

    /// Beside a map of the library's that goes the same way.
    #[test]
    fn they_are_a_map() {
        for seed in 0..200 {
            let random = &mut Random::new(seed);
            let (mut records, mut model) = (Records::default(), BTreeMap::new());
            let mut other = Records::default();
            for step in 0..random.below(300) {
                let offset = match random.below(4) {
                    0 => random.below(1000) as i64 - 300,
                    _ => model.last_key_value().map_or(0, |(last, _)| last + 1),
                };
                assert_eq!(records.insert(offset, mark(step)), model.insert(offset, mark(step)));
                if !random.one_in(9) {
                    other.insert(offset, mark(step));
                }
            }
            let kept = random.below(4) as u32;
            if random.one_in(2) {
                records.retain(|_, mark| mark.number % 4 != kept);
                model.retain(|_, mark| mark.number % 4 != kept);
            }
            let all: Vec<(i64, Mark)> =
                model.iter().map(|(offset, mark)| (*offset, *mark)).collect();
            assert_eq!(records.iter().collect::<Vec<_>>(), all, "seed {seed}");
            assert_eq!(records.last_offset(), all.last().map(|last| last.0), "seed {seed}");
            for offset in -310..800 {
                assert_eq!(records.get(offset), model.get(&offset).copied(), "seed {seed}");
            }
            for start in [i64::MIN, -64, 0, 3, 64, 100, i64::MAX] {
                let is_unlike = |(offset, mark): &(i64, Mark)| other.get(*offset) != Some(*mark);
                let behind = all.iter().copied().filter(|(offset, _)| *offset >= start);
                let unlike = behind.clone().find(is_unlike);
                assert_eq!(records.first_unlike(start, &other), unlike, "seed {seed}, {start}");
            }
        }
    }
}
