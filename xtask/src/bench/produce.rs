//! Closed loops of produces: so many connections, so many requests in flight on each.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result};

use super::sample::Moved;
use crate::load::batch::BatchShape;
use crate::load::system::System;
use crate::load::target::Target;
use crate::load::usage::Meter;
use crate::load::wire::Connection;

#[derive(Clone, Copy, Debug)]
pub(super) struct Produce {
    pub shape: BatchShape,
    pub requests: usize,
    pub connections: usize,
    pub in_flight: usize,
    /// Each batch is on the disk before its answer leaves.
    pub is_synced: bool,
    pub partitions: i32,
}

impl Produce {
    /// Sends `scale` times the requests to a topic of its own.
    ///
    /// # Errors
    /// When a request fails.
    pub(super) fn run(&self, system: &System, topic: &str, scale: f64) -> Result<Moved> {
        let configs: &[_] = if self.is_synced { &[("flush.messages", "1")] } else { &[] };
        let target = Target::prepare_many(system, topic, &self.shape, (self.partitions, configs))?;
        let mut lanes =
            (0..self.connections).map(|_| Lane::open(system.port())).collect::<Result<Vec<_>>>()?;
        // Part of the load beforehand: files grow and connections are known.
        self.drive(&mut lanes, &target, scale / 8.0)?;
        lanes.iter_mut().for_each(|lane| lane.latencies.clear());
        let meter = Meter::start(system.pid()?)?;
        let (requests, bytes) = self.drive(&mut lanes, &target, scale)?;
        let usage = meter.stop()?;
        target.remove(system)?;
        let latencies = lanes.into_iter().flat_map(|lane| lane.latencies).collect();
        Ok(Moved { usage, requests, records: requests * self.shape.records, bytes, latencies })
    }

    /// Fills every connection, takes one answer from each, and again.
    fn drive(&self, lanes: &mut [Lane], target: &Target, scale: f64) -> Result<(usize, u64)> {
        let requests = ((self.requests as f64 * scale) as usize).max(1);
        let (mut sent, mut answered, mut bytes) = (0, 0, 0);
        while answered < requests {
            for lane in lanes.iter_mut() {
                while sent < requests && lane.sent_at.len() < self.in_flight {
                    let frame = &target.frames[sent % target.frames.len()];
                    lane.connection.send(frame)?;
                    lane.sent_at.push_back(Instant::now());
                    bytes += frame.len() as u64;
                    sent += 1;
                }
            }
            for lane in lanes.iter_mut().filter(|lane| !lane.sent_at.is_empty()) {
                lane.connection.receive_produced(&target.topic)?;
                let at = lane.sent_at.pop_front().context("an answer too many")?;
                lane.latencies.push(at.elapsed());
                answered += 1;
            }
        }
        Ok((requests, bytes))
    }
}

/// A connection with its requests in flight.
struct Lane {
    connection: Connection,
    sent_at: VecDeque<Instant>,
    latencies: Vec<std::time::Duration>,
}

impl Lane {
    fn open(port: u16) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(port)?,
            sent_at: VecDeque::new(),
            latencies: Vec::new(),
        })
    }
}
