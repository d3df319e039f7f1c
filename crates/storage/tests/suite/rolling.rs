//! When segments end, and what lies on disk then.

use strom_storage::config::LogConfig;
use strom_storage::format::{file_name, index_entry::*};

use crate::batches::{of_producer, plain, sized, stamped, timed};
use crate::world::{START_MS, World};

fn bases(world: &World<impl strom_storage::disk::Disk>) -> Vec<i64> {
    world.log.segments().map(|segment| segment.base_offset).collect()
}

#[test]
fn a_segment_ends_by_size_and_leaves_indexes_and_a_snapshot() {
    let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 100, ..Default::default() };
    let mut world = World::new(config);
    for _ in 0..4 {
        world.append(sized(1000));
    }
    assert_eq!(bases(&world), [0, 2]);
    let names = world.disk.names("orders-0");
    for name in ["00000000000000000000.index", "00000000000000000000.timeindex"] {
        assert!(names.contains(&name.to_owned()), "{name} of {names:?}");
    }
    assert!(names.contains(&"00000000000000000002.snapshot".to_owned()));
    assert!(names.contains(&"partition.metadata".to_owned()));
    let index = &world.disk.files["orders-0/00000000000000000000.index"];
    let entry = OffsetEntry::decode(&index[..8]).unwrap();
    assert_eq!((index.len(), entry.relative_offset), (8, 1));
    let times = &world.disk.files["orders-0/00000000000000000000.timeindex"];
    let entry = TimeEntry::decode(&times[..12]).unwrap();
    assert_eq!((times.len(), entry.timestamp, entry.relative_offset), (12, START_MS, 0));
    assert_eq!(world.log.synced_offset(), 2);
    assert_eq!(world.read(1, 1 << 20).upper_bound_offset, 2);
    assert!(file_name::parse("00000000000000000002.snapshot").is_some());
}

#[test]
fn a_segment_ends_by_the_time_of_its_records() {
    let mut world = World::new(LogConfig { segment_ms: 1000, ..Default::default() });
    world.append(timed(&[START_MS]));
    world.append(timed(&[START_MS + 1000]));
    world.append(timed(&[START_MS + 1001]));
    assert_eq!(bases(&world), [0, 2]);
}

#[test]
fn a_segment_ends_when_an_index_is_full() {
    let config =
        LogConfig { segment_index_bytes: 24, index_interval_bytes: 0, ..Default::default() };
    let mut world = World::new(config);
    for step in 0..8 {
        world.append(timed(&[START_MS + step]));
    }
    assert_eq!(bases(&world), [0, 2, 4, 6], "one time entry is kept free for the end");
}

#[test]
fn a_segment_ends_where_relative_offsets_would_overflow() {
    let mut world = World::new(LogConfig::default());
    for offset in [0, i64::from(i32::MAX), i64::from(i32::MAX) + 1] {
        let bytes = bytes::Bytes::from(stamped(offset, 0, 1));
        world.log.append_as_follower(world.now, bytes, 0, &mut world.out).unwrap();
        world.settle();
    }
    assert_eq!(bases(&world), [0, i64::from(i32::MAX) + 1]);
}

#[test]
fn long_indexes_do_not_stay_in_memory_and_still_answer() {
    let config = LogConfig { index_interval_bytes: 0, ..Default::default() };
    let mut world = World::new(config);
    for step in 0..3000 {
        world.append(timed(&[START_MS + step]));
    }
    let on_file = world.disk.files["orders-0/00000000000000000000.index"].len() / 8;
    assert!(on_file > 2000, "{on_file}");
    for offset in [0, 1, 500, 2000, 2900] {
        assert_eq!(world.read(offset, 1).base_offset, offset);
    }
}

#[test]
fn a_clean_stop_leaves_complete_indexes_and_a_snapshot_at_the_end() {
    let config = LogConfig { index_interval_bytes: 100, ..Default::default() };
    let mut world = World::new(config);
    for sequence in 0..10 {
        world.append(of_producer(1, 0, sequence * 2));
    }
    world.append(plain(1));
    let (world, recovered) = world.stop();
    assert!(world.disk.names("orders-0").contains(&"00000000000000000021.snapshot".to_owned()));
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (21, 0));
    assert_eq!(world.log.synced_offset(), 21);
    assert_eq!(world.read(13, 1).base_offset, 12);
}

#[test]
fn a_preallocated_file_is_full_at_once_and_cut_when_it_is_closed() {
    let config = LogConfig { segment_bytes: 3000, preallocate: true, ..Default::default() };
    let mut world = World::new(config);
    let length = |world: &World<_>, base: i64| {
        let disk: &crate::memory_disk::MemoryDisk = &world.disk;
        disk.files[&format!("orders-0/{base:020}.log")].len() as u64
    };
    for _ in 0..3 {
        world.append(sized(1000));
    }
    assert_eq!((length(&world, 0), length(&world, 2)), (world.log.size() * 2 / 3, 3000));
    assert_eq!(world.read(2, 1 << 20).upper_bound_offset, 3);
    let (mut world, recovered) = world.kill();
    assert_eq!(recovered.log_end_offset, 3);
    world.append(sized(1000));
    world.append(sized(1000));
    assert_eq!(length(&world, 4), 3000);
    let (world, recovered) = world.stop();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (5, 0));
    assert_eq!(length(&world, 4), world.log.size() / 5);
}

#[test]
fn synced_appends_in_a_row_get_zeros_ahead_that_no_stop_leaves() {
    const SEGMENT: u32 = 64 << 10;
    let config = LogConfig { segment_bytes: SEGMENT, flush_messages: 1, ..Default::default() };
    let mut world = World::new(config.clone());
    let length = |world: &World<_>, base: i64| {
        let disk: &crate::memory_disk::MemoryDisk = &world.disk;
        disk.files[&format!("orders-0/{base:020}.log")].len() as u64
    };
    for _ in 0..7 {
        world.append(sized(1000));
    }
    assert_eq!(length(&world, 0), world.log.size());
    world.append(sized(1000));
    assert_eq!(length(&world, 0), u64::from(SEGMENT));
    let size = world.log.size();
    let (mut world, recovered) = world.kill();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (8, 0));
    assert_eq!((world.log.size(), length(&world, 0)), (size, u64::from(SEGMENT)));
    let mut last = 8;
    while world.log.segments().count() == 1 {
        last = world.append(sized(1000)).last_offset;
    }
    assert_eq!(world.read(7, 1).base_offset, 7);
    let first = world.log.segments().next().unwrap().size;
    assert_eq!((length(&world, 0), length(&world, last)), (first, u64::from(SEGMENT)));
    let (world, recovered) = world.stop();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (last + 1, 0));
    assert_eq!(length(&world, 0) + length(&world, last), world.log.size());
    let quiet = World::new(config);
    let quiet = (0..20).fold(quiet, |mut world, _| {
        world.now.monotonic_ms += 2000;
        world.append(sized(1000));
        world
    });
    assert_eq!(length(&quiet, 0), quiet.log.size());
}

#[test]
fn a_log_that_has_become_quiet_gives_up_its_zeros() {
    let config = LogConfig { flush_messages: 1, ..Default::default() };
    let mut world = World::new(config);
    let length = |world: &World<_>| {
        let disk: &crate::memory_disk::MemoryDisk = &world.disk;
        disk.files["orders-0/00000000000000000000.log"].len() as u64
    };
    let check = |world: &mut World<_>| {
        world.log.on_retention_check(world.now, &mut world.out);
        world.settle();
    };
    for _ in 0..8 {
        world.append(sized(1000));
    }
    check(&mut world);
    world.append(sized(1000));
    check(&mut world);
    assert!(length(&world) > 1 << 20);
    check(&mut world);
    assert_eq!(length(&world), world.log.size());
    let syncs = world.synced.len();
    check(&mut world);
    assert_eq!(world.synced.len(), syncs);
    world.append(sized(1000));
    assert!(length(&world) > 1 << 20, "synced appends go on");
    // Those that a kill has left, too.
    let (mut world, _) = world.kill();
    assert!(length(&world) > 1 << 20);
    check(&mut world);
    check(&mut world);
    assert_eq!(length(&world), world.log.size());
    let (_, recovered) = world.stop();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (10, 0));
}

#[test]
fn the_wall_clock_may_jump_and_segments_end_by_the_time_of_their_records() {
    let config =
        LogConfig { segment_ms: 1000, timestamp_after_max_ms: i64::MAX, ..Default::default() };
    let mut world = World::new(config.clone());
    world.append(timed(&[START_MS]));
    for wall_ms in [START_MS + 31_536_000_000, START_MS - 31_536_000_000] {
        world.now.wall_ms = wall_ms;
        world.append(timed(&[START_MS + 500]));
    }
    assert_eq!(bases(&world), [0]);
    // Without times of their own they go by the clock: a jump back ends nothing.
    let mut world = World::new(config);
    world.append(timed(&[-1]));
    world.now.wall_ms = START_MS - 31_536_000_000;
    world.append(timed(&[-1]));
    assert_eq!(bases(&world), [0]);
    world.now.wall_ms = START_MS + 1001;
    world.append(timed(&[-1]));
    assert_eq!(bases(&world), [0, 2]);
}
