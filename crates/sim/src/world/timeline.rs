//! What happened: always as one number, by which two runs are compared, and as text for who asks.

use std::collections::VecDeque;
use std::fmt::Display;

use super::clock::{MILLISECOND, Nanos};

/// How much of what happens is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Nothing but the hash.
    #[default]
    Nothing,
    /// The last so many lines.
    Last(usize),
    Everything,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    hash: u64,
    telling: Telling,
    lines: VecDeque<String>,
}

impl Timeline {
    pub(super) fn new(telling: Telling) -> Self {
        Self { telling, ..Self::default() }
    }

    /// What happened, in numbers.
    pub(super) fn beat(&mut self, words: [u64; 4]) {
        for word in words {
            self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// A line: when, who, what. It is made only if somebody wants to read it.
    pub(super) fn tell<T: Display>(&mut self, at: Nanos, who: &str, what: impl FnOnce() -> T) {
        let lines_max = match self.telling {
            Telling::Nothing => return,
            Telling::Last(lines) => lines,
            Telling::Everything => usize::MAX,
        };
        if self.lines.len() >= lines_max {
            self.lines.pop_front();
        }
        let (whole_ms, rest) = (at / MILLISECOND, at % MILLISECOND);
        self.lines.push_back(format!("{whole_ms:>9}.{rest:06} {who:<10} {}", what()));
    }

    pub(super) fn is_told(&self) -> bool {
        self.telling != Telling::Nothing
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut timeline = Timeline::new(Telling::Last(2));
        for number in 0..5 {
            timeline.tell(number * MILLISECOND + 1, "node", || format!("event {number}"));
        }
        let lines = timeline.into_lines();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "        4.000001 node       event 4");
    }

    #[test]
    fn order_counts_for_the_hash() {
        let hash = |beats: &[[u64; 4]]| {
            let mut timeline = Timeline::default();
            beats.iter().for_each(|beat| timeline.beat(*beat));
            timeline.hash()
        };
        assert_ne!(hash(&[[1, 2, 3, 4], [5, 6, 7, 8]]), hash(&[[5, 6, 7, 8], [1, 2, 3, 4]]));
        assert_ne!(hash(&[[1, 2, 3, 4]]), hash(&[[1, 2, 4, 3]]));
    }
}
