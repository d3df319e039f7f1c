//! The whole node under a seed: broker, disk and clients in virtual time, with faults, until every
//! acknowledged record was read back.
//!
//! Requests and answers of one connection keep their order, effects on one folder theirs; all else
//! happens as late as the seed wants. [`run_script`] goes through the crash points of one scripted
//! life instead. [`run_seed`] runs a world twice over the same way: its trace is
//! the same byte for byte.

mod actor;
mod audit;
mod batch;
mod churn;
mod committed;
mod consumer;
mod crash;
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

pub use crash::Ending;
use plan::Plan;
use stage::World;

/// What a world that held went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    pub events: u64,
    pub virtual_ms: u64,
    /// Starts of the node, the first included.
    pub starts: u64,
    /// Changes asked of its disk.
    pub disk_operations: u64,
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
    pub world: WorldId,
    pub reason: String,
    pub trace: String,
}

/// Which world it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorldId {
    Seed(u64),
    /// The scripted life, ended before a disk operation.
    Script {
        operation: u64,
        ending: Ending,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { world, reason, .. } = self;
        let command = "to repeat it: cargo xtask sim";
        match world {
            WorldId::Seed(seed) => write!(f, "seed {seed}: {reason}; {command} --seed {seed}"),
            WorldId::Script { operation, ending } => {
                let word = if *ending == Ending::Kill { "kill" } else { "power" };
                write!(f, "{ending:?} before disk operation {operation}: {reason}; ")?;
                write!(f, "{command} --{word} {operation}")
            }
        }
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
        Err(reason) => {
            Err(Failure { world: WorldId::Seed(seed), reason, trace: world.into_trace() })
        }
    }
}

/// Runs the scripted life of a node up to a disk operation, then what comes after the crash.
///
/// # Errors
/// The first promise that was broken.
pub fn run_script(operation: u64, ending: Ending) -> Result<Report, Failure> {
    let mut world = World::new(operation);
    let plan = Plan::script(Some(operation), ending);
    match plan.and_then(|plan| world.run_plan(plan)) {
        Ok(()) => Ok(world.report()),
        Err(reason) => {
            let id = WorldId::Script { operation, ending };
            Err(Failure { world: id, reason, trace: world.into_trace() })
        }
    }
}
