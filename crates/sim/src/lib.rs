//! Worlds, faults, workloads, oracles, seeds: Strom's machines run whole, in virtual time.
//!
//! Owns: a disk that loses, tears and reorders what was not synced; every crash point of scripted
//! storage scenarios and of one scripted life of a node; the node with several clients and faults
//! under seeds. Never does: IO, clocks, threads: a seed is all the randomness there is, so what
//! happened once happens again.
//! Start at [`disk::SimDisk`], then [`crash_points`] (one log), then [`world`] (the whole node).
//!
//! Invariants: the same seed gives the same trace byte for byte; a failure names the seed.
#![forbid(unsafe_code)]

pub mod arena;
pub mod arena_memory;
pub mod disk;
pub mod engine;

pub mod crash_points;
pub mod scan;

pub mod world;

pub use world::{Census, Ending, Failure, Kind, Report, Story, Telling, WorldId, run, shrink};
