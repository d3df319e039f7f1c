//! What can be asked for.

use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use strom_sim::{Ending, Kind, Story, WorldId};

#[derive(Parser)]
#[command(
    name = "strom-sim",
    about = "Simulated worlds: a node, its disk and its clients under seeds"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the world of a seed.
    Run {
        seed: u64,
        #[command(flatten)]
        part: Part,
    },
    /// Runs the world of a seed and tells what happened last.
    Explain {
        seed: u64,
        #[command(flatten)]
        part: Part,
        /// How many lines.
        #[arg(long, default_value_t = 200)]
        lines: usize,
    },
    /// Finds the smallest part of a world that still fails.
    Shrink {
        seed: u64,
        #[command(flatten)]
        part: Part,
    },
    /// A node's scripted life, ended before one of its disk operations.
    Script {
        /// Draws how long things take, and what a power failure leaves.
        #[arg(default_value_t = 1)]
        seed: u64,
        /// What happens besides.
        #[arg(long, default_value_t = Story::Life)]
        story: Story,
        #[arg(long, conflicts_with = "power")]
        kill: Option<u64>,
        #[arg(long)]
        power: Option<u64>,
    },
    /// Nothing goes wrong, and clients are as fast as they can be.
    Busy {
        #[arg(default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 100_000)]
        batches: u64,
    },
    /// Clients are there and have nothing to do.
    Quiet {
        #[arg(long, default_value_t = 10_000)]
        seconds: u64,
    },
    /// Many seeds.
    Swarm {
        #[arg(long, default_value_t = 0)]
        first: u64,
        #[arg(long, default_value_t = 500)]
        count: u64,
        /// Ends after so many seconds of processor time.
        #[arg(long)]
        seconds: Option<u64>,
        /// Writes what there was into this file, a `name=number` in each line.
        #[arg(long)]
        counts: Option<PathBuf>,
    },
    /// The scripted lives, each ended before every so many of its disk operations.
    CrashPoints {
        /// So many of each story.
        #[arg(long, default_value_t = 3)]
        seeds: u64,
        #[arg(long, default_value_t = 1)]
        every: u64,
    },
    /// Messages in a second of processor time, and simulated seconds.
    Pace,
    /// How many seeds it takes to find each of the defects that can be planted.
    #[cfg(feature = "planted")]
    Plants {
        /// Only their names.
        #[arg(long)]
        list: bool,
        /// Only the one of this name.
        #[arg(long)]
        only: Option<String>,
        #[arg(long, default_value_t = 1_000_000)]
        first: u64,
        /// Seeds of one search.
        #[arg(long, default_value_t = 2_000)]
        budget: u64,
        /// Each search has seeds of its own.
        #[arg(long, default_value_t = 5)]
        searches: u64,
    },
}

/// A part of a world.
#[derive(Args)]
pub(crate) struct Part {
    /// Only these of its faults, by number, with commas between them; or `none`.
    #[arg(long)]
    faults: Option<Numbers>,
    /// Only these of its clients.
    #[arg(long)]
    clients: Option<Numbers>,
    /// Each producer sends no more batches than this.
    #[arg(long)]
    batches: Option<u64>,
}

impl Part {
    pub(crate) fn of(&self, id: WorldId) -> WorldId {
        WorldId {
            faults: self.faults.clone().map(|it| it.0),
            clients: self.clients.clone().map(|it| it.0),
            batches: self.batches,
            ..id
        }
    }
}

/// With commas between them, or the word `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers(Vec<usize>);

impl FromStr for Numbers {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let numbers = text.split(',').filter(|_| text != "none");
        numbers.map(str::parse).collect::<Result<_, _>>().map(Numbers)
    }
}

pub(crate) fn script(story: Story, kill: Option<u64>, power: Option<u64>) -> Kind {
    let ending = if power.is_some() { Ending::PowerFailure } else { Ending::Kill };
    Kind::Script { story, operation: kill.or(power), ending }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_no_number_is_not_left_out_silently() {
        assert_eq!("1,4".parse(), Ok(Numbers(vec![1, 4])));
        assert_eq!("none".parse(), Ok(Numbers(Vec::new())));
        assert!("1,x".parse::<Numbers>().is_err());
    }
}
