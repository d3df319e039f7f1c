//! A start, the rest after it, and the memory before and after a load.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::produce::Produce;
use crate::bench::sample::Figure;
use crate::load::batch::BatchShape;
use crate::load::system::{Row, Start, System};
use crate::load::target::PARTITIONS;
use crate::load::usage::{memory_mib, nanoseconds_run};
use crate::load::wire::Connection;

const REST: Duration = Duration::from_secs(20);

/// A fresh folder, the process started, a topic made, one record acknowledged.
pub(super) fn start(row: &Row, _scale: f64) -> Result<Vec<Figure>> {
    let started = Instant::now();
    let system = System::start(row, &Start::default())?;
    Connection::open(system.port())?.create_topic("first", PARTITIONS, &[])?;
    super::first_ack(system.port(), "first", 0)?;
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    Ok(vec![Figure { name: "start to first ack ms", value: milliseconds }])
}

/// Processor and memory of a node that has nothing to do, and its memory after 2 GB.
pub(super) fn run(row: &Row, scale: f64) -> Result<Vec<Figure>> {
    let system = System::start(row, &Start::default())?;
    Connection::open(system.port())?.create_topic("first", PARTITIONS, &[])?;
    // The work of the start itself is over.
    thread::sleep(Duration::from_secs(3));
    let pid = system.pid()?;
    let idle = memory_mib(pid, "VmRSS")?;
    let before = nanoseconds_run(pid)?;
    thread::sleep(REST);
    let at_rest = (nanoseconds_run(pid)? - before) as f64 / REST.as_nanos() as f64;
    let load = Produce {
        shape: BatchShape::plain(1000, 1010),
        requests: 2000,
        connections: 1,
        in_flight: 4,
        is_synced: false,
        partitions: PARTITIONS,
    };
    load.run(&system, "load", scale)?;
    Ok(vec![
        Figure { name: "MiB at rest", value: idle },
        Figure { name: "CPU % at rest", value: at_rest * 100.0 },
        Figure { name: "MiB after the load", value: memory_mib(pid, "VmRSS")? },
        Figure { name: "MiB at most", value: memory_mib(pid, "VmHWM")? },
    ])
}
