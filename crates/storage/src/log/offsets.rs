//! The offsets of a log and the order they keep.

use super::{Log, Out, ReadError};
use strom_base::{Planted, planted};

/// All exclusive ends but the first.
/// `log_start <= high_watermark <= written <= log_end` and `recovery_point <= synced <= written`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    pub(super) log_start: i64,
    pub(super) high_watermark: i64,
    pub(super) synced: i64,
    pub(super) recovery_point: i64,
    pub(super) written: i64,
    pub(super) log_end: i64,
}

impl Offsets {
    /// The log ends at `offset` now.
    pub(super) fn cut(&mut self, offset: i64) {
        self.log_end = offset;
        self.written = self.written.min(offset);
        self.synced = self.synced.min(offset);
        self.recovery_point = self.recovery_point.min(offset);
        self.high_watermark = self.high_watermark.min(offset);
        self.log_start = self.log_start.min(offset);
    }
}

impl Log {
    pub fn log_start_offset(&self) -> i64 {
        self.offsets.log_start
    }

    /// Exclusive; one past the last offset given out, written or not.
    pub fn log_end_offset(&self) -> i64 {
        self.offsets.log_end
    }

    /// Exclusive; everything below is *written*: readable, and it outlives the process.
    pub fn written_offset(&self) -> i64 {
        self.offsets.written
    }

    /// Exclusive; everything below is *synced*.
    pub fn synced_offset(&self) -> i64 {
        self.offsets.synced
    }

    /// Exclusive; below it the index files are synced, too, and lack nothing: a start after a kill
    /// begins to read there.
    pub fn recovery_point(&self) -> i64 {
        self.offsets.recovery_point
    }

    pub fn high_watermark(&self) -> i64 {
        self.offsets.high_watermark
    }

    /// What `read_committed` may see: the high watermark or the first open transaction, if lower.
    pub fn last_stable_offset(&self) -> i64 {
        let unstable = self.producers.first_unstable_offset().unwrap_or(i64::MAX);
        unstable.clamp(self.offsets.log_start, self.offsets.high_watermark)
    }

    /// Raises the high watermark to `offset`, at most to the written offset. True when it moved.
    pub fn advance_high_watermark(&mut self, offset: i64) -> bool {
        let offset = match planted(Planted::WatermarkBeyondWritten) {
            true => self.offsets.log_end,
            false => offset.min(self.offsets.written),
        };
        if offset <= self.offsets.high_watermark {
            return false;
        }
        self.offsets.high_watermark = offset;
        self.producers.on_high_watermark(offset);
        true
    }

    /// Moves the log start up (DeleteRecords, the leader's log start, a snapshot).
    /// False when it is already there. Segments below go at the next retention check.
    ///
    /// # Errors
    /// `OffsetOutOfRange` above the high watermark.
    pub fn increment_log_start_offset(
        &mut self,
        offset: i64,
        out: &mut Out,
    ) -> Result<bool, ReadError> {
        if offset > self.offsets.high_watermark {
            return Err(ReadError::OffsetOutOfRange {
                offset,
                log_start_offset: self.offsets.log_start,
                log_end_offset: self.offsets.high_watermark,
            });
        }
        Ok(self.raise_log_start(offset, out))
    }

    pub(super) fn raise_log_start(&mut self, offset: i64, out: &mut Out) -> bool {
        if offset <= self.offsets.log_start {
            return false;
        }
        self.offsets.log_start = offset;
        self.producers.on_log_start(offset);
        if self.epochs.truncate_from_start(offset) {
            // Recovery forgets what is below the start by itself.
            self.write_epochs(i64::MAX, out);
        }
        true
    }
}
