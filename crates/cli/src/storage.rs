//! `strom storage`: Kafka's kafka-storage.

use crate::failure::{Failure, Outcome};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use strom_base::Random;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Print a random id, for --cluster-id
    RandomUuid,
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::RandomUuid => Ok(writeln!(std::io::stdout(), "{}", random()?.uuid())?),
    }
}

/// Seeded by the time and the process: ids have to differ, not to be secret.
fn random() -> Outcome<Random> {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| Failure::said("the clock is before 1970"))?;
    Ok(Random::new(wall.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40)))
}
