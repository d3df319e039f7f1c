//! Ten thousand partitions with a record in each: how long they take to be filled, stopped, and to come
//! back after a clean stop and after a kill.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::sample::Figure;
use crate::load::batch::BatchShape;
use crate::load::system::{Kind, Row, Start, System};
use crate::load::wire::{Connection, produce_frame};

const TOPICS: [&str; 2] = ["full-a", "full-b"];
const PARTITIONS: i32 = 5_000;
const IN_FLIGHT: i32 = 5;

pub(super) fn run(row: &Row, scale: f64) -> Result<Vec<Figure>> {
    let partitions = ((f64::from(PARTITIONS) * scale) as i32).max(1);
    let mut system = System::start(row, &Start::default())?;
    for topic in TOPICS {
        Connection::open(system.port())?.create_topic(topic, partitions, &[])?;
        super::first_ack(system.port(), topic, partitions - 1)?;
    }
    let filling = Instant::now();
    fill_all(&system, partitions)?;
    let filled = filling.elapsed();
    let stopping = Instant::now();
    system.stop()?;
    let stopped = stopping.elapsed();
    let after_stop = super::restart(&mut system, TOPICS[1], partitions - 1)?;
    fill_all(&system, partitions)?;
    system.kill()?;
    thread::sleep(Duration::from_millis(200));
    let after_kill = super::restart(&mut system, TOPICS[1], partitions - 1)?;
    Ok(vec![
        Figure { name: "s to restart", value: after_stop.as_secs_f64() },
        Figure { name: "s after kill -9", value: after_kill.as_secs_f64() },
        Figure { name: "s to stop", value: stopped.as_secs_f64() },
        Figure { name: "s to fill", value: filled.as_secs_f64() },
    ])
}

/// A record for each partition.
fn fill_all(system: &System, partitions: i32) -> Result<()> {
    TOPICS.iter().try_for_each(|topic| fill(system, topic, partitions))
}

fn fill(system: &System, topic: &str, partitions: i32) -> Result<()> {
    let batch = BatchShape::plain(1, 100).build()?;
    let mut connection = Connection::open(system.port())?;
    let mut refused = Vec::new();
    for sent in 0..partitions + IN_FLIGHT {
        if sent < partitions {
            connection.send(&produce_frame(topic, sent, &batch)?)?;
        }
        // Apache Kafka names leaders before they lead.
        let answered = sent - IN_FLIGHT;
        if answered >= 0 && connection.receive_produced(topic).is_err() {
            refused.push(answered);
        }
    }
    let may_refuse = system.kind() == Kind::Kafka;
    ensure!(refused.is_empty() || may_refuse, "{} produces were refused", refused.len());
    for partition in refused {
        connection.produce_when_ready(topic, &produce_frame(topic, partition, &batch)?)?;
    }
    Ok(())
}
