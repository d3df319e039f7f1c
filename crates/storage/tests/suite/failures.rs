//! Writes that fail.

use strom_storage::config::LogConfig;
use strom_storage::disk::{Completion, DiskError, FileKind};
use strom_storage::log::{AppendError, AppendOrigin, Completed};

use crate::batches::{marker, of_producer, plain, sized, timed, transactional};
use crate::world::{START_MS, World, offset_for_timestamp};

fn full() -> Option<DiskError> {
    Some(DiskError::Full("test".to_owned()))
}

#[test]
fn a_full_disk_takes_the_append_back_and_service_resumes() {
    let mut world = World::new(LogConfig { index_interval_bytes: 0, ..Default::default() });
    world.append(of_producer(1, 0, 0));
    world.append(transactional(2, 0));
    world.log.advance_high_watermark(3);
    world.write_failure = full();
    let failed = world.append(of_producer(1, 0, 2));
    let Some(Completed::Failed { tickets, .. }) = world.completed.last() else { panic!() };
    assert_eq!(tickets, &[failed.ticket.unwrap()]);
    assert_eq!((world.log.log_end_offset(), world.log.written_offset()), (3, 3));
    world.try_append(marker(2, false), AppendOrigin::Coordinator).unwrap();
    assert_eq!(world.log.last_stable_offset(), 2, "the marker did not come through");
    world.write_failure = None;
    assert!(!world.log.is_failed());
    // The same batch is no duplicate: it was never written.
    let again = world.append(of_producer(1, 0, 2));
    assert!(!again.is_duplicate);
    assert_eq!(again.first_offset, 3);
    assert_eq!(world.read(3, 1).base_offset, 3);
    let (world, recovered) = world.kill();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (5, 0));
    assert_eq!(world.log.producers().count(), 2);
}

/// The last write of a segment fails, and the process is killed before the log is told.
#[test]
fn no_snapshot_counts_what_was_never_written() {
    let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 0, ..Default::default() };
    let mut world = World::new(config);
    world.append(sized(1000));
    world.holds = true;
    world.write_failure = full();
    world.append(of_producer(1, 0, 0));
    world.write_failure = None;
    world.append(sized(2500));
    assert_eq!(world.log.segments().count(), 2);
    let (mut world, recovered) = world.kill();
    assert_eq!(recovered.log_end_offset, 1);
    assert!(!world.append(of_producer(1, 0, 0)).is_duplicate, "it would never be written");
}

#[test]
fn later_appends_fail_with_an_earlier_one_even_across_a_roll() {
    let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 0, ..Default::default() };
    let mut world = World::new(config);
    world.append(sized(1000));
    world.holds = true;
    world.write_failure = full();
    let first = world.append(sized(1000)).ticket.unwrap();
    world.write_failure = None;
    let second = world.append(sized(1000)).ticket.unwrap();
    let third = world.append(plain(1)).ticket.unwrap();
    assert_eq!(world.log.segments().count(), 2);
    world.holds = false;
    world.settle();
    let failed = world.completed.iter().find_map(|completed| match completed {
        Completed::Failed { tickets, .. } => Some(tickets.clone()),
        _ => None,
    });
    assert_eq!(failed, Some(vec![first, second, third]));
    assert_eq!((world.log.log_end_offset(), world.log.segments().count()), (1, 1));
    assert_eq!(world.log.synced_offset(), 1);
    for offset in 1..4 {
        assert_eq!(world.append(sized(1000)).first_offset, offset);
    }
    let (world, recovered) = world.kill();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (4, 0));
    assert_eq!(world.read(1, 1).base_offset, 1);
}

#[test]
fn a_broken_disk_ends_the_log() {
    let mut world = World::new(LogConfig::default());
    world.append(plain(1));
    world.write_failure = Some(DiskError::Io("test".to_owned()));
    world.append(plain(1));
    assert!(world.log.is_failed());
    assert_eq!(world.log.log_end_offset(), 1);
    world.write_failure = None;
    let error = world.try_append(plain(1), AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::StorageFailed(_)));
    assert_eq!(world.read(0, 1).base_offset, 0, "what is written is still served");
}

#[test]
fn the_recovery_point_waits_for_the_indexes_of_a_closed_segment() {
    let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 0, ..Default::default() };
    let mut world = World::new(config);
    let sync = |world: &mut World<_>| {
        world.log.sync(world.now, &mut world.out);
        world.settle();
    };
    world.append(sized(1000));
    sync(&mut world);
    assert_eq!(world.log.synced_offset(), 1);
    (world.failing, world.write_failure) = (FileKind::OffsetIndex, full());
    for _ in 0..3 {
        world.append(sized(1000));
    }
    assert_eq!(world.log.segments().count(), 2);
    world.write_failure = None;
    sync(&mut world);
    assert_eq!(world.log.synced_offset(), 4);
    let base_offset = world.log.segments().last().expect("an active one").base_offset;
    assert!(world.log.recovery_point() < base_offset, "a start would believe half an index");
    // It is tried again, and then the point goes on.
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    sync(&mut world);
    assert!(world.log.recovery_point() >= base_offset);
}

/// A roll notes the largest time of a segment that may lie below the recovery point by then.
#[test]
fn the_recovery_point_waits_for_the_last_time_of_a_segment_that_ends_there() {
    let mut world = World::new(LogConfig { segment_bytes: 200, ..Default::default() });
    let sync = |world: &mut World<_>| {
        world.log.sync(world.now, &mut world.out);
        world.settle();
    };
    world.append(timed(&[START_MS, START_MS + 5]));
    world.append(timed(&[START_MS + 6]));
    sync(&mut world);
    assert_eq!(world.log.recovery_point(), 3);
    (world.failing, world.write_failure) = (FileKind::TimeIndex, full());
    world.append(timed(&[START_MS + 7]));
    assert_eq!(world.log.segments().count(), 2);
    world.write_failure = None;
    sync(&mut world);
    assert_eq!((world.log.synced_offset(), world.log.recovery_point()), (4, 3));
    let (mut world, _) = world.kill();
    let found = offset_for_timestamp(&world.log, &world.files(), START_MS + 6).unwrap().unwrap();
    assert_eq!((found.timestamp, found.offset), (START_MS + 6, 2));
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    sync(&mut world);
    assert_eq!(world.log.recovery_point(), 4);
}

/// As Linux does it: a failed sync is told once, the next one of the file succeeds.
#[test]
fn what_a_failed_sync_left_unsynced_is_never_vouched_for() {
    let mut world = World::new(LogConfig::default());
    world.append(plain(5));
    let ticket = world.log.sync(world.now, &mut world.out);
    world.out.clear();
    world.report(&Completion { ticket, result: Err(DiskError::Io("test".to_owned())) });
    assert!(world.log.is_failed());
    // Who waits for it does not wait in vain: it is told.
    let ticket = world.log.sync(world.now, &mut world.out);
    world.out.clear();
    world.report(&Completion { ticket, result: Ok(()) });
    let Some(Completed::Failed { tickets, .. }) = world.completed.last() else { panic!() };
    assert_eq!(*tickets, [ticket]);
    world.log.close(world.now, &mut world.out);
    world.settle();
    assert_eq!(world.log.synced_offset(), 0);
}

#[test]
fn segments_that_are_taken_back_leave_no_files_for_the_next_start() {
    let mut world = World::new(LogConfig { segment_bytes: 3000, ..LogConfig::default() });
    world.append(sized(900));
    world.write_failure = Some(DiskError::Full("orders-0".to_owned()));
    world.holds = true;
    for _ in 0..8 {
        world.append(sized(900));
    }
    assert_eq!(world.log.segments().count(), 3);
    world.holds = false;
    world.settle();
    // No room for a new name either: a renamed file would have stayed where it was.
    let names = world.disk.names("orders-0");
    let of_others = |name: &&String| name.contains(".log") && !name.starts_with(&"0".repeat(20));
    assert_eq!(names.iter().find(of_others), None);
    assert!(!names.iter().any(|name| name.ends_with(".deleted")), "{names:?}");
    assert_eq!((world.log.log_end_offset(), world.log.is_failed()), (1, false));
}
