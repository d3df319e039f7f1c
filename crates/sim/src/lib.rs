//! Worlds, faults, workloads, oracles, seeds: Strom's machines run whole, in virtual time.
//!
//! Owns: a disk that loses, tears and reorders what was not synced; every crash point of scripted
//! storage scenarios. Never does: IO, clocks, threads: a seed is
//! all the randomness there is, so what happened once happens again.
//! Start at [`disk::SimDisk`], then [`crash_points`] (one log); the whole node is next.
//!
//! Invariants: the same seed gives the same trace byte for byte; a failure names the seed.
#![forbid(unsafe_code)]

pub mod disk;
pub mod engine;

pub mod crash_points;

pub mod world;

pub use world::{Failure, Report, run_seed};
