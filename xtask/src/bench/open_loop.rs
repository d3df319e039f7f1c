//! Open loop: produces leave when they are due, whatever the answers do, and a latency counts from
//! the moment a request was due. A broker that stalls is not asked less for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::sample::Moved;
use crate::load::batch::BatchShape;
use crate::load::system::System;
use crate::load::target::Target;
use crate::load::usage::Meter;
use crate::load::wire::Connection;

/// Nearer than this the sender does not sleep: sleeping takes longer than it is asked to.
const SPIN: Duration = Duration::from_micros(80);

#[derive(Clone, Copy, Debug)]
pub(super) struct OpenLoop {
    pub requests_per_second: u32,
    pub seconds: f64,
    /// Megabytes a second of large batches beside the small ones.
    pub bulk_mb_per_second: u32,
}

impl OpenLoop {
    const SHAPE: BatchShape = BatchShape::plain(1, 100);
    const BULK: BatchShape = BatchShape::plain(1000, 1010);

    /// # Errors
    /// When a request fails.
    pub(super) fn run(&self, system: &System, topic: &str, scale: f64) -> Result<Moved> {
        let small = Target::prepare(system, topic, &Self::SHAPE, &[])?;
        let bulk = Target::prepare(system, &format!("{topic}-bulk"), &Self::BULK, &[])?;
        let is_over = Arc::new(AtomicBool::new(false));
        let requests = (f64::from(self.requests_per_second) * self.seconds * scale) as usize;
        let meter = Meter::start(system.pid()?)?;
        let (latencies, bulk_bytes) = thread::scope(|scope| -> Result<_> {
            let over = Arc::clone(&is_over);
            let port = system.port();
            let beside = scope.spawn({
                let bulk = &bulk;
                move || self.flow(port, bulk, &over)
            });
            let paced = Pace { rate: self.requests_per_second, requests };
            let latencies = paced.run(system, &small);
            is_over.store(true, Ordering::Relaxed);
            let bytes = beside.join().map_err(|_| anyhow!("the bulk thread has ended"))??;
            Ok((latencies?, bytes))
        })?;
        let usage = meter.stop()?;
        small.remove(system)?;
        bulk.remove(system)?;
        let bytes = bulk_bytes + (small.frames[0].len() * requests) as u64;
        Ok(Moved { usage, requests, records: requests, bytes, latencies })
    }

    /// Sends large batches at their rate until told to end.
    fn flow(&self, port: u16, target: &Target, is_over: &AtomicBool) -> Result<u64> {
        let mut connection = Connection::open(port)?;
        let mut bytes = 0;
        if self.bulk_mb_per_second == 0 {
            return Ok(0);
        }
        let started = Instant::now();
        for frame in target.frames.iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let rate = f64::from(self.bulk_mb_per_second) * 1e6;
            let due = Duration::from_secs_f64(bytes as f64 / rate);
            thread::sleep(due.saturating_sub(started.elapsed()));
            connection.send(frame)?;
            connection.receive_produced(&target.topic)?;
            bytes += frame.len() as u64;
        }
        Ok(bytes)
    }
}

/// Requests at even distances.
pub(super) struct Pace {
    pub rate: u32,
    pub requests: usize,
}

impl Pace {
    /// The latencies of all requests, each from when it was due to when its answer was read.
    ///
    /// # Errors
    /// When a request fails.
    pub(super) fn run(&self, system: &System, target: &Target) -> Result<Vec<Duration>> {
        let mut sender = Connection::open(system.port())?;
        let mut receiver = sender.second_handle()?;
        let started = Instant::now() + Duration::from_millis(20);
        let due = |index: usize| started + Duration::from_secs(1) * index as u32 / self.rate;
        thread::scope(|scope| {
            let sending = scope.spawn(move || -> Result<()> {
                for (index, frame) in target.frames.iter().cycle().take(self.requests).enumerate() {
                    let wait = due(index).saturating_duration_since(Instant::now());
                    thread::sleep(wait.saturating_sub(SPIN));
                    while Instant::now() < due(index) {
                        std::hint::spin_loop();
                    }
                    sender.send(frame)?;
                }
                Ok(())
            });
            let mut latencies = Vec::with_capacity(self.requests);
            for index in 0..self.requests {
                receiver.receive_produced(&target.topic)?;
                latencies.push(Instant::now().saturating_duration_since(due(index)));
            }
            sending.join().map_err(|_| anyhow!("the sending thread has ended"))??;
            Ok(latencies)
        })
    }
}
