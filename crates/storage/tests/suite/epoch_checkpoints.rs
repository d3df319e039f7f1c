//! What becomes of leader epochs whose checkpoint finds no room.

use strom_storage::config::LogConfig;

use crate::batches::sized;
use crate::memory_disk::MemoryDisk;
use crate::world::World;

/// Each record has its index entries: empty index files are doubted when there is no room.
fn config() -> LogConfig {
    LogConfig { segment_bytes: 3000, index_interval_bytes: 0, ..Default::default() }
}

/// A record of epoch 0, and two segments of epoch 1, which stands in no checkpoint.
fn lacking_world() -> World<MemoryDisk> {
    let mut world = World::new(config());
    world.append(sized(1000));
    world.disk.refused = Some("leader-epoch-checkpoint.tmp");
    world.leader_epoch = 1;
    for _ in 0..3 {
        world.append(sized(1000));
    }
    move_recovery_point(&mut world);
    world
}

fn move_recovery_point(world: &mut World<MemoryDisk>) {
    world.log.move_recovery_point(&mut world.out);
    world.settle();
}

#[test]
fn the_next_start_learns_them_from_the_records() {
    let mut world = lacking_world();
    assert_eq!(world.log.segments().count(), 2);
    assert_eq!((world.log.synced_offset(), world.log.recovery_point()), (4, 1));
    world.disk.refused = None;
    let (world, _) = world.kill();
    assert_eq!(world.log.end_offset_for_epoch(0), Some((0, 1)));
}

#[test]
fn they_are_written_again_with_a_later_sync() {
    let mut world = lacking_world();
    world.disk.refused = None;
    move_recovery_point(&mut world);
    assert_eq!(world.log.recovery_point(), 4);
    let (world, _) = world.kill();
    assert_eq!(world.log.end_offset_for_epoch(0), Some((0, 1)));
}

/// Of two that are under way the first may come through alone.
#[test]
fn an_older_checkpoint_does_not_stand_for_the_last() {
    let mut world = World::new(config());
    world.append(sized(1000));
    for epoch in 1..3 {
        world.leader_epoch = epoch;
        world.holds = true;
        world.append(sized(1000));
        world.disk.refused = Some("leader-epoch-checkpoint.tmp");
    }
    world.holds = false;
    move_recovery_point(&mut world);
    assert_eq!((world.log.synced_offset(), world.log.recovery_point()), (3, 1));
    world.disk.refused = None;
    let (world, _) = world.kill();
    assert_eq!(world.log.end_offset_for_epoch(1), Some((1, 2)));
}
