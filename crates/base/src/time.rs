//! Time as numbers. Machines never read a clock: the shell (or the simulator) tells them.

/// One reading of both clocks, taken by the shell once per turn.
///
/// `monotonic_ms` never goes back and counts from an arbitrary start: leases, sessions and
/// timeouts use it. `wall_ms` is milliseconds since the Unix epoch and may jump: record
/// timestamps and retention use it, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    pub monotonic_ms: u64,
    pub wall_ms: i64,
}

impl Now {
    /// The monotonic time `delay_ms` from now; a negative delay counts as none.
    #[must_use]
    pub fn deadline_ms(&self, delay_ms: i64) -> u64 {
        self.monotonic_ms.saturating_add(delay_ms.max(0) as u64)
    }
}

/// The earlier of two optional deadlines.
#[must_use]
pub fn earlier(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (deadline, None) | (None, deadline) => deadline,
    }
}
