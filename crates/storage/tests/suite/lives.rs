//! Logs with several lives behind them: where a start may begin to read, and that it leaves alone what
//! a stop and a kill have left.

use crate::world::offset_for_timestamp;
use std::sync::Arc;

use strom_storage::config::LogConfig;
use strom_storage::disk::{DiskEffect, FileKind};
use strom_storage::format::index_entry::{IndexEntry, TimeEntry};
use strom_storage::log::{AppendOrigin, TimestampAndOffset};

use crate::batches::{marker, of_producer, plain, sized, timed, transactional};
use crate::memory_disk::MemoryDisk;
use crate::world::{START_MS, World};

fn config() -> LogConfig {
    LogConfig { segment_bytes: 1 << 20, index_interval_bytes: 300, ..LogConfig::default() }
}

/// Times go up and down; `number` counts over all lives.
fn live(world: &mut World<MemoryDisk>, first: i64, count: i64) {
    for number in first..first + count {
        let time = START_MS + number * 10 - (number % 7) * 25;
        world.append(timed(&[time, time + 3]));
    }
}

fn find_all(world: &World<MemoryDisk>) -> Vec<Option<(i64, i64)>> {
    let find = |time: i64| {
        let found = offset_for_timestamp(&world.log, &world.files(), START_MS + time).unwrap();
        found.map(|found: TimestampAndOffset| (found.timestamp - START_MS, found.offset))
    };
    (-200..900).step_by(7).map(find).collect()
}

#[test]
fn entries_that_a_stop_has_left_are_gone_on_with() {
    let mut one = World::new(config());
    live(&mut one, 0, 80);
    let expected = find_all(&one);
    for lengths in [[20, 20, 20, 20], [1, 1, 1, 77], [40, 1, 38, 1]] {
        let mut world = World::new(config());
        let mut first = 0;
        for count in lengths {
            live(&mut world, first, count);
            first += count;
            world = world.stop().0;
        }
        for recovery_point in 0..=world.log.log_end_offset() {
            let mut options = world.options(false);
            options.recovery_point = recovery_point;
            let (mut found, recovered) = World::reopen(world.disk.clone(), options);
            assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (160, 0));
            assert_eq!(found.disk.operations, world.disk.operations, "from {recovery_point}");
            found.log.advance_high_watermark(160);
            assert_eq!(find_all(&found), expected);
        }
    }
}

#[test]
fn an_index_of_aborted_transactions_that_is_true_is_left_alone() {
    let mut world = World::new(config());
    for round in 0..5 {
        world.append(transactional(1, round));
        world.try_append(marker(1, false), AppendOrigin::Coordinator).unwrap();
    }
    let (world, _) = world.stop();
    let name = "orders-0/00000000000000000000.txnindex";
    assert!(!world.disk.files[name].is_empty());
    let mut options = world.options(false);
    options.recovery_point = 0;
    let (found, _) = World::reopen(world.disk.clone(), options.clone());
    assert_eq!(found.disk.operations, world.disk.operations);
    // One that is not true is written anew.
    let mut disk = world.disk.clone();
    disk.files.get_mut(name).unwrap()[9] ^= 1;
    let (found, _) = World::reopen(disk, options);
    assert_eq!(found.disk.files[name], world.disk.files[name]);
}

#[test]
fn an_entry_that_is_not_true_is_not_kept() {
    let mut world = World::new(config());
    live(&mut world, 0, 40);
    let (mut world, _) = world.stop();
    live(&mut world, 40, 40);
    let expected = find_all(&world);
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    for kind in ["index", "timeindex"] {
        let name = format!("orders-0/00000000000000000000.{kind}");
        for at in 0..world.disk.files[&name].len() {
            let mut disk = world.disk.clone();
            disk.files.get_mut(&name).unwrap()[at] ^= 1;
            let mut options = world.options(false);
            options.recovery_point = 0;
            let (mut found, _) = World::reopen(disk, options);
            found.log.advance_high_watermark(160);
            assert_eq!(find_all(&found), expected, "{kind} byte {at}");
        }
    }
}

#[test]
fn records_of_one_time_are_not_read_again_below_the_recovery_point() {
    let mut world = World::new(LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() });
    for _ in 0..50 {
        // All of them say the same time.
        world.append(sized(10_000));
    }
    let (_, recovered) = world.kill();
    assert!(recovered.scanned_bytes < 90_000, "{} bytes", recovered.scanned_bytes);
}

#[test]
fn the_recovery_point_waits_for_the_index_files() {
    let mut world = World::new(config());
    live(&mut world, 0, 40);
    world.log.sync(world.now, &mut world.out);
    world.settle();
    assert_eq!(world.log.synced_offset(), 80);
    assert!(world.log.recovery_point() < 20, "the first entry is in memory only");
    world.log.on_retention_check(world.now, &mut world.out);
    world.log.sync(world.now, &mut world.out);
    world.settle();
    assert_eq!(world.log.recovery_point(), 80);
}

#[test]
fn a_sync_names_the_index_files_that_were_written_since_the_last_one() {
    let mut world = World::new(config());
    live(&mut world, 0, 40);
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    let indexes_of_a_sync = |world: &mut World<MemoryDisk>| -> Vec<String> {
        world.disk.synced.clear();
        world.log.sync(world.now, &mut world.out);
        world.settle();
        let synced = world.disk.synced.iter().filter(|path| path.ends_with("index"));
        synced.cloned().collect()
    };
    let name = |kind: &str| format!("orders-0/00000000000000000000.{kind}");
    assert_eq!(indexes_of_a_sync(&mut world), [name("index"), name("timeindex")]);
    assert_eq!(world.log.recovery_point(), 80);
    world.append(plain(1));
    assert_eq!(indexes_of_a_sync(&mut world), [""; 0], "nothing was written to them");
}

#[test]
fn snapshots_of_many_stops_are_let_go_without_work_for_the_start() {
    let mut world = World::new(config());
    world.append(of_producer(1, 0, 0));
    for life in 0..6 {
        live(&mut world, life * 10, 10);
        world.log.close(world.now, &mut world.out);
        world.settle();
        let (options, operations) = (world.options(true), world.disk.operations);
        world = World::reopen(world.disk, options).0;
        assert_eq!(world.disk.operations, operations, "life {life}");
    }
    let names = world.disk.names("orders-0");
    assert_eq!(names.iter().filter(|name| name.ends_with(".snapshot")).count(), 3, "{names:?}");
}

#[test]
fn a_small_log_without_producers_needs_no_snapshot() {
    let has_snapshot = |world: &World<MemoryDisk>| {
        world.disk.names("orders-0").iter().any(|name| name.ends_with(".snapshot"))
    };
    let mut world = World::new(config());
    world.append(plain(3));
    let (mut world, recovered) = world.stop();
    assert!(!has_snapshot(&world));
    assert_eq!((recovered.log_end_offset, recovered.scanned_bytes), (3, 0));
    // Nothing was asked of it: the next stop has nothing to do.
    assert_eq!(world.log.close(world.now, &mut world.out), None);
    assert!(world.out.is_empty());

    world.append(of_producer(1, 0, 0));
    let (mut world, _) = world.kill();
    assert!(world.append(of_producer(1, 0, 0)).is_duplicate);
    let (mut world, _) = world.stop();
    assert!(has_snapshot(&world));
    assert!(world.append(of_producer(1, 0, 0)).is_duplicate);
}

#[test]
fn a_large_log_has_its_snapshot_for_a_start_after_a_kill() {
    let mut world = World::new(LogConfig::default());
    for _ in 0..110 {
        world.append(sized(10_000));
    }
    let (world, _) = world.stop();
    assert!(world.disk.names("orders-0").iter().any(|name| name.ends_with(".snapshot")));
}

/// A start that is broken off leaves the mark of the clean stop: the next one believes it, too.
#[test]
fn producers_are_known_after_a_damaged_snapshot_and_two_starts() {
    let mut world = World::new(LogConfig::default());
    world.append(of_producer(1, 0, 0));
    world.append(plain(1));
    let (world, _) = world.stop();
    for is_tail_torn in [false, true] {
        let mut disk = world.disk.clone();
        let torn = if is_tail_torn { ".log" } else { ".snapshot" };
        for (_, bytes) in disk.files.iter_mut().filter(|(name, _)| name.ends_with(torn)) {
            bytes.truncate(bytes.len() - 1);
        }
        let (first, _) = World::reopen(disk, world.options(true));
        assert!(first.disk.names("orders-0").iter().any(|it| it.ends_with(".snapshot")));
        let (mut second, _) = World::reopen(first.disk, world.options(true));
        assert!(second.append(of_producer(1, 0, 0)).is_duplicate, "torn: {is_tail_torn}");
    }
}

/// An index is being written when the stop begins: its last entry is written and synced all the same.
#[test]
fn a_stop_completes_an_index_that_is_being_written() {
    let mut world = World::new(config());
    live(&mut world, 0, 20);
    world.holds = true;
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    let latest = START_MS + 10_000;
    world.append(timed(&[latest]));
    world.log.close(world.now, &mut world.out);
    world.settle();
    let synced_before = world.synced.len();
    let is_index = |effect: &DiskEffect| match effect {
        DiskEffect::Write { file, .. } => file.kind == FileKind::TimeIndex,
        _ => false,
    };
    let mut is_written = false;
    while let Some(report) = world.reports.pop_front() {
        world.report(&report);
        is_written |= world.out.iter().any(is_index);
        world.settle();
    }
    assert!(is_written && world.synced.len() > synced_before && !world.log.has_pending());
    world.holds = false;
    let options = world.options(true);
    let (mut world, _) = World::reopen(world.disk, options);
    world.append(timed(&[START_MS]));
    world.log.advance_high_watermark(42);
    let found = offset_for_timestamp(&world.log, &world.files(), latest).unwrap();
    assert_eq!(found.map(|found| found.offset), Some(40));
    let (world, _) = world.stop();
    let entries = &world.disk.files["orders-0/00000000000000000000.timeindex"];
    let entries: Vec<_> = entries.chunks_exact(12).filter_map(TimeEntry::decode).collect();
    assert_eq!(entries.last().map(|last| last.timestamp), Some(latest), "{entries:?}");
}

/// A start finds an entry that the life before did not make, as the interval is another. Then it is killed
/// when the offset's entry is on file and the time's is not: the next start must not take the one for a
/// sign of the other.
#[test]
fn an_offset_below_the_recovery_point_never_waits_for_its_time() {
    let mut world = World::new(LogConfig { index_interval_bytes: 4000, ..config() });
    live(&mut world, 0, 60);
    world.append(timed(&[START_MS + 5000]));
    live(&mut world, 60, 10);
    world.log.move_recovery_point(&mut world.out);
    world.settle();
    let mut options = world.options(false);
    assert_eq!(options.recovery_point, world.log.log_end_offset());
    options.config = Arc::new(config());
    let (mut world, _) = World::reopen(world.disk, options.clone());
    world.log.on_retention_check(world.now, &mut world.out);
    world.out.retain(|effect| match effect {
        DiskEffect::Write { file, .. } => file.kind != FileKind::TimeIndex,
        _ => true,
    });
    world.settle();
    let (world, _) = World::reopen(world.disk, options);
    let (world, _) = world.stop();
    let entries = &world.disk.files["orders-0/00000000000000000000.timeindex"];
    let entries: Vec<_> = entries.chunks_exact(12).filter_map(TimeEntry::decode).collect();
    assert_eq!(entries.last().map(|last| last.timestamp), Some(START_MS + 5000), "{entries:?}");
}

/// A roll cuts off the zeros ahead and is killed before it has synced that. The segment ends at the recovery
/// point, so the next life's syncs begin behind it; one of them has to name it all the same, or a power
/// failure brings the zeros back into the midst of the log.
#[test]
fn the_cut_of_a_roll_that_was_killed_is_synced_in_the_next_life() {
    let synced = LogConfig { flush_messages: 1, segment_bytes: 2000, ..config() };
    let mut world = World::new(synced);
    live(&mut world, 0, 10);
    world.log.move_recovery_point(&mut world.out);
    world.settle();
    assert_eq!(world.log.recovery_point(), world.log.log_end_offset());
    let options = world.options(false);
    world.holds = true;
    world.append(sized(1500));
    let (mut world, _) = World::reopen(world.disk, options);
    let first = |effect: &DiskEffect| match effect {
        DiskEffect::Sync { files, .. } => files.iter().any(|file| file.segment == 0),
        _ => false,
    };
    world.log.sync(world.now, &mut world.out);
    assert!(world.out.iter().any(first), "{:?}", world.out);
    world.settle();
    world.log.sync(world.now, &mut world.out);
    assert!(!world.out.iter().any(first), "once is enough: {:?}", world.out);
}
