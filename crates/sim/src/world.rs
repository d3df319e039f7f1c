//! The whole node under a seed: broker, disk and clients in virtual time, with faults, until every
//! acknowledged record was read back.
//!
//! Requests and answers of one connection keep their order, effects on one folder theirs; all else
//! happens as late as the seed wants. [`run_seed`] runs a world twice over the same way: its trace is
//! the same byte for byte.

mod actor;
mod audit;
mod batch;
mod churn;
mod committed;
mod consumer;
mod event;
mod group;
mod lanes;
mod list_offsets;
mod node;
mod plan;
mod producer;
mod session;
mod stage;
mod trimmer;
mod view;
mod wire;

use std::fmt;

use stage::World;

/// What a world that held went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    pub events: u64,
    pub virtual_ms: u64,
    /// Starts of the node, the first included.
    pub starts: u64,
    pub acknowledged_records: u64,
    /// Acknowledged commits of groups.
    pub commits: u64,
    pub deleted_topics: u64,
    /// One line an event.
    pub trace: String,
}

/// What a world showed to be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub reason: String,
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { seed, reason, .. } = self;
        write!(f, "seed {seed}: {reason}; to repeat it: cargo xtask sim --seed {seed}")
    }
}

impl std::error::Error for Failure {}

/// Runs the world of a seed to its end.
///
/// # Errors
/// The first promise that was broken.
pub fn run_seed(seed: u64) -> Result<Report, Failure> {
    let mut world = World::new(seed);
    match world.run() {
        Ok(()) => Ok(world.report()),
        Err(reason) => Err(Failure { seed, reason, trace: world.into_trace() }),
    }
}
