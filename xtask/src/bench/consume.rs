//! Consumers that read everything of a topic: at its tail while it is written, or what was written
//! before, from the page cache or from the disk.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::fs::Advice;

use super::open_loop::Pace;
use super::sample::{Figure, Moved, Per, latency_figures};
use crate::load::batch::BatchShape;
use crate::load::fetch::Reading;
use crate::load::system::System;
use crate::load::target::Target;
use crate::load::usage::Meter;
use crate::load::wire::Connection;

const IN_FLIGHT: usize = 5;

/// Where the records are when consumers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere yet: a producer writes them meanwhile.
    Tail,
    /// Written before, in the page cache.
    Cached,
    /// Written before, and on the disk only; small produces go on beside the reading.
    Cold,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Consume {
    pub fan_out: usize,
    pub place: Place,
    pub shape: BatchShape,
    pub batches: usize,
}

impl Consume {
    /// The cost of a delivered gigabyte; the producer's part is in it at the tail.
    ///
    /// # Errors
    /// When a request fails.
    pub(super) fn run(
        &self,
        system: &System,
        topic: &str,
        scale: f64,
    ) -> Result<(Moved, Vec<Figure>)> {
        let target = Target::prepare(system, topic, &self.shape, &[])?;
        let count = (self.batches as f64 * scale) as usize;
        if self.place != Place::Tail {
            write(system, &target, count)?;
        }
        let probes = match self.place {
            Place::Cold => {
                drop_page_cache(system)?;
                Some(Target::prepare(
                    system,
                    &format!("{topic}-probe"),
                    &BatchShape::plain(1, 100),
                    &[],
                )?)
            }
            _ => None,
        };
        let records = (count + target.frames.len()) * self.shape.records;
        let meter = Meter::start(system.pid()?)?;
        let (bytes, latencies) = thread::scope(|scope| -> Result<_> {
            let readers: Vec<_> = (0..self.fan_out)
                .map(|_| scope.spawn(|| read_all(system.port(), topic, records)))
                .collect();
            let mut latencies = Vec::new();
            if self.place == Place::Tail {
                write(system, &target, count)?;
            }
            if let Some(probes) = &probes {
                latencies = Pace { rate: 200, requests: 400 }.run(system, probes)?;
            }
            let mut bytes = 0;
            for reader in readers {
                bytes += reader.join().map_err(|_| anyhow!("a consumer's thread has ended"))??;
            }
            Ok((bytes, latencies))
        })?;
        let usage = meter.stop()?;
        target.remove(system)?;
        let mut more = Vec::new();
        if let Some(probes) = probes {
            probes.remove(system)?;
            let mut sorted = latencies;
            sorted.sort_unstable();
            more = latency_figures(&sorted);
        }
        let records = records * self.fan_out;
        Ok((Moved { usage, requests: 0, records, bytes, latencies: Vec::new() }, more))
    }

    pub(super) const PER: Per = Per::Gigabyte;
}

fn read_all(port: u16, topic: &str, records: usize) -> Result<u64> {
    Reading::new(topic).read(&mut Connection::open(port)?, records)
}

/// Writes so many batches round about the partitions.
fn write(system: &System, target: &Target, count: usize) -> Result<()> {
    let mut connection = Connection::open(system.port())?;
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < IN_FLIGHT {
            connection.send(&target.frames[sent % target.frames.len()])?;
            sent += 1;
        }
        connection.receive_produced(&target.topic)?;
        answered += 1;
    }
    Ok(())
}

/// Makes the kernel forget the pages of all segments, after they are on the disk.
fn drop_page_cache(system: &System) -> Result<()> {
    rustix::fs::sync();
    forget_segments(system.folder()).context("dropping the page cache")
}

/// Folders of topics before this one are removed meanwhile: what is gone has no pages.
fn forget_segments(folder: &Path) -> io::Result<()> {
    for entry in present(fs::read_dir(folder))?.into_iter().flatten() {
        let entry = entry?;
        let (path, Some(kind)) = (entry.path(), present(entry.file_type())?) else { continue };
        if kind.is_dir() {
            forget_segments(&path)?;
        } else if path.extension().is_some_and(|it| it == "log")
            && let Some(file) = present(File::open(path))?
        {
            rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
