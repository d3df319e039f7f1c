//! When a snapshot is due, and how long it is kept.

use strom_base::Now;

use crate::effect::Effect;
use crate::snapshot::SnapshotId;

/// The keys that say when a snapshot is made and when it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub after_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0: never for their age.
    pub after_ms: i64,
    /// `metadata.max.retention.bytes`, of log and snapshots together; negative: without limit.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`; negative: without limit.
    pub retention_ms: i64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self {
            after_bytes: 20 << 20,
            after_ms: 3_600_000,
            retention_bytes: 100 << 20,
            retention_ms: 604_800_000,
        }
    }
}

/// A whole snapshot on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSnapshot {
    pub id: SnapshotId,
    /// The file's length.
    pub bytes: u64,
    /// Wall clock; when the last record that it stands for was appended.
    pub last_timestamp_ms: i64,
}

/// One that is being made.
#[derive(Clone, Copy, Debug)]
struct Pending {
    stored: StoredSnapshot,
    /// Appended to the log before it was asked for.
    log_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Snapshots {
    policy: SnapshotPolicy,
    /// The oldest first.
    written: Vec<StoredSnapshot>,
    /// Bytes appended since the newest one.
    bytes: u64,
    pending: Option<Pending>,
    /// When it is time, if anything is new by then.
    due_ms: Option<u64>,
}

impl Snapshots {
    pub(crate) fn new(policy: SnapshotPolicy, written: Vec<StoredSnapshot>, bytes: u64) -> Self {
        Self { policy, written, bytes, pending: None, due_ms: None }
    }

    /// 0 when there is none.
    pub(crate) fn newest_offset(&self) -> i64 {
        self.written.last().map_or(0, |it| it.id.end_offset)
    }

    pub(crate) fn pending(&self) -> Option<SnapshotId> {
        self.pending.map(|it| it.stored.id)
    }

    /// The pending one is made: what its file will be like.
    pub(crate) fn on_made(&mut self, bytes: u64, last_timestamp_ms: i64) {
        if let Some(pending) = &mut self.pending {
            pending.stored = StoredSnapshot { bytes, last_timestamp_ms, ..pending.stored };
        }
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
            let stored = StoredSnapshot { id, ..StoredSnapshot::default() };
            self.pending = Some(Pending { stored, log_bytes: self.bytes });
        }
        is_due
    }

    /// Not now. One for its size is asked for after the next commit, one for its age an interval
    /// later.
    pub(crate) fn on_declined(&mut self, now: Now) {
        self.pending = None;
        self.restart_clock(now);
    }

    pub(crate) fn on_written(&mut self, now: Now) {
        let Some(Pending { stored, log_bytes }) = self.pending.take() else { return };
        self.written.push(stored);
        self.bytes = self.bytes.saturating_sub(log_bytes);
        self.restart_clock(now);
    }

    /// Lets the oldest snapshot go when it is too old, or all together are too large, and the log
    /// that only it needed: the one after it, whole and on the disk, is the oldest then.
    pub(crate) fn clean(&mut self, now: Now, log_bytes: u64, out: &mut Vec<Effect>) -> bool {
        let [oldest, next, ..] = self.written.as_slice() else { return false };
        let SnapshotPolicy { retention_bytes, retention_ms, .. } = self.policy;
        let age_ms = now.wall_ms.saturating_sub(oldest.last_timestamp_ms);
        let is_old = retention_ms >= 0 && age_ms > retention_ms;
        let sizes = self.written.iter().map(|it| it.bytes).fold(log_bytes, u64::saturating_add);
        let is_large = u64::try_from(retention_bytes).is_ok_and(|limit| sizes > limit);
        if !is_old && !is_large {
            return false;
        }
        out.push(Effect::DeleteBefore { offset: next.id.end_offset });
        out.push(Effect::DeleteSnapshot { id: oldest.id });
        self.written.remove(0);
        true
    }

    fn restart_clock(&mut self, now: Now) {
        let after_ms = Some(self.policy.after_ms).filter(|ms| *ms > 0);
        self.due_ms = after_ms.map(|ms| now.deadline_ms(ms));
    }
}
