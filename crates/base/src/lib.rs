//! The shared nouns of Strom and the small missing pieces of a standard library.
//!
//! Owns: ids, time as numbers, the seeded generator, the table of configuration keys, the defects
//! that tests plant.
//! Never does: IO, clock reads, threads, randomness of its own.
//! Start at [`time::Now`] and [`uuid::Uuid`]: every machine takes the one and stores the other.
//!
//! Invariants: the same seed gives the same numbers; monotonic time never goes back.
#![forbid(unsafe_code)]

pub mod config;
pub mod id_map;
pub mod planted;
pub mod properties;
pub mod random;
pub mod retention_clock;
pub mod time;
pub mod uuid;

pub use id_map::IdMap;
pub use planted::{Planted, planted};
pub use random::Random;
pub use retention_clock::RetentionClock;
pub use time::Now;
pub use uuid::Uuid;
