//! Groups on one record-and-reply runtime.
//!
//! Owns: what a group is (members, generations, committed offsets), the records of
//! `__consumer_offsets` that say so, and the replies that wait for those records.
//! Never does: disk, sockets, clocks, replication. It asks for appends and is told of commits.
//!
//! Start at [`GroupCoordinator`] (all shards of this node), then [`shard`] (one partition of
//! `__consumer_offsets`), then `classic` (the classic protocol of one group).
//!
//! Invariants: hard state changes only by replaying records, with the same code at load and
//! after our own appends; a reply that promises something leaves after the records it promises are
//! committed; every request is answered exactly once.
#![forbid(unsafe_code)]

pub mod config;
pub mod effect;
pub mod error;
pub mod request;
pub mod response;
pub mod room;

pub mod coordinator;
pub mod partitioner;
pub mod runtime;
pub mod shard;

mod classic;
mod failure;
mod outbox;
mod record;
mod timers;
mod versioned;

pub use config::GroupConfig;
pub use coordinator::{AppendFailure, GroupCoordinator};
pub use effect::{Effect, OwnedRecord, ReplyToken, ShardId};
pub use error::{ErrorCode, ReplayError};
pub use partitioner::partition_for_group;
pub use request::Request;
pub use response::Response;
pub use room::AnswerRoom;
