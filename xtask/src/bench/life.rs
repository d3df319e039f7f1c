//! What a node costs besides its loads, each trial with a life of its own: starts, rest, idle
//! connections, many partitions, a crash, overload.

mod connections;
mod full_partitions;
mod overload;
mod partitions;
mod recovery;
mod rest;

use std::time::{Duration, Instant};

use anyhow::Result;

use super::sample::{Figure, Sample};
use crate::load::batch::BatchShape;
use crate::load::system::{Row, System};
use crate::load::wire::{Connection, produce_frame};

/// A trial starts and ends its system by itself.
pub(super) struct Trial {
    pub name: &'static str,
    pub title: &'static str,
    /// The first figure is the one that is compared.
    pub run: fn(&Row, f64) -> Result<Vec<Figure>>,
    /// Repeated in each round; the others are too long for that.
    pub is_short: bool,
    /// The floor programs can do it, too.
    pub has_floor: bool,
}

impl Trial {
    /// # Errors
    /// When the system fails.
    pub(super) fn sample(&self, row: &Row, round: usize, scale: f64) -> Result<Sample> {
        let figures = (self.run)(row, scale)?;
        let (workload, row) = (self.name, row.clone());
        Ok(Sample { workload, row, round, figures, latencies: Vec::new() })
    }
}

/// Those come last that leave most behind: what they had on the disk is removed while the next one runs.
pub(super) const TRIALS: [Trial; 7] = [
    Trial {
        name: "start",
        title: "from the start on an empty folder to the first acknowledged produce",
        run: rest::start,
        is_short: true,
        has_floor: false,
    },
    Trial {
        name: "W20",
        title: "at rest, and after 2 GB of produce",
        run: rest::run,
        is_short: false,
        has_floor: false,
    },
    Trial {
        name: "W13",
        title: "5,000 idle connections",
        run: connections::run,
        is_short: false,
        has_floor: false,
    },
    Trial {
        name: "W19",
        title: "overload with 256 MiB for the broker",
        run: overload::run,
        is_short: true,
        has_floor: true,
    },
    Trial {
        name: "W12-W14",
        title: "2 × 5,000 partitions: made, at rest, restarted",
        run: partitions::run,
        is_short: false,
        has_floor: false,
    },
    Trial {
        name: "W14",
        title: "10,000 partitions with a record each: stopped, killed, restarted",
        run: full_partitions::run,
        is_short: false,
        has_floor: false,
    },
    Trial {
        name: "W15",
        title: "kill -9 under load, restart to the first acknowledged produce",
        run: recovery::run,
        is_short: false,
        has_floor: false,
    },
];

/// Sends one record to a partition until it is taken.
fn first_ack(port: u16, topic: &str, partition: i32) -> Result<()> {
    let frame = produce_frame(topic, partition, &BatchShape::plain(1, 100).build()?)?;
    Connection::open(port)?.produce_when_ready(topic, &frame)
}

/// How long the system takes to come up on its folder and to take a record.
fn restart(system: &mut System, topic: &str, partition: i32) -> Result<Duration> {
    let started = Instant::now();
    system.start_again()?;
    first_ack(system.port(), topic, partition)?;
    Ok(started.elapsed())
}
