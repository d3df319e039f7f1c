//! Opening what a stop, a kill or a half-done compaction left.

use strom_storage::config::LogConfig;
use strom_storage::recovery::RecoveryOptions;

use crate::batches::{of_producer, plain, sized, timed};
use crate::memory_disk::MemoryDisk;
use crate::world::World;

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 3000, index_interval_bytes: 500, ..Default::default() }
}

fn grown(count: usize) -> World<MemoryDisk> {
    let mut world = World::new(small_segments());
    for _ in 0..count {
        world.append(sized(700));
    }
    world
}

#[test]
fn a_torn_end_is_cut_off_and_appends_go_on() {
    for tail in [vec![0; 1], vec![0; 5000], sized(10)[..40].to_vec(), vec![0xff; 200]] {
        let mut world = grown(10);
        let base = world.log.segments().last().unwrap().base_offset;
        let name = format!("orders-0/{base:020}.log");
        world.disk.files.get_mut(&name).unwrap().extend_from_slice(&tail);
        let (mut world, recovered) = world.kill();
        assert_eq!(recovered.log_end_offset, 10);
        // Zeros may have been put there for records to come.
        let is_filled = tail.iter().all(|byte| *byte == 0);
        let truncated = if is_filled { 0 } else { tail.len() as u64 };
        assert_eq!(recovered.truncated_bytes, truncated);
        assert!(!recovered.lost_synced_records);
        assert_eq!(world.append(plain(1)).first_offset, 10);
        let (world, recovered) = world.kill();
        assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (11, 0));
        for offset in 0..11 {
            assert_eq!(world.read(offset, 1).base_offset, offset);
        }
    }
}

/// The checksum does not cover the offset, and a segment reaches no farther than an index can tell.
#[test]
fn a_batch_that_claims_an_offset_beyond_its_segment_is_none() {
    let world = grown(10).stop().0;
    let last = world.log.segments().last().unwrap();
    let name = format!("orders-0/{:020}.log", last.base_offset);
    let length = last.size as usize;
    let batch = length / (10 - last.base_offset) as usize;
    for high_byte in 0..4 {
        let mut disk = world.disk.clone();
        disk.files.get_mut(&name).unwrap()[length - batch + high_byte] = 1;
        for clean in [true, false] {
            let options = world.options(clean);
            let (found, recovered) = World::reopen(disk.clone(), options);
            assert_eq!(recovered.log_end_offset, 9, "byte {high_byte}, clean: {clean}");
            assert_eq!(found.log.log_end_offset(), 9);
        }
    }
}

#[test]
fn a_bad_batch_in_the_middle_takes_all_behind_it_along() {
    let mut world = grown(20);
    world.disk.files.get_mut("orders-0/00000000000000000006.log").unwrap()[900] ^= 1;
    let mut options = world.options(false);
    options.recovery_point = 3;
    let (world, recovered) = World::reopen(world.disk.clone(), options.clone());
    assert_eq!(recovered.log_end_offset, 7);
    assert!(!recovered.lost_synced_records);
    assert_eq!(world.log.segments().count(), 3);
    let names = world.disk.names("orders-0");
    assert!(!names.iter().any(|name| name.starts_with("00000000000000000009")), "{names:?}");
    options.recovery_point = 8;
    let mut disk = world.disk;
    disk.files.get_mut("orders-0/00000000000000000006.log").unwrap()[300] ^= 1;
    let (_, recovered) = World::reopen(disk, options);
    assert!(recovered.lost_synced_records, "what had been synced was damaged");
}

#[test]
fn zeros_behind_a_closed_segment_are_cut_and_nothing_behind_them_is_lost() {
    // The recovery point within the segment, and at its end.
    for (length, recovery_point) in [(10, 3), (3 << 20, 3), (10, 6)] {
        let world = grown(20);
        let mut disk = world.disk.clone();
        let name = "orders-0/00000000000000000003.log".to_owned();
        let sound = disk.files[&name].len();
        disk.files.get_mut(&name).unwrap().resize(sound + length, 0);
        let mut options = world.options(false);
        options.recovery_point = recovery_point;
        let (world, recovered) = World::reopen(disk.clone(), options.clone());
        assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (20, 0));
        assert!(!recovered.lost_synced_records);
        assert_eq!(world.disk.files[&name].len(), sound);
        assert_eq!(world.log.segments().count(), 7);
        for offset in 0..20 {
            assert_eq!(world.read(offset, 1).base_offset, offset);
        }
        // Where a record is missing before the next segment, or more than zeros is there, it ends.
        let torn = disk.files.get_mut(&name).unwrap();
        torn[sound - 500..].fill(0);
        let (_, recovered) = World::reopen(disk.clone(), options.clone());
        assert_eq!(recovered.log_end_offset, 5);
        *disk.files.get_mut(&name).unwrap() = world.disk.files[&name].clone();
        disk.files.get_mut(&name).unwrap().extend([0, 0, 1]);
        let (_, recovered) = World::reopen(disk, options);
        assert_eq!((recovered.log_end_offset, recovered.log_start_offset), (6, 0));
    }
}

#[test]
fn segments_below_the_recovery_point_are_not_read() {
    let mut world = grown(20);
    world.disk.files.get_mut("orders-0/00000000000000000000.log").unwrap()[900] ^= 1;
    let (world, recovered) = world.kill();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (20, 0));
    assert_eq!(world.log.segments().count(), 7);
}

#[test]
fn lost_or_damaged_indexes_are_rebuilt() {
    let mut world = grown(20);
    let sound = world.disk.files["orders-0/00000000000000000003.index"].clone();
    assert!(!sound.is_empty());
    world.disk.files.remove("orders-0/00000000000000000003.index");
    world.disk.files.insert("orders-0/00000000000000000006.timeindex".to_owned(), vec![1; 13]);
    world.disk.files.insert("orders-0/00000000000000000009.index".to_owned(), vec![0; 800]);
    let (world, _) = world.stop();
    assert_eq!(world.disk.files["orders-0/00000000000000000003.index"], sound);
    for offset in 0..20 {
        assert_eq!(world.read(offset, 1).base_offset, offset);
    }
}

#[test]
fn leftovers_of_deletion_and_compaction_are_put_in_order() {
    let mut world = grown(20);
    let bytes = world.disk.files["orders-0/00000000000000000000.log"].clone();
    let mut put = |name: &str, bytes: &[u8]| {
        world.disk.files.insert(format!("orders-0/{name}"), bytes.to_vec());
    };
    put("00000000000000000900.log.deleted", b"x");
    put("00000000000000000012.log.cleaned", b"x");
    put("00000000000000000013.snapshot.tmp", b"x");
    put("00000000000000000015.log.swap", b"x");
    put("00000000000000000700.index", b"x");
    put("00000000000000000000.log.swap", &bytes);
    let (world, recovered) = world.kill();
    assert_eq!(recovered.log_end_offset, 20);
    for name in world.disk.names("orders-0") {
        assert!(
            !["deleted", "cleaned", "swap", "tmp"].iter().any(|end| name.ends_with(end)),
            "{name}"
        );
        assert!(!name.contains("700"), "{name}");
    }
    for offset in 0..20 {
        assert_eq!(world.read(offset, 1).base_offset, offset);
    }
}

#[test]
fn a_log_that_ends_below_its_start_begins_anew() {
    let world = grown(5);
    let mut options = world.options(true);
    options.log_start_offset = Some(50);
    let (mut world, recovered) = World::reopen(world.disk, options);
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (50, 50));
    assert_eq!(world.append(plain(1)).first_offset, 50);
}

#[test]
fn the_producers_of_a_log_that_begins_anew_do_not_come_back() {
    let mut world = World::new(small_segments());
    world.append(of_producer(1, 0, 0));
    world.log.close(world.now, &mut world.out);
    world.settle();
    let mut options = world.options(false);
    options.log_start_offset = Some(5);
    let (mut disk, mut producers) = (world.disk, Vec::new());
    for clean in [false, false, true] {
        options.clean = clean;
        let (world, recovered) = World::reopen(disk, options.clone());
        assert_eq!(recovered.log_end_offset, 5);
        producers.push(world.log.producers().count());
        disk = world.disk;
    }
    assert_eq!(producers, [0, 0, 0]);
}

#[test]
fn an_empty_folder_is_an_empty_log() {
    let mut disk = MemoryDisk::default();
    disk.folders.insert("orders-0".to_owned());
    let options = World::new(LogConfig::default()).options(false);
    let (mut world, recovered) = World::reopen(disk, options);
    assert_eq!(recovered.log_end_offset, 0);
    assert_eq!(world.append(plain(1)).first_offset, 0);
}

#[test]
fn a_damaged_snapshot_is_replaced_by_replay() {
    let mut world = World::new(small_segments());
    for sequence in 0..60 {
        world.append(of_producer(1, 0, sequence * 2));
    }
    let (mut world, _) = world.stop();
    let snapshots: Vec<String> =
        world.disk.files.keys().filter(|name| name.ends_with(".snapshot")).cloned().collect();
    assert!(snapshots.len() > 2);
    for name in snapshots {
        world.disk.files.get_mut(&name).unwrap()[7] ^= 1;
    }
    let options = world.options(true);
    let (mut world, _) = World::reopen(world.disk, options);
    assert!(world.append(of_producer(1, 0, 118)).is_duplicate);
    assert!(!world.append(of_producer(1, 0, 120)).is_duplicate);
}

#[test]
fn a_small_budget_makes_many_steps_and_the_same_log() {
    use strom_storage::recovery::{Progress, Recovery};
    let world = grown(20);
    let mut options = world.options(false);
    options.recovery_point = 0;
    let mut disk = world.disk.clone();
    let folder = world.log.path();
    let mut recovery = Recovery::new(folder, options);
    let mut steps = 0;
    while recovery.step(&mut disk, 1000).unwrap() != Progress::Done {
        steps += 1;
    }
    assert!(steps > 6, "{steps}");
    assert_eq!(recovery.finish().log_end_offset, 20);
}

/// Batches with growing times, some of producers, in a segment with several index entries.
fn long_segment() -> World<MemoryDisk> {
    let config =
        LogConfig { segment_bytes: 1 << 20, index_interval_bytes: 300, ..small_segments() };
    let mut world = World::new(config);
    for number in 0..60 {
        if number % 20 == 0 {
            world.leader_epoch = number;
            world.log.start_epoch(number, &mut world.out);
            world.settle();
        }
        let timestamp_ms = world.now.wall_ms + i64::from(number);
        world.append(timed(&[timestamp_ms, timestamp_ms - 5]));
        if number % 3 == 0 {
            world.append(of_producer(i64::from(number % 2), 0, number / 6 * 2));
        }
    }
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    world
}

#[test]
fn recovery_from_any_recovery_point_finds_the_same_log() {
    let world = long_segment();
    let mut options = world.options(false);
    options.recovery_point = 0;
    let (whole, _) = World::reopen(world.disk.clone(), options.clone());
    let producers: Vec<_> = whole.log.producers().cloned().collect();
    let (whole, _) = whole.stop();
    for recovery_point in 0..=whole.log.log_end_offset() {
        options.recovery_point = recovery_point;
        let (found, recovered) = World::reopen(world.disk.clone(), options.clone());
        assert_eq!(recovered.truncated_bytes, 0);
        assert_eq!(found.log.synced_offset(), recovery_point);
        assert_eq!(found.log.producers().cloned().collect::<Vec<_>>(), producers);
        let (found, _) = found.stop();
        assert_eq!(found.disk.files, whole.disk.files, "from {recovery_point}");
        assert_eq!(found.log.log_end_offset(), whole.log.log_end_offset());
    }
}

#[test]
fn what_lies_well_below_the_recovery_point_is_not_read() {
    let world = long_segment();
    let end = world.log.log_end_offset();
    let mut options = world.options(false);
    let mut disk = world.disk;
    disk.files.get_mut("orders-0/00000000000000000000.log").unwrap()[3000] ^= 1;
    options.recovery_point = end;
    let (_, recovered) = World::reopen(disk.clone(), options.clone());
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (end, 0));
    options.recovery_point = 0;
    let (_, recovered) = World::reopen(disk, options);
    assert!(recovered.truncated_bytes > 0);
}

#[test]
fn a_log_that_is_in_order_is_neither_written_nor_synced() {
    let of_few = || {
        let mut world = World::new(LogConfig::default());
        world.append(plain(1));
        world.append(of_producer(1, 0, 0));
        world
    };
    for make in [of_few, long_segment, || grown(20)] {
        let (killed, stopped) = (make(), make().stop().0);
        for world in [killed, stopped] {
            let mut options = world.options(false);
            options.recovery_point = 0;
            let (end, operations) = (world.log.log_end_offset(), world.disk.operations);
            let (found, recovered) = World::reopen(world.disk, options);
            assert_eq!((recovered.log_end_offset, recovered.synced_offset), (end, 0));
            assert_eq!(found.disk.operations, operations);
        }
    }
}

#[test]
fn what_was_scanned_counts_towards_the_next_sync_in_the_background() {
    let mut world = World::new(LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() });
    for _ in 0..6 {
        world.append(sized(10_000));
    }
    let (mut world, _) = world.kill();
    assert_eq!(world.log.synced_offset(), 0);
    world.append(sized(10_000));
    assert_eq!(world.log.synced_offset(), 7);
}

#[test]
fn a_log_that_took_long_to_scan_is_synced_before_anything_is_appended() {
    let mut world = World::new(LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() });
    for _ in 0..6 {
        world.append(sized(10_000));
    }
    let (mut world, _) = world.kill();
    world.log.sync_in_background(&mut world.out);
    world.settle();
    assert_eq!(world.log.synced_offset(), 0, "little was scanned");
    world.append(sized(8_000));
    let mut options = world.options(false);
    options.recovery_point = 0;
    let (mut world, _) = World::reopen(world.disk, options);
    world.log.sync_in_background(&mut world.out);
    world.settle();
    assert_eq!(world.log.synced_offset(), 7);
    assert!(world.log.take_new_recovery_point());
}

#[test]
fn an_index_that_says_nonsense_is_no_place_to_begin() {
    let world = long_segment();
    let end = world.log.log_end_offset();
    let mut options = world.options(false);
    options.recovery_point = end;
    let name = "orders-0/00000000000000000000.index";
    for at in 0..world.disk.files[name].len() {
        let mut disk = world.disk.clone();
        disk.files.get_mut(name).unwrap()[at] ^= 0x11;
        let (_, recovered) = World::reopen(disk, options.clone());
        assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (end, 0), "byte {at}");
    }
}

#[test]
fn a_log_syncs_by_itself_so_that_recovery_has_little_to_read() {
    let mut world = World::new(LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() });
    for _ in 0..9 {
        world.append(sized(10_000));
    }
    // 64 KiB of segments of 1 MiB.
    assert_eq!(world.log.synced_offset(), 7);
    assert!(world.log.take_new_recovery_point());
    assert!(!world.log.take_new_recovery_point());
    assert!(world.disk.names("orders-0").contains(&"00000000000000000007.snapshot".to_owned()));
    for _ in 0..40 {
        world.append(sized(10_000));
    }
    let names = world.disk.names("orders-0");
    assert_eq!(names.iter().filter(|name| name.ends_with(".snapshot")).count(), 3, "{names:?}");
}

#[test]
fn zeros_at_the_begin_of_an_index_are_no_entry() {
    // Both were written and never synced: the power left their lengths, and of one the last entry.
    let mut world = World::new(LogConfig::default());
    for timestamp in [50, 60, 70] {
        world.append(timed(&[timestamp]));
    }
    world.log.sync(world.now, &mut world.out);
    world.settle();
    let mut times = vec![0; 12];
    times.extend_from_slice(&70_i64.to_be_bytes());
    times.extend_from_slice(&2_i32.to_be_bytes());
    world.disk.files.insert("orders-0/00000000000000000000.index".to_owned(), vec![0; 8]);
    world.disk.files.insert("orders-0/00000000000000000000.timeindex".to_owned(), times);
    let options = RecoveryOptions { recovery_point: 2, ..world.options(false) };
    let (world, _) = World::reopen(world.disk, options);
    let (world, _) = world.stop();
    let times = &world.disk.files["orders-0/00000000000000000000.timeindex"];
    assert_eq!(times[..8], 70_i64.to_be_bytes(), "{times:?}");
    assert!(world.disk.files["orders-0/00000000000000000000.index"].is_empty());
}
