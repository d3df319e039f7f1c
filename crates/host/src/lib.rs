//! The shell of a Strom node: sockets, disk, clock, signals. It runs a `strom_broker::Broker` and decides nothing.
//!
//! Owns: connections and their buffers, the buffered disk engine, the one turn loop of a shard.
//! Never does: interpret a request, choose an offset, keep cluster state.
//! Start at [`server::run`], then [`shard::Shard`]: one turn is input, effects, performed effects.
//!
//! Invariants: the shard's thread never waits for a sync; an idle connection holds no buffer;
//! an answer leaves only after the broker released it.
#![deny(unsafe_code)]

pub mod server;
pub mod shard;

pub mod listeners;

pub mod admission;
pub mod closing;

pub mod connection;

pub mod budget;
pub mod receive;
pub mod send;

pub mod engine;
pub mod file_disk;
pub mod folder_lock;
pub mod pending_paths;
pub mod sync_worker;

pub mod clock;
pub mod descriptors;
