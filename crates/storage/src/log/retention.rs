//! What time, size and the log start offset let go.

use strom_base::Now;

use super::{Log, Out};

impl Log {
    /// Deletes what the topic's policy allows. The owner calls it every
    /// `log.retention.check.interval.ms`. Also writes out what indexes hold in memory, so that an
    /// idle log holds little, gives up the zeros ahead of a log that has become quiet, and forgets
    /// producers that were silent for too long.
    pub fn on_retention_check(&mut self, now: Now, out: &mut Out) {
        if self.failure.is_some() || self.is_deleted() {
            return;
        }
        self.producers.expire(now, self.config.producer_id_expiration_ms);
        let expired = self.expired_segments(now);
        self.delete_oldest(expired, now, out);
        for index in 0..self.segments.len() {
            let is_active = index + 1 == self.segments.len();
            let has_entries = self.segments.get(index).is_some_and(|segment| {
                segment.offsets.tail_len() + segment.times.tail_len() > 0
                    || (!is_active && !segment.indexes_are_on_file())
            });
            if has_entries {
                self.write_indexes(index, out);
            }
        }
        self.cut_zeros_if_quiet(now, out);
        // A roll's sync may have come before its index was on file.
        if self.offsets.recovery_point < self.active().base_offset && !self.has_pending() {
            self.sync(now, out);
        }
    }

    /// How many of the oldest segments may go: first by log start, then by size, then by time.
    fn expired_segments(&self, now: Now) -> usize {
        let cleanup = self.config.cleanup;
        let mut expired = self.count_while(0, |index| {
            self.segments
                .get(index + 1)
                .is_some_and(|next| next.base_offset <= self.offsets.log_start)
        });
        if cleanup.delete && self.config.retention_bytes >= 0 {
            let kept: u64 = self.segments.iter().skip(expired).map(|segment| segment.size()).sum();
            let mut excess = kept as i64 - self.config.retention_bytes;
            let mut fits = |index: usize| {
                let size = self.segments.get(index).map_or(0, |segment| segment.size() as i64);
                excess -= size;
                excess >= 0
            };
            expired = self.count_while(expired, &mut fits);
        }
        if cleanup.delete && self.config.retention_ms >= 0 {
            expired = self.count_while(expired, |index| {
                self.segments.get(index).is_some_and(|segment| {
                    let age_ms = now.wall_ms.saturating_sub(segment.largest_timestamp());
                    age_ms > self.config.retention_ms
                })
            });
        }
        expired
    }

    /// Counts on from `start` while segments satisfy the rule and lie below the high watermark.
    /// An empty active segment never counts.
    fn count_while(&self, start: usize, mut rule: impl FnMut(usize) -> bool) -> usize {
        let mut count = start;
        while let Some(segment) = self.segments.get(count) {
            let next = self.segments.get(count + 1);
            let end_offset = next.map_or(self.offsets.log_end, |next| next.base_offset);
            let is_empty_active = next.is_none() && segment.size() == 0;
            if is_empty_active || end_offset > self.offsets.high_watermark || !rule(count) {
                break;
            }
            count += 1;
        }
        count
    }

    /// At least one segment stays: when all are to go, a new one begins first.
    fn delete_oldest(&mut self, count: usize, now: Now, out: &mut Out) {
        if count == 0 {
            return;
        }
        if count == self.segments.len() {
            self.roll(self.offsets.log_end, now, out);
        }
        let gone: Vec<_> = self.segments.drain(..count).collect();
        for segment in &gone {
            self.retire_segment(segment, now, out);
        }
        let first = self.segments.first().map_or(0, |segment| segment.base_offset);
        self.remove_snapshots(0, first, out);
        let kept = first.min(self.offsets.written);
        self.offsets.synced = self.offsets.synced.max(kept);
        self.offsets.recovery_point = self.offsets.recovery_point.max(kept);
        self.raise_log_start(first, out);
    }
}
