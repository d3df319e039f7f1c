//! `cargo xtask bench`: what a produce costs, Strom beside Apache Kafka and beside the floor program,
//! the same frames in one interleaved run.
//!
//! The figure is CPU time of the broker's process: it stands still where wall time swings with the machine.

mod lifetime;
mod load;
mod report;
mod system;

use anyhow::{Context, Result, bail};

use load::{Load, Workload};
use report::Sample;
use system::{Kind, System};

const USAGE: &str = "cargo xtask bench [--lifetime] [--rounds N] [--only NAME,…] [--quick] \
                     [--scale F] [--without kafka,floor]";

struct Options {
    rounds: usize,
    only: Vec<String>,
    scale: f64,
    without: Vec<String>,
    lifetime: bool,
}

/// # Errors
/// When a system does not start or a request fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = parse(arguments)?;
    let workloads: Vec<Workload> = load::WORKLOADS
        .into_iter()
        .filter(|workload| {
            options.only.is_empty() || options.only.iter().any(|n| n == workload.name)
        })
        .collect();
    if workloads.is_empty() {
        let names: Vec<_> = load::WORKLOADS.iter().map(|workload| workload.name).collect();
        bail!("no such workload; there are {}", names.join(", "));
    }
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| !options.without.iter().any(|name| name == kind.name()))
        .collect();
    system::build(&kinds)?;
    if options.lifetime {
        return lifetime::run(&kinds);
    }
    let mut samples = Vec::new();
    // One round more: the first warms the page cache and the JVM's code and is not counted.
    for round in 0..=options.rounds {
        for kind in in_turn(&kinds, round) {
            let system =
                System::start(kind).with_context(|| format!("starting {}", kind.name()))?;
            for workload in &workloads {
                let sample = measure(&system, workload, &options)?;
                eprintln!("round {round}: {sample}");
                if round > 0 {
                    samples.push(sample);
                }
            }
            system.stop()?;
        }
    }
    print!("{}", report::table(&samples));
    Ok(())
}

/// A, B, C, then C, B, A: nobody is always first.
fn in_turn(kinds: &[Kind], round: usize) -> Vec<Kind> {
    let mut kinds = kinds.to_vec();
    if round % 2 == 1 {
        kinds.reverse();
    }
    kinds
}

fn measure(system: &System, workload: &Workload, options: &Options) -> Result<Sample> {
    let mut load = Load::connect(system.port(), workload, system.kind() != Kind::Floor)?;
    // Part of the load beforehand: the topic's files exist and the paths are warm.
    load.run(workload, options.scale / 8.0)?;
    let before = system.cpu_seconds()?;
    let done = load.run(workload, options.scale)?;
    let cpu_seconds = system.cpu_seconds()? - before;
    let resident_mib = system.resident_mib()?;
    Ok(Sample { kind: system.kind(), workload: workload.name, cpu_seconds, done, resident_mib })
}

fn parse(arguments: &[String]) -> Result<Options> {
    let mut options =
        Options { rounds: 5, only: Vec::new(), scale: 1.0, without: Vec::new(), lifetime: false };
    let mut rest = arguments.iter();
    let names = |text: &String| text.split(',').map(str::to_owned).collect();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" => (options.rounds, options.scale) = (2, 0.25),
            "--scale" => options.scale = rest.next().context(USAGE)?.parse().context(USAGE)?,
            "--rounds" => options.rounds = rest.next().context(USAGE)?.parse().context(USAGE)?,
            "--only" => options.only = rest.next().map(names).context(USAGE)?,
            "--lifetime" => options.lifetime = true,
            "--without" => options.without = rest.next().map(names).context(USAGE)?,
            other => bail!("{other} is not known: {USAGE}"),
        }
    }
    Ok(options)
}
