//! Cutting the end off.

use crate::world::max_timestamp;
use strom_storage::config::LogConfig;
use strom_storage::disk::Disk;

use crate::batches::{of_producer, sized, stamped, timed};
use crate::world::{START_MS, World};

fn truncate<D: Disk>(world: &mut World<D>, offset: i64) {
    let plan = world.log.plan_truncation(&world.files(), offset).unwrap();
    world.log.truncate(world.now, plan, &mut world.out);
    world.settle();
    world.check();
}

#[test]
fn segments_indexes_and_epochs_end_at_the_cut() {
    let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 500, ..Default::default() };
    for cut in 0..20 {
        let mut world = World::new(config.clone());
        for offset in 0..20 {
            let bytes = bytes::Bytes::from(stamped(offset, offset as i32 / 5, 1));
            world.log.append_as_follower(world.now, bytes, 9, &mut world.out).unwrap();
            world.settle();
        }
        world.log.advance_high_watermark(15);
        truncate(&mut world, cut);
        assert_eq!(world.log.log_end_offset(), cut);
        assert_eq!(world.log.high_watermark(), cut.min(15));
        assert_eq!(world.log.latest_epoch(), (cut > 0).then(|| (cut as i32 - 1) / 5));
        let bytes = bytes::Bytes::from(stamped(cut, 9, 1));
        world.log.append_as_follower(world.now, bytes, 9, &mut world.out).unwrap();
        world.settle();
        for offset in 0..=cut {
            assert_eq!(world.read(offset, 1).base_offset, offset);
        }
        let (_, recovered) = world.kill();
        assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (cut + 1, 0));
    }
}

#[test]
fn producer_state_goes_back_with_the_log() {
    let config = LogConfig { segment_bytes: 1000, ..Default::default() };
    let mut world = World::new(config);
    for sequence in 0..20 {
        world.append(of_producer(1, 0, sequence * 2));
    }
    assert!(world.log.segments().count() > 2);
    truncate(&mut world, 11);
    assert_eq!(world.log.log_end_offset(), 11);
    assert!(world.append(of_producer(1, 0, 8)).is_duplicate);
    let appended = world.append(of_producer(1, 0, 10));
    assert!(!appended.is_duplicate);
    assert_eq!(appended.first_offset, 11, "the batch that held offset 11 is gone as a whole");
}

#[test]
fn timestamps_are_found_again_after_a_cut() {
    let mut world = World::new(LogConfig { index_interval_bytes: 100, ..Default::default() });
    for step in 0..20 {
        world.append(timed(&[START_MS + step]));
    }
    truncate(&mut world, 10);
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (START_MS + 9, 9));
    world.append(timed(&[START_MS + 3]));
    let (world, _) = world.stop();
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    assert_eq!(newest.offset, 9);
}

/// The time index tells its offsets from the begin of its segment on.
#[test]
fn timestamps_of_a_later_segment_are_found_again_after_a_cut() {
    let config = LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..Default::default() };
    for cut in 20..40 {
        let mut world = World::new(config.clone());
        for step in 0..40 {
            world.append(timed(&[START_MS + step]));
        }
        assert!(world.log.segments().nth(1).unwrap().base_offset < 20);
        truncate(&mut world, cut);
        // Older than all: what is there stays the newest.
        world.append(timed(&[START_MS]));
        let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
        assert_eq!((newest.timestamp, newest.offset), (START_MS + cut - 1, cut - 1));
    }
}

#[test]
fn a_log_can_start_anew_anywhere() {
    let mut world = World::new(LogConfig { segment_bytes: 1500, ..Default::default() });
    for _ in 0..5 {
        world.append(sized(1000));
    }
    world.log.truncate_fully_and_start_at(world.now, 100, &mut world.out);
    world.settle();
    world.check();
    assert_eq!((world.log.log_start_offset(), world.log.log_end_offset()), (100, 100));
    assert_eq!(world.append(sized(10)).first_offset, 100);
    truncate(&mut world, 50);
    assert_eq!((world.log.log_start_offset(), world.log.log_end_offset()), (50, 50));
    assert_eq!(world.append(sized(10)).first_offset, 50);
    let (_, recovered) = world.kill();
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (50, 51));
}
