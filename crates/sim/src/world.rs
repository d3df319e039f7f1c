//! The whole node under a seed: broker, disk and clients in virtual time, with faults, until every
//! acknowledged record was read back.
//!
//! Requests and answers of one connection keep their order, effects on one folder theirs; all else
//! happens as late as the seed wants. A world that runs twice goes the same way: its hash is the same.

mod audit;
mod census;
mod clients;
mod clock;
mod committed;
mod faults;
mod generations;
mod lanes;
mod machine;
mod network;
mod node;
mod order;
mod out_of_service;
mod phases;
mod places;
mod plan;
mod records;
mod schedule;
mod sent;
mod shrink;
mod sockets;
mod stage;
mod strangers;
mod streams;
mod timeline;
mod view;
mod without;

use std::fmt;

pub use census::Census;
pub use faults::Ending;
use plan::Plan;
pub use plan::Story;
pub use shrink::shrink;
use stage::World;
pub use timeline::Telling;

/// What a world is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the seed draws.
    Swarm,
    /// A node's scripted life, ended before one of its disk operations, if it is.
    Script { story: Story, operation: Option<u64>, ending: Ending },
    /// Nothing goes wrong, and clients send so many batches as fast as they can.
    Busy { batches: u64 },
    /// Clients are there for so long and have nothing to do.
    Quiet { seconds: u64 },
}

/// Names a world: run again it goes the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldId {
    pub kind: Kind,
    pub seed: u64,
    /// Of the faults that were drawn only these, by their number.
    pub faults: Option<Vec<usize>>,
    /// Of the clients only these; the first, who creates the topics, is always there.
    pub clients: Option<Vec<usize>>,
    /// Each producer sends no more batches than this.
    pub batches: Option<u64>,
}

impl WorldId {
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self { kind: Kind::Swarm, seed, faults: None, clients: None, batches: None }
    }

    #[must_use]
    pub fn of_kind(kind: Kind) -> Self {
        Self { kind, ..Self::of_seed(1) }
    }
}

/// The arguments of `strom-sim` that run it.
impl fmt::Display for WorldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Swarm => write!(f, "run {}", self.seed)?,
            Kind::Busy { batches } => write!(f, "busy {} --batches {batches}", self.seed)?,
            Kind::Quiet { seconds } => write!(f, "quiet --seconds {seconds}")?,
            Kind::Script { story, operation, ending } => {
                write!(f, "script {} --story {story}", self.seed)?;
                let word = if ending == Ending::Kill { "kill" } else { "power" };
                operation.map_or(Ok(()), |operation| write!(f, " --{word} {operation}"))?;
            }
        }
        for (name, kept) in [("faults", &self.faults), ("clients", &self.clients)] {
            if let Some(kept) = kept {
                let numbers: Vec<String> = kept.iter().map(usize::to_string).collect();
                let numbers = if kept.is_empty() { "none".to_owned() } else { numbers.join(",") };
                write!(f, " --{name} {numbers}")?;
            }
        }
        match self.batches {
            Some(batches) => write!(f, " --batches {batches}"),
            None => Ok(()),
        }
    }
}

/// What a world that held went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub census: Census,
    /// Of all that happened, in its order.
    pub hash: u64,
    /// As much of what happened as was asked for.
    pub timeline: Vec<String>,
}

/// What a world showed to be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub world: WorldId,
    pub reason: String,
    pub timeline: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { world, reason, .. } = self;
        write!(f, "{reason}; to repeat it: cargo strom-sim {world}")
    }
}

impl std::error::Error for Failure {}

/// Runs a world to its end.
///
/// # Errors
/// The first promise that was broken.
pub fn run(id: &WorldId, telling: Telling) -> Result<Report, Box<Failure>> {
    let fail = |reason, timeline| Box::new(Failure { world: id.clone(), reason, timeline });
    let plan = Plan::of(id).map_err(|reason| fail(reason, Vec::new()))?;
    let mut world = World::new(id.seed, plan, telling);
    let result = world.run();
    let (census, hash, timeline) = world.into_census();
    match result {
        Ok(()) => Ok(Report { census, hash, timeline }),
        Err(reason) => Err(fail(reason, timeline)),
    }
}
