//! Virtual time, and the two clocks that a node reads: one that counts from when its process began,
//! and one on the wall that somebody may move.

use strom_base::Now;

/// Nanoseconds since the world began.
pub(super) type Nanos = u64;

pub(super) const MICROSECOND: Nanos = 1000;
pub(super) const MILLISECOND: Nanos = 1_000_000;
pub(super) const SECOND: Nanos = 1_000_000_000;

const START_MS: i64 = 1_700_000_000_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    pub(super) at: Nanos,
    /// When the node's process began.
    life_began: Nanos,
    /// How wrong the node's clock on the wall is.
    wall_offset_ms: i64,
    /// How much too fast it goes, in parts of a million, since when.
    drift: (i64, Nanos),
}

impl Clock {
    /// What the clients see: their clocks are right.
    pub(super) fn true_time(&self) -> Now {
        let now_ms = self.at / MILLISECOND;
        Now { monotonic_ms: now_ms, wall_ms: START_MS + now_ms as i64 }
    }

    /// What the node sees.
    pub(super) fn node_time(&self) -> Now {
        let monotonic_ms = (self.at - self.life_began) / MILLISECOND;
        let wall_ms = START_MS + (self.at / MILLISECOND) as i64 + self.wall_error_ms();
        Now { monotonic_ms, wall_ms }
    }

    pub(super) fn wall_error_ms(&self) -> i64 {
        let (parts, since) = self.drift;
        let drifted = ((self.at - since) / MILLISECOND) as i64 * parts / 1_000_000;
        self.wall_offset_ms + drifted
    }

    /// When the node's monotonic clock will show this.
    pub(super) fn when_node_shows(&self, monotonic_ms: u64) -> Nanos {
        self.life_began.saturating_add(monotonic_ms.saturating_mul(MILLISECOND))
    }

    pub(super) fn begin_life(&mut self) {
        self.life_began = self.at;
    }

    /// Somebody moves the clock on the wall.
    pub(super) fn jump(&mut self, by_ms: i64) {
        self.wall_offset_ms += by_ms;
    }

    /// From now on it goes too fast by so many parts of a million, or too slow.
    pub(super) fn drift(&mut self, parts: i64) {
        self.wall_offset_ms = self.wall_error_ms();
        self.drift = (parts, self.at);
    }

    /// Somebody sets it right.
    pub(super) fn set_right(&mut self) {
        self.wall_offset_ms = 0;
        self.drift = (0, self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_wrong_on_the_wall_alone() {
        let mut clock = Clock { at: 5 * SECOND, ..Clock::default() };
        clock.begin_life();
        clock.at += 2 * SECOND;
        clock.jump(-60_000);
        clock.drift(10_000);
        clock.at += 100 * SECOND;
        let (right, node) = (clock.true_time(), clock.node_time());
        assert_eq!(node.monotonic_ms, 102_000);
        assert_eq!(node.wall_ms - right.wall_ms, -60_000 + 1000);
        assert_eq!(clock.when_node_shows(node.monotonic_ms), clock.at);
        clock.set_right();
        assert_eq!(clock.node_time().wall_ms, right.wall_ms);
    }
}
