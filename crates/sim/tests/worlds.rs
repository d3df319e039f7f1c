//! Worlds under seeds: every acknowledged record is read back, whatever happened on the way.

use strom_sim::run_seed;

const SEEDS: u64 = 60;

#[test]
fn every_acknowledged_record_is_read_back() {
    let mut failures = Vec::new();
    let (mut records, mut commits, mut deleted, mut starts) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        match run_seed(seed) {
            Ok(report) => {
                records += report.acknowledged_records;
                commits += report.commits;
                deleted += report.deleted_topics;
                starts += report.starts;
            }
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    println!("{records} records, {commits} commits, {deleted} deleted topics, {starts} starts");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(records > SEEDS * 10 && starts > SEEDS * 2);
    assert!(commits > SEEDS && deleted > SEEDS / 10);
}

#[test]
fn a_seed_runs_twice_the_same_way_byte_for_byte() {
    for seed in (0..SEEDS).step_by(7) {
        let runs = [run_seed(seed), run_seed(seed)];
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
}
