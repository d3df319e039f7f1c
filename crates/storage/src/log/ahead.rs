//! Zeros ahead of a log whose appends are synced each: where blocks of the file hold something already,
//! a sync has only the records to write, and needs no commit of the file system's journal.
//!
//! They are asked for long before they are needed, and whoever comes before them goes on without. They
//! go when the segment or the log is closed or the log has become quiet; what a kill leaves of them,
//! recovery keeps.

use strom_base::Now;

use super::{Log, Out};
use crate::disk::{DiskEffect, FileId, FileKind};

/// So many synced appends in a row make it likely that more follow.
const IN_A_ROW: u8 = 8;
/// Those that are further apart are not in a row: thousands of quiet logs need no room.
const APART_MAX_MS: u64 = 1_000;
/// What is longer is written for so long that the journal does not matter.
const APPEND_BYTES_MAX: u64 = 128 << 10;
/// At once as many as the segment is long already, between these.
const STRETCH_MIN: u64 = 1 << 20;
const STRETCH_MAX: u64 = 4 << 20;
/// Less is not worth the trouble.
const ROOM_MIN: u64 = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct SyncedAppends {
    in_a_row: u8,
    last_ms: u64,
    /// There was none since the last retention check.
    is_quiet: bool,
}

impl SyncedAppends {
    /// Whether there were enough, with this one.
    fn count(&mut self, now_ms: u64) -> bool {
        let is_next = now_ms.saturating_sub(self.last_ms) <= APART_MAX_MS;
        self.in_a_row = if is_next { self.in_a_row.saturating_add(1) } else { 1 };
        self.last_ms = now_ms;
        self.is_quiet = false;
        self.in_a_row >= IN_A_ROW
    }
}

impl Log {
    /// An append of so many bytes has just been asked to be synced.
    pub(super) fn fill_ahead(&mut self, now: Now, bytes: u64, out: &mut Out) {
        let is_one_of_many = self.synced_appends.count(now.monotonic_ms);
        if !is_one_of_many || bytes > APPEND_BYTES_MAX || self.config.preallocate {
            return;
        }
        let (log, segment_bytes) = (self.identity.id, u64::from(self.config.segment_bytes));
        let active = self.active_mut();
        let size = active.size();
        let stretch = size.clamp(STRETCH_MIN, STRETCH_MAX);
        let left = u64::from(active.filled_to).saturating_sub(size);
        let length = segment_bytes.min(size + stretch);
        if left >= stretch / 2 || length < size + left + ROOM_MIN {
            return;
        }
        active.filled_to = u32::try_from(length).unwrap_or(u32::MAX);
        let file = active.file(log, FileKind::Records);
        out.push(DiskEffect::Fill { file, length });
    }

    /// At a retention check: a log that had no synced append since the last one gives up its zeros.
    pub(super) fn cut_zeros_if_quiet(&mut self, now: Now, out: &mut Out) {
        let was_quiet = std::mem::replace(&mut self.synced_appends.is_quiet, true);
        if was_quiet
            && !self.config.preallocate
            && let Some((file, length)) = self.take_zeros()
        {
            out.push(DiskEffect::Trim { file, length });
            self.sync(now, out);
        }
    }

    /// Where the active segment's file has to be cut to end with its records.
    pub(super) fn take_zeros(&mut self) -> Option<(FileId, u64)> {
        let is_preallocated = self.config.preallocate;
        let log = self.identity.id;
        let active = self.active_mut();
        let filled_to = std::mem::take(&mut active.filled_to);
        let file = active.file(log, FileKind::Records);
        (filled_to > 0 || is_preallocated).then(|| (file, active.size()))
    }
}
