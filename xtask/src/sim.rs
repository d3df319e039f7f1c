//! `cargo xtask sim`: simulated worlds, one seed again or many new ones, and the crash points of a
//! node's scripted life.

use anyhow::{Context, Result, bail};
use strom_sim::{Ending, Failure, Report, run_script, run_seed};

const USAGE: &str = "cargo xtask sim [--seed N] [--count N] | --crash-points EVERY | --kill \
                     OPERATION | --power OPERATION";
const COUNT: u64 = 500;
/// Disk operations of the scripted life and of all that follows from a crash are fewer.
const NEVER: u64 = u64::MAX;

#[derive(Default)]
struct Options {
    seed: Option<u64>,
    count: Option<u64>,
    crash_points: Option<u64>,
    kill: Option<u64>,
    power: Option<u64>,
}

/// # Errors
/// The worlds that broke a promise. With `--seed` alone, or one crash point, its trace is printed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let slot = match argument.as_str() {
            "--seed" => &mut options.seed,
            "--count" => &mut options.count,
            "--crash-points" => &mut options.crash_points,
            "--kill" => &mut options.kill,
            "--power" => &mut options.power,
            other => bail!("{other} is not known: {USAGE}"),
        };
        *slot = Some(rest.next().context(USAGE)?.parse().context(USAGE)?);
    }
    match options {
        Options { kill: Some(operation), .. } => show(run_script(operation, Ending::Kill)),
        Options { power: Some(operation), .. } => show(run_script(operation, Ending::PowerFailure)),
        Options { crash_points: Some(every), .. } => crash_points(every.max(1)),
        Options { seed: Some(seed), count: None, .. } => show(run_seed(seed)),
        Options { seed, count, .. } => {
            let first = seed.unwrap_or(0);
            sum_up((first..first + count.unwrap_or(COUNT)).map(run_seed))
        }
    }
}

/// Every so many disk operations of the script a kill and a power failure.
fn crash_points(every: u64) -> Result<()> {
    let whole = run_script(NEVER, Ending::Kill)?;
    println!("{} disk operations", whole.disk_operations);
    let operations = (0..whole.disk_operations).step_by(every as usize);
    sum_up(operations.flat_map(|operation| {
        [Ending::Kill, Ending::PowerFailure].map(|ending| run_script(operation, ending))
    }))
}

fn sum_up(worlds: impl Iterator<Item = Result<Report, Failure>>) -> Result<()> {
    let (mut count, mut records, mut commits) = (0_u64, 0, 0);
    let (mut deleted, mut starts, mut broken) = (0, 0, 0_u64);
    for world in worlds {
        count += 1;
        match world {
            Ok(report) => {
                records += report.acknowledged_records;
                commits += report.commits;
                deleted += report.deleted_topics;
                starts += report.starts;
            }
            Err(failure) => {
                // At once: a long run may be broken off.
                println!("{failure}");
                broken += 1;
            }
        }
    }
    println!(
        "{count} worlds: {records} acknowledged records, {commits} commits of groups, {deleted} \
         deleted topics, {starts} starts of the node"
    );
    if broken == 0 { Ok(()) } else { bail!("{broken} worlds broke a promise") }
}

fn show(world: Result<Report, Failure>) -> Result<()> {
    match world {
        Ok(report) => {
            print!("{}", report.trace);
            println!(
                "seed {}: {} records, {} events, {} starts, {} ms",
                report.seed,
                report.acknowledged_records,
                report.events,
                report.starts,
                report.virtual_ms
            );
            Ok(())
        }
        Err(failure) => {
            print!("{}", failure.trace);
            bail!("{failure}")
        }
    }
}
