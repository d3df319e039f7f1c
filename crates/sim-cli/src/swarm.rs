//! Many worlds, one after the other, and what they were together.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use strom_sim::{Census, Ending, Kind, Telling, WorldId, run};

use crate::pace::processor_time;

pub(crate) fn run_all(
    worlds: impl Iterator<Item = WorldId>,
    seconds: Option<u64>,
) -> (Census, Vec<WorldId>) {
    let began = processor_time();
    let (mut census, mut broken) = (Census::default(), Vec::new());
    for id in worlds {
        match run(&id, Telling::Nothing) {
            Ok(report) => census += &report.census,
            Err(failure) => {
                // At once: a long run may be broken off.
                println!("{failure}");
                broken.push(id);
            }
        }
        let used = processor_time().saturating_sub(began);
        if seconds.is_some_and(|seconds| used > Duration::from_secs(seconds)) {
            break;
        }
    }
    (census, broken)
}

/// # Errors
/// When any world breaks a promise.
pub(crate) fn seeds(
    (first, count): (u64, u64),
    seconds: Option<u64>,
    counts: Option<&Path>,
) -> Result<()> {
    let run = run_all((first..first.saturating_add(count)).map(WorldId::of_seed), seconds);
    if let Some(path) = counts {
        let (census, broken) = &run;
        let faults: u64 = census.faults.values().sum();
        let lines = [
            ("worlds", census.worlds),
            ("simulated_ms", census.simulated_ms),
            ("faults", faults),
            ("broken", broken.len() as u64),
        ];
        let lines: Vec<String> = lines.iter().map(|(name, it)| format!("{name}={it}")).collect();
        fs::write(path, lines.join("\n"))?;
    }
    finish(run)
}

/// # Errors
/// When any of them breaks a promise.
pub(crate) fn crash_points(every: u64) -> Result<()> {
    let life = Kind::Script { operation: None, ending: Ending::Kill };
    let whole = run(&WorldId::of_kind(life), Telling::Nothing)?.census;
    println!("{} disk operations", whole.disk_operations);
    let operations = (0..whole.disk_operations).step_by(every.max(1) as usize);
    let endings = [Ending::Kill, Ending::PowerFailure];
    let kinds = operations.flat_map(|operation| {
        endings.map(|ending| Kind::Script { operation: Some(operation), ending })
    });
    finish(run_all(kinds.map(WorldId::of_kind), None))
}

fn finish((census, broken): (Census, Vec<WorldId>)) -> Result<()> {
    println!("{}", sum(&census));
    if broken.is_empty() { Ok(()) } else { bail!("{} worlds broke a promise", broken.len()) }
}

pub(crate) fn sum(census: &Census) -> String {
    let faults: Vec<String> =
        census.faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!(
        "{} worlds, {} simulated s: {} messages ({} requests, {} answers), {} acknowledged records, \
         {} read, {} commits, {} deleted topics, {} starts, {} disk operations; faults: {}",
        census.worlds,
        census.simulated_ms / 1000,
        census.messages(),
        census.frames,
        census.answers,
        census.acknowledged_records,
        census.read_records,
        census.commits,
        census.deleted_topics,
        census.starts,
        census.disk_operations,
        if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }
    )
}
