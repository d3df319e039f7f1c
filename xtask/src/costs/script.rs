//! The fixed scripts: requests one after the other, so that two runs are alike.

use anyhow::Result;
use strom_protocol::ApiKey;
use strom_protocol::heartbeat_request::HeartbeatRequest;

use crate::load::batch::BatchShape;
use crate::load::fetch::Reading;
use crate::load::system::System;
use crate::load::target::Target;
use crate::load::wire::{Connection, frame};

pub(super) struct Script {
    pub name: &'static str,
    pub warm_up: usize,
    pub requests: usize,
    pub run: fn(&System, usize) -> Result<()>,
}

pub(super) const SCRIPTS: [Script; 5] = [
    Script { name: "produce-single", warm_up: 500, requests: 3000, run: produce_single },
    Script { name: "produce-pipelined", warm_up: 500, requests: 3000, run: produce_pipelined },
    Script { name: "produce-64-kib", warm_up: 200, requests: 1000, run: produce_64_kib },
    Script { name: "produce-fetch", warm_up: 300, requests: 2000, run: produce_and_fetch },
    Script { name: "heartbeat", warm_up: 500, requests: 5000, run: heartbeat },
];

const TOPIC: &str = "costs";

fn produce(system: &System, requests: usize, in_flight: usize, shape: BatchShape) -> Result<()> {
    let target = Target::prepare(system, TOPIC, &shape, &[])?;
    let mut connection = Connection::open(system.port())?;
    for round in 0..requests / in_flight {
        // In one piece: how many requests the node finds at once must not depend on the clock.
        let frames: Vec<u8> = (0..in_flight)
            .flat_map(|index| &target.frames[(round + index) % target.frames.len()])
            .copied()
            .collect();
        connection.send(&frames)?;
        for _ in 0..in_flight {
            connection.receive_produced(TOPIC)?;
        }
    }
    Ok(())
}

fn produce_single(system: &System, requests: usize) -> Result<()> {
    produce(system, requests, 1, BatchShape::plain(1, 100))
}

fn produce_pipelined(system: &System, requests: usize) -> Result<()> {
    produce(system, requests, 50, BatchShape::plain(1, 100))
}

fn produce_64_kib(system: &System, requests: usize) -> Result<()> {
    produce(system, requests, 1, BatchShape::plain(63, 1010))
}

/// Each record is read by a consumer before the next is sent; a request is one of both.
fn produce_and_fetch(system: &System, requests: usize) -> Result<()> {
    let target = Target::prepare(system, TOPIC, &BatchShape::plain(1, 100), &[])?;
    let mut producer = Connection::open(system.port())?;
    let mut consumer = Connection::open(system.port())?;
    let mut reading = Reading::new(TOPIC);
    for index in 0..requests {
        producer.send(&target.frames[index % target.frames.len()])?;
        producer.receive_produced(TOPIC)?;
        reading.read(&mut consumer, target.frames.len() + index + 1)?;
    }
    Ok(())
}

/// The least there is to a request: one that is refused because nobody knows the member.
fn heartbeat(system: &System, requests: usize) -> Result<()> {
    let request = HeartbeatRequest {
        group_id: "nobody",
        generation_id: 1,
        member_id: "nobody",
        ..Default::default()
    };
    let frame = frame(ApiKey::Heartbeat, 4, &request)?;
    let mut connection = Connection::open(system.port())?;
    for _ in 0..requests {
        connection.send(&frame)?;
        connection.receive()?;
    }
    Ok(())
}
