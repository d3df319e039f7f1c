//! Foreign and damaged bytes: errors, never a panic.

use crate::world::{max_timestamp, offset_for_timestamp};
use proptest::prelude::*;
use strom_storage::config::LogConfig;
use strom_storage::format::{
    clean_shutdown, directory_name, file_name, leader_epoch_checkpoint, meta_properties,
    offset_checkpoint, partition_metadata, producer_snapshot,
};
use strom_storage::log::AppendOrigin;
use strom_storage::recovery::{RecoveryOptions, recover_log};

use crate::batches::{of_producer, plain};
use crate::memory_disk::MemoryDisk;
use crate::world::{World, identity, start};

fn sample() -> (MemoryDisk, RecoveryOptions) {
    let config = LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..Default::default() };
    let mut world = World::new(config);
    for sequence in 0..10 {
        world.append(of_producer(1, 0, sequence * 2));
        world.append(plain(2));
    }
    world.log.close(world.now, &mut world.out);
    world.settle();
    let options = world.options(true);
    (world.disk, options)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parsers_survive_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = leader_epoch_checkpoint::parse(&bytes);
        let _ = offset_checkpoint::parse(&bytes);
        let _ = meta_properties::parse(&bytes);
        let _ = partition_metadata::parse(&bytes);
        let _ = producer_snapshot::parse(&bytes);
        let _ = clean_shutdown::parse(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = directory_name::parse(&text);
        let _ = file_name::parse(&text);
    }

    #[test]
    fn a_log_with_damaged_files_opens_or_says_why(
        choice in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in 1u8..,
        cut in any::<bool>(),
        clean in any::<bool>(),
    ) {
        let (mut disk, mut options) = sample();
        options.clean = clean;
        options.recovery_point = 7;
        let names: Vec<String> = disk.files.keys().cloned().collect();
        let file = disk.files.get_mut(&names[choice.index(names.len())]).unwrap();
        if !file.is_empty() {
            let at = at.index(file.len());
            if cut { file.truncate(at) } else { file[at] ^= change }
        }
        let folder = strom_storage::disk::DiskPath {
            directory: strom_storage::disk::DirectoryId(0),
            path: "orders-0".to_owned(),
        };
        if let Ok(recovered) = recover_log(&mut disk, &folder, options.clone()) {
            let log = strom_storage::Log::open(identity(), options.config, recovered, start());
            let files = crate::world::LogFiles { disk: &disk, log: &log };
            for offset in (log.log_start_offset()..=log.log_end_offset()).take(100) {
                let request = strom_storage::log::ReadRequest {
                    offset, max_bytes: 100, upper_bound_offset: i64::MAX, at_least_one_batch: true,
                };
                let _ = log.read(&files, &request);
                let _ = offset_for_timestamp(&log, &files, crate::world::START_MS + offset);
                let _ = log.plan_truncation(&files, offset);
            }
            let _ = log.aborted_transactions(&files, 0, 100);
            let _ = max_timestamp(&log, &files);
        }
    }

    #[test]
    fn appends_of_any_bytes_are_refused_or_taken_whole(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        good in any::<bool>(),
        at in any::<prop::sample::Index>(),
        change in any::<u8>(),
    ) {
        if good {
            bytes = plain(3);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        for origin in [AppendOrigin::Client, AppendOrigin::Coordinator, AppendOrigin::Raft] {
            let mut world = World::new(LogConfig::default());
            let _ = world.try_append(bytes.clone(), origin);
        }
        let mut world = World::new(LogConfig::default());
        let bytes = bytes::Bytes::from(bytes);
        let _ = world.log.append_as_follower(world.now, bytes, i32::MAX, &mut world.out);
        world.settle();
        world.check();
    }
}
