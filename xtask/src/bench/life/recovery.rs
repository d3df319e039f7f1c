//! kill -9 in the middle of a load over many partitions, and the restart after it.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::sample::Figure;
use crate::load::batch::BatchShape;
use crate::load::system::{Row, Start, System};
use crate::load::usage::memory_mib;
use crate::load::wire::{Connection, produce_frame};

const TOPIC: &str = "crash";
const PARTITIONS: i32 = 1_000;
const BATCHES: usize = 155_000;
const IN_FLIGHT: usize = 5;

pub(super) fn run(row: &Row, scale: f64) -> Result<Vec<Figure>> {
    let mut system = System::start(row, &Start::default())?;
    let mut connection = Connection::open(system.port())?;
    connection.create_topic(TOPIC, PARTITIONS, &[])?;
    let batch = BatchShape::plain(63, 1010).build()?;
    let frames = (0..PARTITIONS)
        .map(|partition| produce_frame(TOPIC, partition, &batch))
        .collect::<Result<Vec<_>>>()?;
    for frame in &frames {
        connection.produce_when_ready(TOPIC, frame)?;
    }
    let batches = (BATCHES as f64 * scale) as usize;
    let mut answered = 0;
    for sent in 0..batches {
        connection.send(&frames[sent % frames.len()])?;
        if sent >= IN_FLIGHT {
            connection.receive_produced(TOPIC)?;
            answered += 1;
        }
    }
    ensure!(answered + IN_FLIGHT >= batches, "{answered} of {batches} were answered");
    system.kill()?;
    thread::sleep(Duration::from_millis(200));
    let restarted = super::restart(&mut system, TOPIC, PARTITIONS - 1)?;
    Ok(vec![
        Figure { name: "s to first ack", value: restarted.as_secs_f64() },
        Figure { name: "GB written", value: (batches * batch.len()) as f64 / 1e9 },
        Figure { name: "MiB at most", value: memory_mib(system.pid()?, "VmHWM")? },
    ])
}
