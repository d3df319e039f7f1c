//! The machine that a run was on: what it is, and how late it wakes who sleeps.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::stage::root;

/// How long it is watched how late a sleeper wakes.
const WATCHED: Duration = Duration::from_secs(5);
const SLEEP: Duration = Duration::from_millis(1);

pub(super) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unnamed processor", |(_, name)| name.trim());
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kib = |name: &str| -> u64 {
        let line = memory.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let kernel = read("/proc/sys/kernel/osrelease");
    let commit =
        Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root()).output();
    let commit = commit.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    format!(
        "{count} virtual CPUs ({model}), {} GiB, {} GiB of it cached files, Linux {}, Strom at {commit}, \
         Apache Kafka 4.3.1 with a heap of 1 GiB. Who slept for 1 ms while no broker ran was late by \
         {}: latencies below contain that",
        kib("MemTotal:") >> 20,
        kib("Cached:") >> 20,
        kernel.trim(),
        lateness()
    )
}

fn lateness() -> String {
    let begin = Instant::now();
    let mut late_us = Vec::new();
    while begin.elapsed() < WATCHED {
        let asleep = Instant::now();
        std::thread::sleep(SLEEP);
        late_us.push(asleep.elapsed().saturating_sub(SLEEP).as_micros());
    }
    late_us.sort_unstable();
    let at = |part: f64| {
        let index = (late_us.len() as f64 * part) as usize;
        late_us.get(index).or(late_us.last()).copied().unwrap_or_default()
    };
    format!(
        "{} µs (p50), {} µs (p99), {} µs (p99.9), {} µs (max)",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}
