//! `cargo xtask sim`: simulated worlds, one seed again or many new ones.

use anyhow::{Context, Result, bail};
use strom_sim::run_seed;

const USAGE: &str = "cargo xtask sim [--seed N] [--count N]";
const COUNT: u64 = 500;

/// # Errors
/// The seeds whose worlds broke a promise. With `--seed` alone the trace of that world is printed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut seed, mut count) = (None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().context(USAGE)?.parse().context(USAGE)?;
        match argument.as_str() {
            "--seed" => seed = Some(value),
            "--count" => count = Some(value),
            other => bail!("{other} is not known: {USAGE}"),
        }
    }
    if let (Some(seed), None) = (seed, count) {
        return one(seed);
    }
    let first: u64 = seed.unwrap_or(0);
    let (mut records, mut commits, mut deleted) = (0, 0, 0);
    let (mut starts, mut failures) = (0, Vec::new());
    for seed in first..first + count.unwrap_or(COUNT) {
        match run_seed(seed) {
            Ok(report) => {
                records += report.acknowledged_records;
                commits += report.commits;
                deleted += report.deleted_topics;
                starts += report.starts;
            }
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    println!(
        "{records} acknowledged records, {commits} commits of groups, {deleted} deleted topics, \
         {starts} starts of the node"
    );
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\n")) }
}

fn one(seed: u64) -> Result<()> {
    match run_seed(seed) {
        Ok(report) => {
            print!("{}", report.trace);
            println!(
                "seed {seed}: {} records, {} events, {} starts, {} ms",
                report.acknowledged_records, report.events, report.starts, report.virtual_ms
            );
            Ok(())
        }
        Err(failure) => {
            print!("{}", failure.trace);
            bail!("{failure}")
        }
    }
}
