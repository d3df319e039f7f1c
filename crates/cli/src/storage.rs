//! `strom storage`: Kafka's kafka-storage. Works on this machine's folders, asks nobody.

mod features;
mod folders;
mod format;
mod node;

use crate::failure::{Failure, Outcome};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use strom_base::Random;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
#[command(infer_long_args = true)]
enum Command {
    /// Show what the log directories of a node hold
    Info {
        /// The node's server.properties
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make the log directories of a node ready for a cluster
    Format(FormatArguments),
    /// Show the feature levels of a release
    VersionMapping {
        /// The release; without it the latest
        #[arg(long, short, value_name = "RELEASE")]
        release_version: Option<String>,
    },
    /// Show what a feature level needs
    FeatureDependencies {
        /// FEATURE=LEVEL; may be given several times
        #[arg(long, short, value_name = "FEATURE=LEVEL", required = true)]
        feature: Vec<String>,
    },
    /// Print a random id, for --cluster-id
    RandomUuid,
}

#[derive(clap::Args, Debug)]
struct FormatArguments {
    /// The node's server.properties
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// The cluster's id, the same on all its nodes
    #[arg(long, short = 't', value_name = "ID")]
    cluster_id: String,
    /// Leave directories alone that are formatted already
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// The release whose feature levels the cluster begins with
    #[arg(long, short, value_name = "RELEASE")]
    release_version: Option<String>,
    /// A feature's level to begin with: FEATURE=LEVEL
    #[arg(long, short, value_name = "FEATURE=LEVEL")]
    feature: Vec<String>,
    /// This controller alone is the quorum, to which others may be added
    #[arg(long, short, conflicts_with_all = ["no_initial_controllers", "initial_controllers"])]
    standalone: bool,
    /// This controller joins a quorum that exists
    #[arg(long, short = 'N', conflicts_with = "initial_controllers")]
    no_initial_controllers: bool,
    /// The controllers of the quorum: ID@HOST:PORT:DIRECTORY-ID,…
    #[arg(long, short = 'I', value_name = "CONTROLLERS")]
    initial_controllers: Option<String>,
    /// A user's credential
    #[arg(long, short = 'S', value_name = "CREDENTIAL")]
    add_scram: Vec<String>,
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    let mut output = std::io::stdout().lock();
    match arguments.command {
        Command::Info { config } => folders::info(&mut output, &node::Node::read(&config)?),
        Command::Format(arguments) => format::perform(&mut output, &arguments),
        Command::VersionMapping { release_version } => {
            features::print_mapping(&mut output, release_version.as_deref())
        }
        Command::FeatureDependencies { feature } => {
            features::print_dependencies(&mut output, &feature)
        }
        Command::RandomUuid => Ok(writeln!(output, "{}", random()?.uuid())?),
    }
}

/// Seeded by the time and the process: ids have to differ, not to be secret.
fn random() -> Outcome<Random> {
    let seed = wall()?.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40);
    Ok(Random::new(seed))
}

fn wall() -> Outcome<std::time::Duration> {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    wall.map_err(|_| Failure::said("the clock of this machine is before 1970: set it"))
}
