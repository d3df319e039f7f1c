//! The node's clock: the only place where system time is read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strom_base::Now;

/// Monotonic time counts from the clock's making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock {
    #[must_use]
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            monotonic_ms: self.started.elapsed().as_millis() as u64,
            wall_ms: wall.as_millis() as i64,
        }
    }

    /// The instant at which [`Now::monotonic_ms`] will have reached `deadline_ms`.
    #[must_use]
    pub(crate) fn instant_of(&self, deadline_ms: u64) -> Instant {
        // One more: the millisecond has to be over, or the deadline would be looked at too early.
        self.started
            + Duration::from_millis(deadline_ms.saturating_add(1).min(u64::from(u32::MAX) * 1000))
    }
}
