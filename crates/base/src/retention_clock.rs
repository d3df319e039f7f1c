//! The wall clock as far as retention believes it.
//!
//! What is deleted because of its age is gone, and clocks do jump: by hand, by a battery that is empty,
//! by a server of the time that is wrong. A jump ahead is followed slowly, so that somebody can notice;
//! one back at once, as it deletes nothing.

use crate::Now;

/// A correction that nobody needs to hear of.
const UNREMARKABLE_MS: i64 = 3_600_000;
/// Beyond that the clock is followed so many times as fast as time goes.
const TIMES_AS_FAST: i64 = 12;
/// Who has left it so for a day means it: a clock that was wrong before may have been set right.
const DOUBT_MAX_MS: u64 = 86_400_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct RetentionClock {
    /// What it said last, and when that was; `None` before the first reading.
    last: Option<Now>,
    /// Since when the wall clock is ahead of that.
    doubted_since_ms: Option<u64>,
}

impl RetentionClock {
    /// The time, with the wall clock's part as retention is to take it. The first reading is believed.
    pub fn read(&mut self, now: Now) -> Now {
        let last = self.last.unwrap_or(now);
        let passed_ms = now.monotonic_ms.saturating_sub(last.monotonic_ms) as i64;
        let ahead_ms = now.wall_ms.saturating_sub(last.wall_ms.saturating_add(passed_ms));
        let wall_ms = if ahead_ms <= UNREMARKABLE_MS {
            self.doubted_since_ms = None;
            now.wall_ms
        } else {
            let since_ms = *self.doubted_since_ms.get_or_insert(now.monotonic_ms);
            let followed_ms = last.wall_ms.saturating_add(passed_ms.saturating_mul(TIMES_AS_FAST));
            let is_meant = now.monotonic_ms.saturating_sub(since_ms) >= DOUBT_MAX_MS;
            if is_meant { now.wall_ms } else { followed_ms.min(now.wall_ms) }
        };
        let believed = Now { wall_ms, ..now };
        self.last = Some(believed);
        believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn at(hours: i64, wall_hours: i64) -> Now {
        Now { monotonic_ms: (hours * HOUR_MS) as u64, wall_ms: wall_hours * HOUR_MS }
    }

    #[test]
    fn a_jump_ahead_is_followed_slowly_and_one_back_at_once() {
        let mut clock = RetentionClock::default();
        assert_eq!(clock.read(at(0, 100)), at(0, 100));
        assert_eq!(clock.read(at(5, 105)), at(5, 105));
        assert_eq!(clock.read(at(5, 106)), at(5, 106), "an hour is a correction");
        assert_eq!(clock.read(at(5, 1000)), at(5, 106));
        assert_eq!(clock.read(at(6, 1001)), at(6, 118));
        assert_eq!(clock.read(at(16, 1011)), at(16, 238));
        assert_eq!(clock.read(at(17, 112)), at(17, 112));
        assert_eq!(clock.read(at(18, 125)), at(18, 124));
        assert_eq!(clock.read(at(19, 126)), at(19, 126), "it has caught up");
        assert_eq!(clock.read(at(20, 90_000)), at(20, 138));
        assert_eq!(clock.read(at(43, 90_023)), at(43, 414));
        assert_eq!(clock.read(at(44, 90_024)), at(44, 90_024), "it was left so for a day");
    }
}
