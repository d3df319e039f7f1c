//! KRaft consensus: who may append to the metadata log, and what of it is committed.
//!
//! Owns: epoch, vote, leadership, high watermark and the `quorum-state` file's content.
//! Never does: IO, keep the log itself, or know what records mean. It asks for appends, syncs and
//! files by [`effect::Effect`]s and hears how far the log is synced.
//! Start at [`quorum::Raft`].
//!
//! Today the quorum has one voter: it elects itself at start and commits what is synced. Votes and
//! fetches of other voters come on top of the same state.
//!
//! Invariants: an epoch is on disk before a record carries it; the high watermark never passes what
//! the voter has synced, and never goes back; the log is deleted only below a snapshot that is on
//! the disk.
#![forbid(unsafe_code)]

pub mod control;
pub mod effect;
pub mod quorum;
pub mod quorum_state;
pub mod retention;
pub mod snapshot;
pub mod voters;

pub use control::ControlState;
pub use effect::Effect;
pub use quorum::{Raft, RaftOptions, RaftStart};
pub use quorum_state::QuorumState;
pub use retention::{SnapshotPolicy, StoredSnapshot};
pub use snapshot::{Snapshot, SnapshotId};
pub use voters::{Voter, VoterEndpoint, VoterSet};
