//! What a node costs besides its work: from its start to the first acknowledged produce, at rest, and
//! its memory before and after a load.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::load::{Load, WORKLOADS, Workload};
use super::system::{Kind, System};

const STARTS: usize = 11;
const REST: Duration = Duration::from_secs(30);
const LOAD_BYTES: u64 = 2_000_000_000;

/// Prints the figures of one system after the other.
///
/// # Errors
/// When a system does not start or a request fails.
pub(super) fn run(kinds: &[Kind]) -> Result<()> {
    println!(
        "| system | start to first ack (median of {STARTS}; Kafka once) | CPU at rest | MiB at rest \
         | MiB after 2 GB |"
    );
    println!("|---|---|---|---|---|");
    for kind in kinds.iter().copied().filter(|kind| *kind != Kind::Floor) {
        let starts = if kind == Kind::Kafka { 1 } else { STARTS };
        let mut times = (0..starts).map(|_| first_ack(kind)).collect::<Result<Vec<_>>>()?;
        times.sort_unstable();
        let system = System::start(kind)?;
        // The work of the start itself is over.
        std::thread::sleep(Duration::from_secs(3));
        let resident_mib = system.resident_mib()?;
        let before = system.cpu_nanoseconds()?;
        std::thread::sleep(REST);
        let at_rest = (system.cpu_nanoseconds()? - before) as f64 / REST.as_nanos() as f64;
        let loaded_mib = resident_after_load(&system, &WORKLOADS[0])?;
        println!(
            "| {} | {:?} | {:.3} % | {resident_mib:.1} | {loaded_mib:.1} |",
            kind.name(),
            times[times.len() / 2],
            at_rest * 100.0
        );
        system.stop()?;
    }
    Ok(())
}

/// A fresh folder, the process started, its topic made by asking for it, one record acknowledged.
fn first_ack(kind: Kind) -> Result<Duration> {
    let single = WORKLOADS[WORKLOADS.len() - 1];
    let started = Instant::now();
    let system = System::start(kind)?;
    let mut load = Load::connect(system.port(), &single, true)?;
    load.send_once()?;
    let elapsed = started.elapsed();
    system.stop()?;
    Ok(elapsed)
}

fn resident_after_load(system: &System, workload: &Workload) -> Result<f64> {
    let mut load = Load::connect(system.port(), workload, true)?;
    let mut sent = 0;
    while sent < LOAD_BYTES {
        sent += load.run(workload, 0.25)?.bytes;
    }
    system.resident_mib()
}

/// Nanoseconds that all threads of a process have run, finer than the ticks of `stat`.
///
/// # Errors
/// When the process has gone.
pub(super) fn nanoseconds_run(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(sum)
}
