//! The figures side by side: medians over the rounds, and ratios paired by round.

use std::fmt;

use super::load::Done;
use super::system::Kind;

/// One workload on one system in one round.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub kind: Kind,
    pub workload: &'static str,
    pub cpu_seconds: f64,
    pub done: Done,
    pub resident_mib: f64,
}

impl Sample {
    fn cpu_per_gb(&self) -> f64 {
        self.cpu_seconds / (self.done.bytes as f64 / 1e9)
    }

    fn cpu_us_per_request(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.done.requests as f64
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6} {:10} {:6.3} CPU-s/GB {:7.1} us/request, {:5.0} MB/s, p50 {:?} p99 {:?}, {:.0} MiB",
            self.kind.name(),
            self.workload,
            self.cpu_per_gb(),
            self.cpu_us_per_request(),
            self.done.bytes as f64 / 1e6 / self.done.elapsed.as_secs_f64(),
            self.done.p50,
            self.done.p99,
            self.resident_mib
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A Markdown table; ratios say how many times the others' cost is Strom's.
#[must_use]
pub(super) fn table(samples: &[Sample]) -> String {
    let mut text = String::from(
        "| workload | system | CPU-s/GB | CPU us/request | p50 us | p99 us | cost / Strom's (min–max) |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut workloads: Vec<&str> = samples.iter().map(|sample| sample.workload).collect();
    workloads.dedup();
    workloads.sort_unstable();
    workloads.dedup();
    for workload in workloads {
        let of = |kind: Kind| -> Vec<&Sample> {
            samples.iter().filter(|s| s.workload == workload && s.kind == kind).collect()
        };
        let strom = of(Kind::Strom);
        for kind in Kind::ALL {
            let own = of(kind);
            if own.is_empty() {
                continue;
            }
            let over =
                |figure: &dyn Fn(&Sample) -> f64| median(own.iter().map(|s| figure(s)).collect());
            let mut ratios: Vec<f64> = own
                .iter()
                .zip(&strom)
                .map(|(other, strom)| other.cpu_seconds / strom.cpu_seconds)
                .collect();
            ratios.sort_by(f64::total_cmp);
            text.push_str(&format!(
                "| {workload} | {} | {:.3} | {:.1} | {:.0} | {:.0} | {:.2} ({:.2}–{:.2}) |\n",
                kind.name(),
                over(&Sample::cpu_per_gb),
                over(&Sample::cpu_us_per_request),
                over(&|s: &Sample| s.done.p50.as_secs_f64() * 1e6),
                over(&|s: &Sample| s.done.p99.as_secs_f64() * 1e6),
                median(ratios.clone()),
                ratios.first().copied().unwrap_or(f64::NAN),
                ratios.last().copied().unwrap_or(f64::NAN),
            ));
        }
    }
    text
}
