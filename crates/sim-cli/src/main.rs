//! `strom-sim`: simulated worlds by hand, one or very many, and what happened in them.
//!
//! Owns: arguments, processor time, text. Never does: anything that a world depends on.

mod options;
mod pace;
#[cfg(feature = "planted")]
mod plants;
mod swarm;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use mimalloc::MiMalloc;
use options::{Command, Options};
use strom_sim::{Failure, Kind, Telling, WorldId, run, shrink};

/// Lines of a timeline that are printed of a world that failed.
const LINES_OF_A_FAILURE: usize = 200;

/// As in the node itself.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match act(Options::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that the type would print: a broken world is no defect in here.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(command: Command) -> Result<()> {
    match command {
        Command::Run { seed, part } => show(&part.of(WorldId::of_seed(seed)), Telling::Nothing),
        Command::Explain { seed, part, lines } => {
            show(&part.of(WorldId::of_seed(seed)), Telling::Last(lines))
        }
        Command::Shrink { seed, part } => match shrink(&part.of(WorldId::of_seed(seed))) {
            Some(failure) => bail!("{}", tell(&failure)),
            None => bail!("seed {seed} holds: there is nothing to shrink"),
        },
        Command::Script { seed, story, kill, power } => {
            let kind = options::script(story, kill, power);
            show(&WorldId { seed, ..WorldId::of_kind(kind) }, Telling::Nothing)
        }
        Command::Busy { seed, batches } => {
            show(&WorldId { seed, ..WorldId::of_kind(Kind::Busy { batches }) }, Telling::Nothing)
        }
        Command::Quiet { seconds } => {
            show(&WorldId::of_kind(Kind::Quiet { seconds }), Telling::Nothing)
        }
        Command::Swarm { first, count, seconds, counts } => {
            swarm::seeds((first, count), seconds, counts.as_deref())
        }
        Command::CrashPoints { seeds, every } => swarm::crash_points(seeds, every),
        Command::Pace => pace::measure(),
        #[cfg(feature = "planted")]
        Command::Plants { list: true, .. } => {
            plants::list();
            Ok(())
        }
        #[cfg(feature = "planted")]
        Command::Plants { only, first, budget, searches, .. } => {
            plants::find(only.as_deref(), plants::Search { first, budget, searches })
        }
    }
}

/// Runs one world; if it fails, again, to tell what led to that.
fn show(id: &WorldId, telling: Telling) -> Result<()> {
    match run(id, telling) {
        Ok(report) => {
            for line in &report.timeline {
                println!("{line}");
            }
            println!("{id}: holds, hash {:016x}", report.hash);
            println!("{}", swarm::sum(&report.census));
            Ok(())
        }
        Err(failure) if telling == Telling::Nothing => bail!("{}", tell(&failure)),
        Err(failure) => bail!("{}\n{failure}", failure.timeline.join("\n")),
    }
}

/// The last moments before a failure, and the one command that repeats it.
fn tell(failure: &Failure) -> String {
    let timeline = match run(&failure.world, Telling::Last(LINES_OF_A_FAILURE)) {
        Ok(report) => report.timeline,
        Err(again) => again.timeline,
    };
    format!("{}\n{failure}", timeline.join("\n"))
}
