//! Every crash point of every scripted scenario of a log.

use strom_sim::crash_points::{Pace, SCENARIOS, enumerate};

fn enumerate_all(pace: Pace) {
    let mut failures = Vec::new();
    for scenario in SCENARIOS {
        match enumerate(scenario, pace) {
            Ok(report) => {
                assert!(report.operations > 10, "{}: {report:?}", scenario.name);
                println!("{}: {report:?}", scenario.name);
            }
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_crash_point_keeps_what_was_promised() {
    enumerate_all(Pace::AtOnce);
}

#[test]
fn every_crash_point_keeps_what_was_promised_when_syncs_are_late() {
    enumerate_all(Pace::Late);
}
