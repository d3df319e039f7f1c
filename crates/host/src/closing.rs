//! Why connections end, and how much of that is said: what peers do every day is for debugging, what
//! breaks the protocol is for the operator, a flood of it in few lines.

use strom_intake::Ending;

/// Lines of a window; the rest of it is only counted.
const LINES_MAX: u32 = 10;
const WINDOW_MS: u64 = 10_000;

/// Says what ends connections, at most so much of it.
#[derive(Debug, Default)]
pub(crate) struct EndingLog {
    window_ms: u64,
    lines: u32,
    left_out: u64,
}

impl EndingLog {
    /// Whether a line may be written now, and how many were left out before it.
    fn admit(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms >= self.window_ms + WINDOW_MS {
            (self.window_ms, self.lines) = (now_ms, 0);
        }
        if self.lines >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }

    /// Writes the line of one connection.
    pub(crate) fn say(&mut self, now_ms: u64, peer: &str, ending: &Ending) {
        let reason = match ending {
            Ending::ByPeer => return tracing::debug!(peer, "the peer closed its connection"),
            Ending::Usual(reason) => return tracing::debug!(peer, reason, "connection closed"),
            Ending::Notable(reason) => reason,
        };
        match self.admit(now_ms) {
            None => {}
            Some(0) => tracing::info!(peer, reason, "connection closed"),
            Some(left_out) => tracing::info!(
                peer,
                reason,
                "connection closed; {left_out} more before it were not mentioned"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let mut log = EndingLog::default();
        let admitted = |log: &mut EndingLog, now_ms| log.admit(now_ms).is_some();
        assert_eq!((0..1000).filter(|_| admitted(&mut log, 5)).count(), LINES_MAX as usize);
        assert_eq!(log.admit(WINDOW_MS), Some(1000 - u64::from(LINES_MAX)));
        assert_eq!(log.admit(WINDOW_MS), Some(0));
    }
}
