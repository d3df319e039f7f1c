//! What the fuzz targets share: choices from a fuzzer's bytes, damage, bounds of memory, a whole node.
//!
//! Owns: how the bytes of an input become sampled messages, batches, files and sessions.
//! Never does: decide what is right; each target says what must hold.
//! Start at [`choices::Choices`], then any file of `fuzz_targets`.
//!
//! Invariants: the same input does the same every time; no input takes unbounded work to prepare.
#![deny(unsafe_code)]

pub mod allocations;
pub mod batches;
pub mod choices;
pub mod damage;
pub mod messages;

pub mod log_folder;
pub mod node;
pub mod session;
