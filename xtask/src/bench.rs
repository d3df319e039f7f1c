//! `cargo xtask bench`: what the work of a broker costs, Strom beside Apache Kafka and beside the floor
//! program, the same frames in one interleaved run.
//!
//! The figure is CPU time of the broker's process: it stands still where wall time swings with the
//! machine. [`catalogue`] has the loads on running nodes, [`life`] the trials that start and end theirs.

mod bare_sync;
mod catalogue;
mod consume;
mod document;
mod life;
mod machine;
mod open_loop;
mod options;
mod picture;
mod produce;
#[cfg(feature = "real-client")]
mod real_client;
mod report;
mod sample;

use std::fs;

use anyhow::{Context, Result, ensure};

use catalogue::Workload;
use life::Trial;
use options::Options;
use sample::Sample;

use crate::dist;
use crate::load::system::{self, Kind, Row, Start, System};
use crate::stage::command;

/// The part of each load that a profile is taken from.
const EXERCISE_SCALE: f64 = 0.25;

/// # Errors
/// When a system does not start or a request fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if cfg!(not(feature = "real-client")) {
        return run_whole(arguments);
    }
    let options = Options::parse(arguments)?;
    let workloads: Vec<Workload> =
        catalogue::workloads().into_iter().filter(|w| options.wants(w.name)).collect();
    let trials: Vec<&Trial> = life::TRIALS.iter().filter(|t| options.wants(t.name)).collect();
    let titles: Vec<(&str, &str)> = workloads
        .iter()
        .map(|workload| (workload.name, workload.title))
        .chain(trials.iter().map(|trial| (trial.name, trial.title)))
        .collect();
    ensure!(!titles.is_empty(), "no such workload; {}", names());
    let mut rows = options.rows();
    if options.writes {
        // What is told is told of the program as it is shipped.
        let shipped = dist::build()?;
        let ours = rows.iter_mut().filter(|row| row.kind == Kind::Strom);
        ours.for_each(|row| row.binary = Some(row.binary.take().unwrap_or(shipped.clone())));
    }
    system::build(&rows, system::SHIPPED)?;
    let (mut samples, mut failures) = (Vec::new(), Vec::new());
    if !workloads.is_empty() {
        run_workloads(&workloads, (&options, &rows), &mut samples, &mut failures)?;
    }
    if options.writes {
        // The trials take as long again: what was measured so far is not to be lost with them.
        let titles = titles.get(..workloads.len()).unwrap_or_default();
        document::write(&samples, titles, &rows, (options.rounds, &failures))?;
    }
    run_trials(&trials, (&options, &rows), &mut samples, &mut failures);
    println!("{}", report::summary(&samples, &titles, &rows));
    println!("{}", report::details(&samples, &titles, &rows));
    if let Some(path) = &options.json {
        fs::write(path, format!("{:#}\n", report::json(&samples)))?;
    }
    if options.writes {
        document::write(&samples, &titles, &rows, (options.rounds, &failures))?;
    }
    ensure!(failures.is_empty(), "not measured: {}", failures.join("; "));
    Ok(())
}

/// The loads of our own program, a part of each: what a profile of the broker's work is taken from.
///
/// # Errors
/// When a request fails.
pub(crate) fn exercise(system: &System) -> Result<()> {
    let workloads = catalogue::workloads();
    for workload in workloads.iter().filter(|it| it.is_our_own()) {
        eprintln!("{}", workload.run(system, 0, EXERCISE_SCALE)?);
    }
    Ok(())
}

/// Again, optimised and with librdkafka in it: a slow load program would measure itself, and building a
/// client in C++ is not for every call of `cargo xtask`.
fn run_whole(arguments: &[String]) -> Result<()> {
    let whole =
        ["run", "--release", "--package", "xtask", "--features", "real-client", "--", "bench"];
    let arguments: Vec<&str> =
        whole.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    command("cargo", &arguments)
}

fn names() -> String {
    let loads = catalogue::workloads().into_iter().map(|workload| workload.name);
    let trials = life::TRIALS.iter().map(|trial| trial.name);
    loads.chain(trials).collect::<Vec<_>>().join(", ")
}

/// All systems are up at once and take turns, workload by workload. One that fails is told of at the end
/// of the whole run.
fn run_workloads(
    workloads: &[Workload],
    (options, rows): (&Options, &[Row]),
    samples: &mut Vec<Sample>,
    failures: &mut Vec<String>,
) -> Result<()> {
    let has_tls = workloads.iter().any(Workload::has_tls);
    let start = Start { has_tls, ..Start::default() };
    let mut systems = rows
        .iter()
        .map(|row| System::start(row, &start).with_context(|| format!("starting {}", row.name)))
        .collect::<Result<Vec<_>>>()?;
    for (index, workload) in workloads.iter().enumerate() {
        // Not counted: they warm the page cache and the JVM, which compiles for minutes at first.
        let warm_ups = if index == 0 { 4 } else { 1 };
        let done = run_workload(workload, (warm_ups, options), &mut systems, samples);
        if let Err(error) = done {
            failures.push(format!("{}: {error:#}", workload.name));
            eprintln!("{}", failures.last().map_or("", String::as_str));
        }
    }
    Ok(())
}

fn run_workload(
    workload: &Workload,
    (warm_ups, options): (usize, &Options),
    systems: &mut [System],
    samples: &mut Vec<Sample>,
) -> Result<()> {
    for turn in 0..warm_ups + workload.rounds(options.rounds) {
        for system in systems.iter().filter(|system| workload.suits(system.kind())) {
            let mut sample = workload.run(system, turn, options.scale)?;
            match (turn + 1).checked_sub(warm_ups).filter(|round| *round > 0) {
                None => eprintln!("warm-up: {sample}"),
                Some(round) => {
                    eprintln!("round {round}: {sample}");
                    sample.round = round;
                    samples.push(sample);
                }
            }
        }
        // A B C, then C B A: nobody is always first.
        systems.reverse();
    }
    Ok(())
}

fn run_trials(
    trials: &[&Trial],
    (options, rows): (&Options, &[Row]),
    samples: &mut Vec<Sample>,
    failures: &mut Vec<String>,
) {
    for trial in trials {
        let rounds = if trial.is_short { options.rounds } else { 1 };
        let brokers = || rows.iter().filter(|row| trial.has_floor || !row.kind.is_floor());
        for (round, row) in (1..=rounds).flat_map(|round| brokers().map(move |row| (round, row))) {
            match trial.sample(row, round, options.scale) {
                Ok(sample) => {
                    eprintln!("round {round}: {sample}");
                    samples.push(sample);
                }
                Err(error) => {
                    failures.push(format!("{}, {}: {error:#}", trial.name, row.name));
                    eprintln!("{}", failures.last().map_or("", String::as_str));
                }
            }
        }
    }
}
