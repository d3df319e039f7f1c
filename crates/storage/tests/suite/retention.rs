//! What is deleted, and when its files go.

use strom_base::Random;
use strom_storage::config::{CleanupPolicy, LogConfig};
use strom_storage::disk::{Completion, DiskError};
use strom_storage::log::ReadError;

use crate::batches::{sized, timed};
use crate::memory_disk::MemoryDisk;
use crate::world::{START_MS, World};

fn check(world: &mut World<MemoryDisk>) {
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    world.check();
}

fn five_segments(config: LogConfig) -> World<MemoryDisk> {
    let mut world = World::new(LogConfig { segment_bytes: 1500, ..config });
    for _ in 0..5 {
        world.append(sized(1000));
    }
    assert_eq!(world.log.segments().count(), 5);
    world.log.advance_high_watermark(5);
    world
}

#[test]
fn size_lets_the_oldest_go_and_their_files_follow_later() {
    let mut world = five_segments(LogConfig { retention_bytes: 2500, ..Default::default() });
    check(&mut world);
    assert_eq!((world.log.log_start_offset(), world.log.segments().count()), (2, 3));
    let names = world.disk.names("orders-0");
    assert!(names.contains(&"00000000000000000001.log.deleted".to_owned()));
    assert!(!names.contains(&"00000000000000000001.snapshot".to_owned()));
    assert!(names.contains(&"00000000000000000002.snapshot".to_owned()));
    assert_eq!(world.log.next_deadline(), Some(61_000));
    world.now.monotonic_ms = 61_000;
    world.log.on_deadline(world.now, &mut world.out);
    world.settle();
    assert!(!world.disk.names("orders-0").iter().any(|name| name.ends_with(".deleted")));
    assert_eq!(world.log.next_deadline(), None);
    assert!(matches!(
        world.log.read(
            &world.files(),
            &strom_storage::log::ReadRequest {
                offset: 1,
                max_bytes: 1,
                upper_bound_offset: 9,
                at_least_one_batch: true
            }
        ),
        Err(ReadError::OffsetOutOfRange { log_start_offset: 2, .. })
    ));
}

#[test]
fn time_lets_even_the_active_segment_go_and_a_new_one_begins() {
    let mut world = five_segments(LogConfig { retention_ms: 1000, ..Default::default() });
    world.now.wall_ms = START_MS + 1000;
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 0);
    world.now.wall_ms += 1;
    check(&mut world);
    assert_eq!((world.log.log_start_offset(), world.log.segments().count()), (5, 1));
    assert_eq!(world.log.size(), 0);
    check(&mut world);
    assert_eq!(world.log.segments().count(), 1, "an empty segment stays");
    assert_eq!(world.append(sized(10)).first_offset, 5);
    let (world, recovered) = world.kill();
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (5, 6));
    assert_eq!(world.read(5, 1).base_offset, 5);
}

#[test]
fn nothing_above_the_high_watermark_goes() {
    let mut world =
        World::new(LogConfig { segment_bytes: 1500, retention_bytes: 0, ..Default::default() });
    for _ in 0..4 {
        world.append(sized(1000));
    }
    world.log.advance_high_watermark(2);
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 2);
}

#[test]
fn a_compacted_topic_keeps_its_records() {
    let cleanup = CleanupPolicy { delete: false, compact: true };
    let mut world = five_segments(LogConfig { cleanup, retention_bytes: 0, ..Default::default() });
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 0);
}

#[test]
fn deleted_records_are_gone_at_once_and_their_segments_soon() {
    let mut world = five_segments(LogConfig::default());
    let raise =
        |world: &mut World<_>, offset| world.log.increment_log_start_offset(offset, &mut world.out);
    assert!(raise(&mut world, 6).is_err(), "not above the high watermark");
    assert_eq!(raise(&mut world, 3), Ok(true));
    assert_eq!(raise(&mut world, 2), Ok(false));
    world.settle();
    assert_eq!(world.log.log_start_offset(), 3);
    assert_eq!(world.log.segments().count(), 5);
    check(&mut world);
    assert_eq!(world.log.segments().count(), 2);
    assert_eq!(world.log.earliest().offset, 3);
}

#[test]
fn a_deleted_partitions_folder_is_renamed_and_removed_later() {
    let mut world = World::new(LogConfig::default());
    world.append(timed(&[START_MS]));
    world.log.delete(world.now, Random::new(5).uuid(), &mut world.out);
    world.settle();
    let folder = world.log.path().path;
    assert!(folder.starts_with("orders-0.") && folder.ends_with("-delete"), "{folder}");
    assert!(world.disk.names("").contains(&folder));
    assert!(world.try_append(sized(1), strom_storage::log::AppendOrigin::Client).is_err());
    assert_eq!(world.log.next_deadline(), Some(61_000));
    world.now.monotonic_ms = 61_000;
    world.log.on_deadline(world.now, &mut world.out);
    world.settle();
    assert!(world.log.is_removed());
    assert!(world.disk.files.is_empty());
}

#[test]
fn a_deleted_log_asks_for_nothing_when_it_is_told_of_a_failure() {
    let mut world = World::new(LogConfig::default());
    world.append(timed(&[START_MS]));
    world.holds = true;
    let ticket = world.log.sync(world.now, &mut world.out);
    world.log.delete(world.now, Random::new(5).uuid(), &mut world.out);
    world.settle();
    // By now the file's name may be the next log's.
    world.report(&Completion { ticket, result: Err(DiskError::Io("gone".to_owned())) });
    assert!(world.out.is_empty(), "{:?}", world.out);
}

/// As in Apache Kafka: the records' own times against the wall clock, the oldest segment first.
#[test]
fn the_wall_clock_may_jump_and_retention_goes_by_the_time_of_the_records() {
    const YEAR_MS: i64 = 31_536_000_000;
    let mut world = five_segments(LogConfig { retention_ms: 1000, ..Default::default() });
    world.now.wall_ms = START_MS - YEAR_MS;
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 0);
    world.now.wall_ms = START_MS + YEAR_MS;
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 5);
    // Back again: what is new now stays, and so does what is from the future.
    world.now.wall_ms = START_MS;
    world.append(timed(&[START_MS]));
    world.log.advance_high_watermark(6);
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 5);
}

#[test]
fn a_record_from_the_future_keeps_its_segment_and_all_behind_it() {
    let config = LogConfig { segment_bytes: 120, retention_ms: 1000, ..Default::default() };
    let mut world = World::new(config);
    for timestamp_ms in [START_MS, START_MS + 3_000_000, START_MS, START_MS] {
        world.append(timed(&[timestamp_ms]));
    }
    assert_eq!(world.log.segments().count(), 4);
    world.log.advance_high_watermark(4);
    world.now.wall_ms = START_MS + 5000;
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 1);
    world.now.wall_ms = START_MS + 3_001_001;
    check(&mut world);
    assert_eq!(world.log.log_start_offset(), 4);
}
