//! Connections that said who they are and then nothing.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use strom_protocol::ApiKey;
use strom_protocol::api_versions_request::ApiVersionsRequest;

use crate::bench::sample::Figure;
use crate::load::system::{Row, Start, System};
use crate::load::usage::{memory_mib, nanoseconds_run};
use crate::load::wire::{Connection, frame};

const CONNECTIONS: usize = 5_000;
const REST: Duration = Duration::from_secs(10);

pub(super) fn run(row: &Row, scale: f64) -> Result<Vec<Figure>> {
    let count = (CONNECTIONS as f64 * scale) as usize;
    let system = System::start(row, &Start::default())?;
    let pid = system.pid()?;
    thread::sleep(Duration::from_secs(2));
    let before = memory_mib(pid, "VmRSS")?;
    let hello = frame(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default())?;
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(system.port())?;
        connection.send(&hello)?;
        connection.receive()?;
        connections.push(connection);
    }
    thread::sleep(Duration::from_secs(1));
    let grown = memory_mib(pid, "VmRSS")? - before;
    let run_before = nanoseconds_run(pid)?;
    thread::sleep(REST);
    let at_rest = (nanoseconds_run(pid)? - run_before) as f64 / REST.as_nanos() as f64;
    Ok(vec![
        Figure { name: "KiB a connection", value: grown * 1024.0 / count as f64 },
        Figure { name: "CPU % at rest", value: at_rest * 100.0 },
    ])
}
