//! What syncs name while earlier ones are under way.

use strom_storage::config::LogConfig;
use strom_storage::disk::{Completion, DiskError, FileId, FileKind, Ticket};
use strom_storage::log::Completed;

use crate::batches::sized;
use crate::world::World;

const SEGMENTS: usize = 100;

/// Each roll asks for a sync, and none of them comes through.
fn world_behind() -> World<crate::memory_disk::MemoryDisk> {
    let mut world = World::new(LogConfig { segment_bytes: 1500, ..LogConfig::default() });
    world.append(sized(1000));
    world.holds = true;
    for _ in 0..SEGMENTS {
        world.append(sized(1000));
    }
    assert_eq!(world.synced.len(), SEGMENTS);
    world
}

fn records(files: &[FileId]) -> Vec<i64> {
    let records = files.iter().filter(|file| file.kind == FileKind::Records);
    records.map(|file| file.segment).collect()
}

/// Completions of the syncs under way, taken out of what waits to be reported.
fn take_syncs(world: &mut World<impl strom_storage::disk::Disk>) -> Vec<Completion> {
    let tickets: Vec<Ticket> = world.synced.iter().map(|(ticket, _)| *ticket).collect();
    let is_sync = |it: &Completion| tickets.contains(&it.ticket);
    let syncs = world.reports.iter().filter(|it| is_sync(it)).cloned().collect();
    world.reports.retain(|it| !is_sync(it));
    syncs
}

#[test]
fn a_file_is_named_by_one_sync_though_thousands_are_under_way() {
    let world = world_behind();
    for (index, (_, files)) in world.synced.iter().enumerate() {
        assert_eq!(records(files), [index as i64]);
        assert!(files.len() <= 6, "{files:?}");
    }
}

#[test]
fn what_finds_no_room_is_named_again_and_syncs_behind_it_do_not_count() {
    let mut world = world_behind();
    let mut syncs = take_syncs(&mut world);
    world.holds = false;
    world.settle();
    world.completed.clear();
    let full = DiskError::Full("test".to_owned());
    let last = syncs.split_off(SEGMENTS / 2);
    for (index, mut sync) in syncs.into_iter().enumerate() {
        if index == 10 {
            sync.result = Err(full.clone());
        }
        world.report(&sync);
    }
    assert_eq!(world.log.synced_offset(), 10);
    let postponed = world.completed.iter();
    let postponed = postponed.filter(|it| matches!(it, Completed::Postponed { .. }));
    assert_eq!(postponed.count(), SEGMENTS / 2 - 10);
    // Indexes without entries may have found no room for their files either.
    world.log.on_retention_check(world.now, &mut world.out);
    world.settle();
    world.log.sync(world.now, &mut world.out);
    world.holds = true;
    world.settle();
    let (_, named) = world.synced.last().expect("a sync").clone();
    assert!(records(&named).ends_with(&(9..=SEGMENTS as i64).collect::<Vec<_>>()), "{named:?}");
    last.iter().for_each(|sync| world.report(sync));
    assert_eq!(world.log.synced_offset(), 10, "they were asked for before it");
    world.holds = false;
    world.settle();
    assert_eq!(world.log.synced_offset(), SEGMENTS as i64 + 1);
    assert!(!world.log.is_failed());
}
