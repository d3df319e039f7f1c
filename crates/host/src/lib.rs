//! The shell of a Strom node: sockets, disk, clock, signals. It runs a `strom_broker::Broker` and decides nothing.
//!
//! Owns: connections, their TLS and their buffers, on the broker's thread or on network threads; the
//! disk engine; the turn loop of the broker's thread.
//! Never does: interpret a request, choose an offset, keep cluster state.
//! Start at [`server::run`], then [`shard::Shard`]: one turn is input, effects, performed effects.
//!
//! Invariants: the broker's thread waits neither for a sync nor for a read of a cold disk; an idle
//! connection holds no buffer; an answer leaves only after the broker released it.
#![deny(unsafe_code)]

pub mod server;

mod shard;

mod listeners;
mod low_water;

mod closing;

mod connection;
mod lane;
mod network;
mod reception;
mod serves;
mod stream;
mod tls;

mod send;

mod cold_reads;
mod engine;
mod examiner;
pub mod file_disk;
mod folder_lock;
mod open_files;
mod pending_paths;
mod recovery;
mod sync_round;
mod sync_worker;
mod volume_sync;

mod clock;
mod descriptors;
mod on_threads;
