//! How much of a world a second of processor time brings.

use std::time::Duration;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use strom_sim::{Kind, Telling, WorldId, run};

const ROUNDS: u64 = 3;

/// Of this process, user and system.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// # Errors
/// When a world fails.
pub(crate) fn measure() -> Result<()> {
    for round in 0..ROUNDS {
        let busy = WorldId { seed: round, ..WorldId::of_kind(Kind::Busy { batches: 100_000 }) };
        let (census, seconds) = timed(&busy)?;
        let rate = |count: u64| count as f64 / seconds;
        println!(
            "busy: {:.0} messages in a second of processor time ({:.0} requests and answers, {:.0} \
             records)",
            rate(census.messages()),
            rate(census.frames + census.answers),
            rate(census.acknowledged_records)
        );
        let (census, seconds) = timed(&WorldId::of_kind(Kind::Quiet { seconds: 100_000 }))?;
        let simulated = census.simulated_ms as f64 / 1000.0;
        println!("quiet: {:.0} simulated seconds in one of processor time", simulated / seconds);
    }
    Ok(())
}

fn timed(id: &WorldId) -> Result<(strom_sim::Census, f64)> {
    let began = processor_time();
    let report = run(id, Telling::Nothing)?;
    Ok((report.census, (processor_time() - began).as_secs_f64()))
}
