//! More producers than the node can serve, with little memory, and a small one beside them that wants
//! its answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use rustix::process::setpriority_process;

use crate::bench::open_loop::Pace;
use crate::bench::sample::{Figure, latency_figures};
use crate::load::batch::BatchShape;
use crate::load::system::{Row, Start, System};
use crate::load::target::Target;
use crate::load::usage::memory_mib;
use crate::load::wire::Connection;

const PRODUCERS: usize = 32;
const IN_FLIGHT: usize = 8;
/// The overload lasts so long before it is looked at.
const UNDER_WAY: Duration = Duration::from_secs(1);
const PROBES: Pace = Pace { rate: 100, requests: 600 };

pub(super) fn run(row: &Row, scale: f64) -> Result<Vec<Figure>> {
    let mut start = Start { heap: "256M", ..Start::default() };
    // What requests may hold of the memory; Kafka wants it not below the largest request.
    start.keys.push(("socket.request.max.bytes", (8 << 20).to_string()));
    start.keys.push(("queued.max.request.bytes", (64 << 20).to_string()));
    let system = System::start(row, &start)?;
    let probes = Target::prepare(&system, "probe", &BatchShape::plain(1, 100), &[])?;
    let flood = Target::prepare(&system, "flood", &BatchShape::plain(900, 1010), &[])?;
    let pace = Pace { requests: (PROBES.requests as f64 * scale) as usize, ..PROBES };
    let mut quiet = pace.run(&system, &probes)?;
    let is_over = AtomicBool::new(false);
    let (mut loaded, acknowledged) = thread::scope(|scope| -> Result<_> {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| scope.spawn(|| produce_until(system.port(), &flood, &is_over)))
            .collect();
        thread::sleep(UNDER_WAY);
        let latencies = pace.run(&system, &probes);
        is_over.store(true, Ordering::Relaxed);
        let mut acknowledged = 0;
        for producer in producers {
            acknowledged += producer.join().map_err(|_| anyhow!("a producer has ended"))??;
        }
        Ok((latencies?, acknowledged))
    })?;
    quiet.sort_unstable();
    loaded.sort_unstable();
    let mut figures = vec![
        Figure { name: "MiB at most", value: memory_mib(system.pid()?, "VmHWM")? },
        Figure { name: "MB acknowledged", value: acknowledged as f64 / 1e6 },
    ];
    figures.extend(latency_figures(&loaded));
    let quiet_p99 = latency_figures(&quiet).into_iter().find(|figure| figure.name == "p99 µs");
    figures.extend(quiet_p99.map(|figure| Figure { name: "p99 µs before", ..figure }));
    Ok(figures)
}

/// Keeps requests in flight until told to end, then reads what is still to come.
fn produce_until(port: u16, target: &Target, is_over: &AtomicBool) -> Result<u64> {
    // Producers are elsewhere as a rule: these take what the broker and the small one leave of the processors.
    // It is the thread's priority, as Linux has it.
    setpriority_process(None, 19)?;
    let mut connection = Connection::open(port)?;
    let (mut waiting, mut bytes) = (0, 0);
    for frame in target.frames.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        connection.send(frame)?;
        waiting += 1;
        if waiting == IN_FLIGHT {
            connection.receive_produced(&target.topic)?;
            waiting -= 1;
            bytes += frame.len() as u64;
        }
    }
    for _ in 0..waiting {
        connection.receive_produced(&target.topic)?;
    }
    Ok(bytes)
}
