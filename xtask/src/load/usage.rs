//! What a process and the machine have used so far.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

/// The clock of `/proc` ticks in 10 ms.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time since the start of the process, in seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    user: f64,
    system: f64,
}

impl Times {
    fn of(process: &str) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let fields = stat.rsplit_once(')').context("a stat line")?.1;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> {
            Ok(fields.get(index).context("a stat field")?.parse::<f64>()? / TICKS_PER_SECOND)
        };
        Ok(Self { user: ticks(11)?, system: ticks(12)? })
    }

    fn total(self) -> f64 {
        self.user + self.system
    }
}

/// Seconds that the processors of the machine were busy: user, nice, system, irq, softirq.
fn machine_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("the line of all processors")?;
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|index| fields.get(*index)).sum();
    Ok(busy / TICKS_PER_SECOND)
}

/// Reads the clocks at the beginning of what is measured.
pub(crate) struct Meter {
    pid: u32,
    broker: Times,
    driver: f64,
    machine: f64,
    started: Instant,
}

/// What was used between the beginning and the end of a measured part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub user_seconds: f64,
    pub system_seconds: f64,
    /// Of the whole machine without this program: what the kernel does for the broker on threads of
    /// its own is in it, and whatever else runs on the machine.
    pub machine_seconds: f64,
    pub elapsed_seconds: f64,
}

impl Usage {
    #[must_use]
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

impl Meter {
    /// # Errors
    /// When the process has gone.
    pub(crate) fn start(pid: u32) -> Result<Self> {
        Ok(Self {
            pid,
            broker: Times::of(&pid.to_string())?,
            driver: Times::of("self")?.total(),
            machine: machine_seconds()?,
            started: Instant::now(),
        })
    }

    /// # Errors
    /// When the process has gone.
    pub(crate) fn stop(self) -> Result<Usage> {
        let elapsed_seconds = self.started.elapsed().as_secs_f64();
        let broker = Times::of(&self.pid.to_string())?;
        let machine = machine_seconds()? - self.machine;
        let driver = Times::of("self")?.total() - self.driver;
        Ok(Usage {
            user_seconds: broker.user - self.broker.user,
            system_seconds: broker.system - self.broker.system,
            machine_seconds: (machine - driver).max(0.0),
            elapsed_seconds,
        })
    }
}

/// Nanoseconds that all threads of a process have run, finer than the ticks of `stat`.
///
/// # Errors
/// When the process has gone.
pub(crate) fn nanoseconds_run(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(sum)
}

/// A line of `/proc/PID/status` in MiB: `VmRSS` is what is resident, `VmHWM` the most that ever was.
///
/// # Errors
/// When the process has gone.
pub(crate) fn memory_mib(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib: f64 =
        line.and_then(|line| line.split_whitespace().next()).context("a memory line")?.parse()?;
    Ok(kib / 1024.0)
}

/// How many files and sockets a process has open.
///
/// # Errors
/// When the process has gone.
pub(crate) fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}
