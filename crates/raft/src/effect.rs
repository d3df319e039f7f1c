//! What the quorum asks of its surroundings.

/// In order; each waits for nothing but what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put the `quorum-state` file in place durably, then tell `on_state_persisted`.
    PersistState { json: String },
    /// Append this whole batch to the log and sync it, then tell `on_synced` with its end offset.
    Append { batch: Vec<u8>, end_offset: i64 },
    /// This node leads the quorum at the epoch and may append.
    BecameLeader { epoch: i32 },
    /// Everything below the offset is committed.
    Committed { high_watermark: i64 },
}
