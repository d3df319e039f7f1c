//! A partition's leader (and, with clusters, its follower): high watermark, and who waits for it.
//!
//! Owns: a partition's role and leader epoch, its high watermark, the produces and fetches that wait
//! for it to move. Never does: IO, request parsing, replies; it names whom to wake and the broker wakes them.
//! Start at [`partition::Partition`].
//!
//! Invariants: `log_start_offset <= high_watermark <= written_offset <= log_end_offset`;
//! a waiter on offset `n` is released exactly once, when the high watermark reaches `n`, when its
//! write failed, or when the partition goes away.
#![forbid(unsafe_code)]

pub mod partition;
pub mod waiting;

pub use partition::Partition;
pub use waiting::{CommitWaiter, FetchToken, Watcher};
