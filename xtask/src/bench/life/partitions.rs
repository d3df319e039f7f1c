//! Ten thousand partitions: how long they take to be made, what they cost at rest, how long a restart
//! takes after a clean stop.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::sample::Figure;
use crate::load::system::{Row, Start, System};
use crate::load::usage::{memory_mib, nanoseconds_run, open_files};
use crate::load::wire::Connection;

const TOPICS: [&str; 2] = ["many-a", "many-b"];
const PARTITIONS: i32 = 5_000;
const REST: Duration = Duration::from_secs(10);

pub(super) fn run(row: &Row, scale: f64) -> Result<Vec<Figure>> {
    let partitions = ((f64::from(PARTITIONS) * scale) as i32).max(1);
    let mut system = System::start(row, &Start::default())?;
    let started = Instant::now();
    let mut connection = Connection::open(system.port())?;
    for topic in TOPICS {
        connection.create_topic(topic, partitions, &[])?;
    }
    for topic in TOPICS {
        super::first_ack(system.port(), topic, partitions - 1)?;
    }
    let made = started.elapsed();
    let pid = system.pid()?;
    thread::sleep(Duration::from_secs(5));
    let resident = memory_mib(pid, "VmRSS")?;
    let files = open_files(pid)? as f64;
    let before = nanoseconds_run(pid)?;
    thread::sleep(REST);
    let at_rest = (nanoseconds_run(pid)? - before) as f64 / REST.as_nanos() as f64;
    let stopping = Instant::now();
    system.stop()?;
    let stopped = stopping.elapsed();
    let restarted = super::restart(&mut system, TOPICS[1], partitions - 1)?;
    Ok(vec![
        Figure { name: "s to make them", value: made.as_secs_f64() },
        Figure { name: "MiB with them", value: resident },
        Figure { name: "open files", value: files },
        Figure { name: "CPU % at rest", value: at_rest * 100.0 },
        Figure { name: "s to stop", value: stopped.as_secs_f64() },
        Figure { name: "s to restart", value: restarted.as_secs_f64() },
    ])
}
