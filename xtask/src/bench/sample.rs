//! One workload on one system in one round, as figures with names.

use std::fmt;
use std::time::Duration;

use crate::load::system::Row;
use crate::load::usage::Usage;

/// A named number; the unit is in the name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub name: &'static str,
    pub value: f64,
}

/// What a cost is told for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Per {
    Gigabyte,
    MillionRecords,
    Request,
}

/// What a load moved, and what that took.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    pub usage: Usage,
    pub requests: usize,
    pub records: usize,
    pub bytes: u64,
    pub latencies: Vec<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub workload: &'static str,
    pub row: Row,
    pub round: usize,
    /// The first is the one that is compared; less is better.
    pub figures: Vec<Figure>,
    /// Sorted.
    pub latencies: Vec<Duration>,
}

impl Moved {
    /// The figures of a load; `per` says which cost comes first.
    #[must_use]
    pub(super) fn figures(&mut self, per: Per) -> Vec<Figure> {
        let cpu = self.usage.cpu_seconds();
        let (name, count) = match per {
            Per::Gigabyte => ("CPU-s/GB", self.bytes as f64 / 1e9),
            Per::MillionRecords => ("CPU-s/M records", self.records as f64 / 1e6),
            Per::Request => ("CPU µs/request", self.requests as f64 / 1e6),
        };
        let mut figures = vec![
            Figure { name, value: cpu / count },
            Figure { name: "user %", value: 100.0 * self.usage.user_seconds / cpu },
            Figure { name: "machine / broker", value: self.usage.machine_seconds / cpu },
            Figure { name: "MB/s", value: self.bytes as f64 / 1e6 / self.usage.elapsed_seconds },
        ];
        self.latencies.sort_unstable();
        figures.extend(latency_figures(&self.latencies));
        figures
    }
}

/// Of sorted latencies.
#[must_use]
pub(super) fn latency_figures(latencies: &[Duration]) -> Vec<Figure> {
    let Some(last) = latencies.len().checked_sub(1) else { return Vec::new() };
    [("p50 µs", 0.5), ("p99 µs", 0.99), ("p99.9 µs", 0.999), ("max µs", 1.0)]
        .into_iter()
        .map(|(name, part)| {
            let latency = latencies[(last as f64 * part) as usize];
            Figure { name, value: latency.as_secs_f64() * 1e6 }
        })
        .collect()
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:12} {:6}", self.workload, self.row.name)?;
        self.figures
            .iter()
            .try_for_each(|figure| write!(f, "  {} {:.3}", figure.name, figure.value))
    }
}
