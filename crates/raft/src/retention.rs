//! When a snapshot is due, and how many are kept.

use strom_base::Now;

use crate::effect::Effect;
use crate::snapshot::SnapshotId;

/// Snapshots that are kept: should the newest one turn out to be damaged, the one before it and the
/// log from there on say the same.
const KEPT: usize = 2;

/// The keys that say when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub after_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0: never for their age.
    pub after_ms: i64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { after_bytes: 20 << 20, after_ms: 3_600_000 }
    }
}

#[derive(Debug)]
pub(crate) struct Snapshots {
    policy: SnapshotPolicy,
    /// The oldest first.
    written: Vec<SnapshotId>,
    /// Bytes appended since the newest one.
    bytes: u64,
    /// The one that is being made, and the bytes appended before it was asked for.
    pending: Option<(SnapshotId, u64)>,
    /// When it is time, if anything is new by then.
    due_ms: Option<u64>,
}

impl Snapshots {
    pub(crate) fn new(policy: SnapshotPolicy, written: Vec<SnapshotId>, bytes: u64) -> Self {
        Self { policy, written, bytes, pending: None, due_ms: None }
    }

    /// 0 when there is none.
    pub(crate) fn newest_offset(&self) -> i64 {
        self.written.last().map_or(0, |id| id.end_offset)
    }

    pub(crate) fn pending(&self) -> Option<SnapshotId> {
        self.pending.map(|(id, _)| id)
    }

    pub(crate) fn on_leader(&mut self, now: Now) {
        self.restart_clock(now);
    }

    pub(crate) fn on_appended(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) fn next_deadline(&self, high_watermark: i64) -> Option<u64> {
        let has_news = self.pending.is_none() && high_watermark > self.newest_offset();
        self.due_ms.filter(|_| has_news)
    }

    /// Whether this one is to be made now; it is then pending.
    pub(crate) fn is_due(&mut self, now: Now, id: SnapshotId) -> bool {
        let is_new = self.pending.is_none() && id.end_offset > self.newest_offset();
        let is_large = self.bytes >= self.policy.after_bytes;
        let is_old = self.due_ms.is_some_and(|due_ms| due_ms <= now.monotonic_ms);
        let is_due = is_new && (is_large || is_old);
        if is_due {
            self.pending = Some((id, self.bytes));
        }
        is_due
    }

    /// Not now. One for its size is asked for after the next commit, one for its age an interval
    /// later.
    pub(crate) fn on_declined(&mut self, now: Now) {
        self.pending = None;
        self.restart_clock(now);
    }

    pub(crate) fn on_written(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some((id, bytes)) = self.pending.take() else { return };
        self.written.push(id);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.restart_clock(now);
        let surplus = self.written.len().saturating_sub(KEPT);
        let gone: Vec<_> = self.written.drain(..surplus).collect();
        // The oldest that stays is whole and on the disk before the log below it goes.
        if let Some(oldest) = self.written.first().filter(|_| self.written.len() == KEPT) {
            out.push(Effect::DeleteBefore { offset: oldest.end_offset });
        }
        out.extend(gone.into_iter().map(|id| Effect::DeleteSnapshot { id }));
    }

    fn restart_clock(&mut self, now: Now) {
        let after_ms = Some(self.policy.after_ms).filter(|ms| *ms > 0);
        self.due_ms = after_ms.map(|ms| now.deadline_ms(ms));
    }
}
