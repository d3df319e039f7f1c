//! Every crash point of scripted scenarios of one log: after each operation of its disk the power
//! fails or the process dies, the log is recovered, and what it holds is compared with what it
//! promised.
//!
//! The script's disk obeys in order, at once or as late as it may ([`Pace`]); the rest of the disorder
//! comes from the crash, which keeps of the unsynced what the generator wants.

mod check;
mod history;
mod scenario;
mod stage;

use strom_base::Random;

pub use scenario::{SCENARIOS, Scenario};
pub use stage::Pace;
use stage::Stage;

/// Fates of the unsynced bytes tried at each crash point.
const FATES: u64 = 10;
/// From this one on sectors stand where others belong, too.
const FATES_ASTRAY: u64 = 8;

/// What ends a run of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The machine stops; the seed decides what survives of what was not synced.
    PowerFails { seed: u64 },
    /// The process stops; everything written survives.
    ProcessDies,
}

/// One point of one scenario, and what was wrong after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{scenario} ({pace:?}), {ending:?} before disk operation {operation}: {reason}")]
pub struct CrashFailure {
    pub scenario: &'static str,
    pub pace: Pace,
    pub operation: u64,
    pub ending: Ending,
    pub reason: String,
}

/// What an enumeration went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// Disk operations of the scenario: as many crash points, and one after the last.
    pub operations: u64,
    /// Recoveries checked.
    pub recoveries: u64,
}

/// Runs the scenario to each of its crash points, with several fates for the unsynced.
///
/// # Errors
/// The first crash point after which the log breaks a promise.
pub fn enumerate(scenario: &Scenario, pace: Pace) -> Result<CrashReport, CrashFailure> {
    let mut whole = Stage::new(scenario, pace);
    whole.run(scenario);
    let operations = whole.engine.disk.operations();
    let mut report = CrashReport { operations, recoveries: 0 };
    for operation in 0..=operations {
        run_to(scenario, pace, operation, Ending::ProcessDies)?;
        report.recoveries += 1;
        for fate in 0..FATES {
            let seed = operation * FATES + fate;
            run_to(scenario, pace, operation, Ending::PowerFails { seed })?;
            report.recoveries += 1;
        }
    }
    Ok(report)
}

/// Runs the scenario up to one crash point and checks what comes after.
///
/// # Errors
/// What the log did not keep.
pub fn run_to(
    scenario: &Scenario,
    pace: Pace,
    operation: u64,
    ending: Ending,
) -> Result<(), CrashFailure> {
    let mut stage = Stage::new(scenario, pace);
    stage.engine.disk.faults.crash_at = Some(operation);
    stage.run(scenario);
    let survives_written = match ending {
        Ending::PowerFails { seed } => {
            let is_astray = seed % FATES >= FATES_ASTRAY;
            stage.engine.disk.faults.misdirecting = is_astray.then_some(seed);
            stage.engine.disk.crash(&mut Random::new(seed));
            false
        }
        Ending::ProcessDies => {
            stage.engine.disk.kill();
            true
        }
    };
    check::recovered(stage, survives_written).map_err(|reason| CrashFailure {
        scenario: scenario.name,
        pace,
        operation,
        ending,
        reason,
    })
}
