//! The only place of the client that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use strom_base::{Now, Random};

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    #[must_use]
    pub fn start() -> Self {
        Clock { start: Instant::now() }
    }

    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic_ms: self.start.elapsed().as_millis() as u64,
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// A generator whose seed differs from run to run: it spreads records, it keeps no secrets.
#[must_use]
pub(crate) fn seeded() -> Random {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Random::new(wall.as_nanos() as u64 ^ (u64::from(std::process::id()) << 32))
}
