//! What the quorum asks of its surroundings.

use crate::snapshot::SnapshotId;

/// In order; each waits for nothing but what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put the `quorum-state` file in place durably, then tell `on_state_persisted`.
    PersistState { json: String },
    /// Append this whole batch to the log and sync it, then tell `on_synced` with its end offset.
    Append { batch: Vec<u8>, end_offset: i64 },
    /// Everything below the offset is committed.
    Committed { high_watermark: i64 },
    /// What is committed, and nothing else, should be written as a snapshot of this id: answer with
    /// `write_snapshot`, now or with `decline_snapshot` not now.
    SnapshotDue { id: SnapshotId },
    /// Put this file in place durably under the id's name, then tell `on_snapshot_written`, or
    /// `decline_snapshot` should that fail.
    WriteSnapshot { id: SnapshotId, bytes: Vec<u8> },
    /// The log below the offset is not needed any more: a snapshot stands for it.
    DeleteBefore { offset: i64 },
    /// Remove the snapshot's file.
    DeleteSnapshot { id: SnapshotId },
}
