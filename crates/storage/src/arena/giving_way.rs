//! When a log goes past the arena: where so many logs share it that it keeps too little of each before
//! others want the room, and writing that out costs more than the page cache does.
//!
//! That is known of a log only when it was written out for want of room. With very many busy logs it is so
//! for nearly all of them: then those that nothing is known of go past the arena as well, so that not each
//! has to be tried. Where the system holds up such writes, because the disk is slower than they come,
//! nobody gives way for a while: the arena makes its producers wait and nobody else. All of it is forgotten
//! after a while, because logs grow busy and others quiet. Who writes much at once is welcome at any time.

use strom_base::IdMap;

use crate::disk::LogId;

/// A flush of less is dearer than the same bytes in the page cache.
const SMALL_BYTES: usize = 128 * 1024;
/// Where each log could have so much, it is the disk that is slow: then the arena is the better place.
const SHARE_BYTES_MAX: usize = 2 * SMALL_BYTES;
/// How long what was seen of a log holds.
const KNOWN_MS: u64 = 10_000;
/// How long nobody gives way after a write into the page cache was held up.
const HELD_UP_MS: u64 = 10_000;
/// So many small flushes, and no large one between them, tell of those that are not known, too.
const CROWD: u32 = 64;

/// What was seen of a log, and until when that holds, in monotonic milliseconds.
#[derive(Clone, Copy, Debug)]
struct Seen {
    is_small: bool,
    until_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct GivingWay {
    logs: IdMap<LogId, Seen>,
    /// Until when logs give way of which nothing is known.
    others_until_ms: u64,
    /// Until when nobody does.
    nobody_until_ms: u64,
    /// Small flushes since the last large one, or since others gave way for them.
    small: u32,
}

impl GivingWay {
    /// Whether so many next bytes of the log are better not taken.
    pub(super) fn gives_way(&self, log: LogId, bytes: usize, now_ms: u64) -> bool {
        bytes < SMALL_BYTES
            && now_ms >= self.nobody_until_ms
            && match self.logs.get(&log) {
                Some(seen) if now_ms < seen.until_ms => seen.is_small,
                _ => now_ms < self.others_until_ms,
            }
    }

    /// So many bytes of a log are written out because others want the room. `share_bytes`: what the arena
    /// has for each log.
    pub(super) fn on_pressed_out(
        &mut self,
        log: LogId,
        bytes: usize,
        share_bytes: usize,
        now_ms: u64,
    ) {
        if bytes >= SMALL_BYTES {
            return self.on_large(log, now_ms);
        }
        let is_busy = |seen: &Seen| !seen.is_small && now_ms < seen.until_ms;
        if share_bytes > SHARE_BYTES_MAX || self.logs.get(&log).is_some_and(is_busy) {
            return;
        }
        self.logs.insert(log, Seen { is_small: true, until_ms: now_ms + KNOWN_MS });
        self.small = self.small.saturating_add(1);
        if self.small >= CROWD {
            (self.small, self.others_until_ms) = (0, now_ms + KNOWN_MS);
        }
    }

    /// A flush of the log is worth what it costs.
    pub(super) fn on_large(&mut self, log: LogId, now_ms: u64) {
        self.logs.insert(log, Seen { is_small: false, until_ms: now_ms + KNOWN_MS });
        (self.small, self.others_until_ms) = (0, 0);
    }

    pub(super) fn on_held_up(&mut self, now_ms: u64) {
        self.nobody_until_ms = now_ms + HELD_UP_MS;
    }

    pub(super) fn forget(&mut self, log: LogId) {
        self.logs.remove(&log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId(1);
    const OTHER: LogId = LogId(2);
    const LITTLE: usize = SHARE_BYTES_MAX;

    #[test]
    fn a_log_of_small_flushes_gives_way_for_a_while() {
        let mut giving_way = GivingWay::default();
        assert!(!giving_way.gives_way(LOG, 1, 0));
        giving_way.on_pressed_out(LOG, SMALL_BYTES - 1, LITTLE, 5);
        assert!(giving_way.gives_way(LOG, 1, 5 + KNOWN_MS - 1));
        assert!(!giving_way.gives_way(LOG, 1, 5 + KNOWN_MS));
        assert!(!giving_way.gives_way(OTHER, 1, 5));
        assert!(!giving_way.gives_way(LOG, SMALL_BYTES, 5));
        giving_way.on_held_up(5);
        assert!(!giving_way.gives_way(LOG, 1, 5 + HELD_UP_MS - 1));
        giving_way.on_pressed_out(LOG, 1, LITTLE, 5 + HELD_UP_MS);
        assert!(giving_way.gives_way(LOG, 1, 5 + HELD_UP_MS));
        giving_way.on_pressed_out(LOG, SMALL_BYTES, LITTLE, 6);
        assert!(!giving_way.gives_way(LOG, 1, 6));
        giving_way.on_pressed_out(OTHER, 1, LITTLE, 6);
        giving_way.forget(OTHER);
        assert!(!giving_way.gives_way(OTHER, 1, 6));
    }

    #[test]
    fn neither_a_slow_disk_nor_a_rest_makes_a_busy_log_give_way() {
        let mut giving_way = GivingWay::default();
        giving_way.on_pressed_out(LOG, 1, SHARE_BYTES_MAX + 1, 5);
        assert!(!giving_way.gives_way(LOG, 1, 5));
        giving_way.on_large(LOG, 5);
        giving_way.on_pressed_out(LOG, 1, LITTLE, 4 + KNOWN_MS);
        assert!(!giving_way.gives_way(LOG, 1, 4 + KNOWN_MS));
        giving_way.on_pressed_out(LOG, 1, LITTLE, 5 + KNOWN_MS);
        assert!(giving_way.gives_way(LOG, 1, 5 + KNOWN_MS));
    }

    #[test]
    fn in_a_crowd_those_that_are_not_known_give_way_but_not_the_busy() {
        let mut giving_way = GivingWay::default();
        giving_way.on_large(LOG, 0);
        for log in 0..CROWD {
            assert!(!giving_way.gives_way(OTHER, 1, 5));
            giving_way.on_pressed_out(LogId(100 + log), 1, LITTLE, 5);
        }
        assert!(giving_way.gives_way(OTHER, 1, 4 + KNOWN_MS));
        assert!(!giving_way.gives_way(OTHER, 1, 5 + KNOWN_MS));
        assert!(!giving_way.gives_way(LOG, 1, 5));
        giving_way.on_large(LOG, 6);
        assert!(!giving_way.gives_way(OTHER, 1, 6));
    }
}
