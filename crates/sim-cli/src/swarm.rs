//! Many worlds, one after the other, and what they were together.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use strom_sim::{Census, Ending, Failure, Kind, Story, Telling, WorldId, run};

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
/// Of each story as many lives as there are `seeds`, all of their crash points.
pub(crate) fn crash_points(seeds: u64, every: u64) -> Result<()> {
    let mut points = Vec::new();
    for (story, seed) in Story::ALL.into_iter().flat_map(|it| (1..=seeds).map(move |n| (it, n))) {
        let of_life = points_of(story, seed)?;
        println!("{story}, seed {seed}: {} disk operations", of_life.len() / 2);
        let of_every = of_life.chunks_exact(2).step_by(every.max(1) as usize).flatten();
        points.extend(of_every.cloned());
    }
    finish(run_all(points.into_iter(), None))
}

/// A scripted life, ended before each of its disk operations, in both ways.
pub(crate) fn points_of(story: Story, seed: u64) -> Result<Vec<WorldId>, Box<Failure>> {
    let life = |operation, ending| {
        let kind = Kind::Script { story, operation, ending };
        WorldId { seed, ..WorldId::of_kind(kind) }
    };
    let whole = run(&life(None, Ending::Kill), Telling::Nothing)?.census;
    let ends = |operation| [Ending::Kill, Ending::PowerFailure].map(|it| life(Some(operation), it));
    Ok((0..whole.disk_operations).flat_map(ends).collect())
}

fn finish((census, broken): (Census, Vec<WorldId>)) -> Result<()> {
    println!("{}", sum(&census));
    if broken.is_empty() { Ok(()) } else { bail!("{} worlds broke a promise", broken.len()) }
}

pub(crate) fn sum(census: &Census) -> String {
    let faults: Vec<String> =
        census.faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!(
        "{} worlds, {} simulated s: {} messages ({} requests, {} answers; {} produces looked at elsewhere), \
         {} acknowledged records, \
         {} read, {} commits, {} deleted topics, {} starts, {} disk operations; faults: {}",
        census.worlds,
        census.simulated_ms / 1000,
        census.messages(),
        census.frames,
        census.answers,
        census.examined,
        census.acknowledged_records,
        census.read_records,
        census.commits,
        census.deleted_topics,
        census.starts,
        census.disk_operations,
        if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }
    )
}
