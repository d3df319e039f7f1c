//! The folder of a log: when it is made, what is in it, and what a loss of power may leave of it.

use strom_base::Random;
use strom_storage::config::LogConfig;
use strom_storage::disk::DiskError;
use strom_storage::log::Completed;

use crate::batches::{plain, sized, stamped};
use crate::memory_disk::MemoryDisk;
use crate::world::World;

const EPOCHS: &str = "orders-0/leader-epoch-checkpoint";

#[test]
fn nothing_is_on_the_disk_before_the_first_append() {
    let mut world = World::new(LogConfig::default());
    assert!(!world.log.has_folder());
    world.log.start_epoch(0, &mut world.out);
    world.log.on_retention_check(world.now, &mut world.out);
    assert_eq!(world.log.close(world.now, &mut world.out), None);
    world.settle();
    assert_eq!(world.disk.operations, 0);
    world.append(plain(1));
    assert!(world.log.has_folder());
    let names =
        ["00000000000000000000.log", "leader-epoch-checkpoint", "partition.metadata"].to_vec();
    assert_eq!(world.disk.names("orders-0"), names);
    assert_eq!(world.disk.files[EPOCHS], b"0\n1\n0 0\n");
    assert_eq!(world.disk.synced, [""; 0], "nobody has asked for it");
}

#[test]
fn a_log_without_a_folder_goes_without_a_trace() {
    let mut world = World::new(LogConfig::default());
    world.log.delete(world.now, Random::new(1).uuid(), &mut world.out);
    let due_ms = world.log.next_deadline().unwrap();
    assert_eq!(due_ms, world.now.monotonic_ms);
    world.log.on_deadline(world.now, &mut world.out);
    assert!(world.log.is_removed() && world.out.is_empty());
}

#[test]
fn the_first_sync_covers_the_folders_small_files_also_after_a_kill() {
    let small = ["orders-0/partition.metadata", EPOCHS].map(str::to_owned);
    let of = |world: &World<MemoryDisk>| -> Vec<String> {
        world.disk.synced.iter().filter(|path| small.contains(path)).cloned().collect()
    };
    let mut world = World::new(LogConfig::default());
    world.log.start_epoch(0, &mut world.out);
    world.append(plain(1));
    let (mut world, _) = world.kill();
    assert_eq!(of(&world), [""; 0]);
    world.append(plain(1));
    // Writes the indexes out: the recovery point waits for them.
    world.log.on_retention_check(world.now, &mut world.out);
    for _ in 0..2 {
        world.log.sync(world.now, &mut world.out);
        world.settle();
        assert_eq!(of(&world), small);
    }
    let (mut world, _) = world.kill();
    world.append(plain(1));
    world.log.sync(world.now, &mut world.out);
    world.settle();
    assert_eq!(of(&world), small, "they are known to be synced");
}

#[test]
fn a_full_disk_has_no_room_for_the_folder_and_later_it_has() {
    let mut world = World::new(LogConfig { flush_messages: 1, ..LogConfig::default() });
    world.disk.is_full = true;
    let refused = world.append(plain(2)).ticket.unwrap();
    let is_failed = |it: &Completed| match it {
        Completed::Failed { tickets, error: DiskError::Full(_) } => tickets == &[refused],
        _ => false,
    };
    assert!(world.completed.iter().any(is_failed), "{:?}", world.completed);
    assert!(!world.log.is_failed() && !world.log.has_folder());
    assert_eq!((world.log.log_end_offset(), world.log.written_offset()), (0, 0));
    world.disk.is_full = false;
    assert_eq!(world.append(plain(2)).first_offset, 0);
    assert_eq!((world.log.written_offset(), world.log.synced_offset()), (2, 2));
    assert!(world.disk.synced.contains(&EPOCHS.to_owned()));
}

#[test]
fn what_came_into_a_folder_that_was_refused_does_not_stay() {
    let mut world = World::new(LogConfig { segment_bytes: 3000, ..LogConfig::default() });
    world.disk.refused = Some("partition.metadata");
    world.holds = true;
    for _ in 0..8 {
        world.append(sized(900));
    }
    // Before the disk has said anything of the folder there are three segments, two of them closed.
    assert!(world.disk.names("orders-0").len() > 4, "{:?}", world.disk.names("orders-0"));
    world.holds = false;
    world.settle();
    assert!(!world.log.has_folder() && world.log.log_end_offset() == 0);
    world.disk.refused = None;
    world.append(sized(900));
    let names =
        ["00000000000000000000.log", "leader-epoch-checkpoint", "partition.metadata"].to_vec();
    assert_eq!(world.disk.names("orders-0"), names);
    let (world, recovered) = world.stop();
    assert_eq!((recovered.log_end_offset, world.log.log_start_offset()), (1, 0));
}

#[test]
fn epochs_are_read_from_the_batches_when_their_checkpoint_is_damaged_or_gone() {
    for is_clean in [true, false] {
        let damaged = [&b""[..], &[0; 12], b"0\n", b"0\n2\n0 0\n", b"0\n1\n0"];
        for damaged in damaged.map(Some).into_iter().chain([None]) {
            let config = LogConfig { segment_bytes: 3000, ..LogConfig::default() };
            let mut world = World::new(config);
            world.log.start_epoch(0, &mut world.out);
            for _ in 0..6 {
                world.append(sized(900));
            }
            let later = bytes::Bytes::from(stamped(6, 5, 2));
            world.log.append_as_follower(world.now, later, 5, &mut world.out).unwrap();
            world.settle();
            world.log.sync(world.now, &mut world.out);
            world.settle();
            let whole = world.disk.files.remove(EPOCHS);
            if let Some(damaged) = damaged {
                world.disk.files.insert(EPOCHS.to_owned(), damaged.to_vec());
            }
            let (world, recovered) = if is_clean { world.stop() } else { world.kill() };
            assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (8, 0));
            assert_eq!(world.log.end_offset_for_epoch(0), Some((0, 6)), "{damaged:?}");
            assert_eq!(world.log.latest_epoch(), Some(5));
            assert_eq!(world.disk.files.get(EPOCHS), whole.as_ref());
        }
    }
}
