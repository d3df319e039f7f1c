//! From times and epochs to offsets.

use crate::world::{max_timestamp, offset_for_timestamp};
use strom_protocol::compression::Codec;
use strom_protocol::records::BatchOptions;
use strom_storage::config::LogConfig;
use strom_storage::log::TimestampAndOffset;

use crate::batches::{built, compressed, plain, sized, timed};
use crate::world::{START_MS, World};

#[test]
fn times_find_the_first_record_at_or_after_them() {
    let config = LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..Default::default() };
    let mut world = World::new(config);
    for step in 0..50 {
        let time = START_MS + step * 10;
        world.append(timed(&[time, time + 5, time + 2]));
    }
    let find = |world: &World<_>, time: i64| {
        let found = offset_for_timestamp(&world.log, &world.files(), time).unwrap();
        found.map(|found: TimestampAndOffset| (found.timestamp - START_MS, found.offset))
    };
    assert_eq!(find(&world, 0), Some((0, 0)));
    assert_eq!(find(&world, START_MS + 1), Some((5, 1)));
    assert_eq!(find(&world, START_MS + 123), Some((125, 37)));
    assert_eq!(find(&world, START_MS + 495), Some((495, 148)));
    assert_eq!(find(&world, START_MS + 496), None);
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (START_MS + 495, 148));
    let (mut world, _) = world.stop();
    assert_eq!(find(&world, START_MS + 123), Some((125, 37)));
    world.log.advance_high_watermark(150);
    world.log.increment_log_start_offset(100, &mut world.out).unwrap();
    assert_eq!(find(&world, START_MS + 123), Some((335, 100)), "nothing below the log start");
}

#[test]
fn compressed_records_are_found_too() {
    let mut world = World::new(LogConfig::default());
    for codec in Codec::ALL {
        world.append(compressed(codec, 4));
    }
    let found = offset_for_timestamp(&world.log, &world.files(), START_MS).unwrap().unwrap();
    assert_eq!((found.offset, found.leader_epoch), (0, Some(0)));
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    assert_eq!(newest.offset, 0);
    let empty = World::new(LogConfig::default());
    assert_eq!(max_timestamp(&empty.log, &empty.files()), Ok(None));
}

#[test]
fn the_newest_record_is_one_of_the_written_while_an_append_is_under_way() {
    let mut world = World::new(LogConfig::default());
    world.append(timed(&[START_MS, START_MS + 7]));
    let options = BatchOptions { base_offset: 2, ..BatchOptions::default() };
    let newer = bytes::Bytes::from(built(options, &[START_MS + 50], 10).build());
    world.log.append_as_follower(world.now, newer, 0, &mut world.out).unwrap();
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (START_MS + 7, 1));
    world.settle();
    let newest = max_timestamp(&world.log, &world.files()).unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (START_MS + 50, 2));
}

#[test]
fn epochs_are_kept_across_a_kill_with_and_without_the_checkpoint() {
    let mut world = World::new(LogConfig::default());
    assert!(world.log.start_epoch(0, &mut world.out).is_none(), "there is no folder yet");
    world.append(plain(3));
    assert!(world.log.start_epoch(0, &mut world.out).is_none());
    let bytes = bytes::Bytes::from(crate::batches::stamped(3, 5, 2));
    world.log.append_as_follower(world.now, bytes, 5, &mut world.out).unwrap();
    world.settle();
    let ends = |world: &World<_>| [0, 3, 5, 6].map(|epoch| world.log.end_offset_for_epoch(epoch));
    let expected = [Some((0, 3)), Some((0, 3)), Some((5, 5)), None];
    assert_eq!(ends(&world), expected);
    let (mut world, _) = world.kill();
    assert_eq!(ends(&world), expected);
    assert_eq!(world.log.latest().leader_epoch, Some(5));
    world.disk.files.remove("orders-0/leader-epoch-checkpoint").unwrap();
    let mut options = world.options(false);
    options.recovery_point = 0;
    let (world, _) = World::reopen(world.disk, options);
    assert_eq!(ends(&world), expected);
    assert!(world.disk.files.contains_key("orders-0/leader-epoch-checkpoint"));
}

#[test]
fn an_idle_log_holds_its_indexes_on_disk() {
    let config = LogConfig { index_interval_bytes: 100, ..Default::default() };
    let mut world = World::new(config);
    for _ in 0..100 {
        world.append(sized(200));
    }
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    let index = &world.disk.files["orders-0/00000000000000000000.index"];
    assert_eq!(index.len() / 8, 99);
    assert_eq!(world.read(20, 1).base_offset, 20);
}

/// Entries of a time index have no checksum: a start holds the last one, which tells how old a segment is, against
/// the batch. So it does where the entry of a roll is missing.
#[test]
fn a_damaged_last_time_of_a_segment_is_not_believed() {
    const LENGTH: usize = 12;
    // The newest of a segment stands at its end, or somewhere in it.
    for (times, lost_from) in [([0, 1, 2, 3, 4, 5, 6], 0), ([0, 5, 3, 1, 6, 4, 2], 1)] {
        let config =
            LogConfig { segment_bytes: 1000, index_interval_bytes: 200, ..Default::default() };
        let mut world = World::new(config);
        for round in 0..6 {
            for time in times {
                let time = START_MS + round * 100 + time * 10;
                world.append(timed(&[time, time + 5]));
            }
        }
        world.log.close(world.now, &mut world.out);
        world.settle();
        let options = world.options(true);
        let segments: Vec<_> = world.log.segments().collect();
        assert!(segments.len() > 3);
        let names = world.disk.files.keys().filter(|name| name.ends_with(".timeindex"));
        for name in names.cloned().collect::<Vec<_>>() {
            for damage in 0..=LENGTH - lost_from {
                let mut disk = world.disk.clone();
                let file = disk.files.get_mut(&name).expect("an index");
                let last = file.len() - LENGTH;
                match file.get_mut(last + damage) {
                    Some(byte) => *byte ^= 1,
                    None => file.truncate(last),
                }
                let (damaged, recovered) = World::reopen(disk, options.clone());
                assert_eq!(recovered.log_end_offset, 84);
                let found: Vec<_> = damaged.log.segments().collect();
                assert_eq!(found, segments, "{name}, {damage}");
            }
        }
    }
}
