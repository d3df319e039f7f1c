//! A log in a real folder: what is written there is for Apache Kafka's tools to read.
//!
//! `STROM_FOLDER=/tmp/x cargo test -p strom-storage real_folder` keeps the files, for
//! `kafka-dump-log.sh --index-sanity-check`.

use std::fs;
use std::path::PathBuf;

use strom_protocol::compression::Codec;
use strom_storage::config::LogConfig;
use strom_storage::log::AppendOrigin;

use crate::batches::{compressed, marker, of_producer, sized, timed, transactional};
use crate::folder_disk::FolderDisk;
use crate::world::{START_MS, World};

fn fresh_folder() -> PathBuf {
    let root = match std::env::var_os("STROM_FOLDER") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir().join(format!("strom-storage-{}", std::process::id())),
    };
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    root
}

#[test]
fn a_log_in_a_real_folder_is_written_killed_stopped_and_read() {
    let root = fresh_folder();
    let config = LogConfig { segment_bytes: 30_000, ..LogConfig::default() };
    let mut world = World::on(FolderDisk { root: root.clone() }, config);
    world.log.start_epoch(0, &mut world.out);
    for step in 0..40 {
        world.append(timed(&[START_MS + step, START_MS + step + 1000]));
        world.append(sized(900));
        world.append(of_producer(7, 0, step as i32 * 2));
        world.append(compressed(Codec::ALL[step as usize % 5], 50));
        world.append(transactional(8, step as i32));
        world.try_append(marker(8, step % 3 == 0), AppendOrigin::Coordinator).unwrap();
    }
    let end = world.log.log_end_offset();
    assert!(world.log.segments().count() > 2);
    let (world, recovered) = world.kill();
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (end, 0));
    let (world, recovered) = world.stop();
    assert_eq!(recovered.log_end_offset, end);
    assert_eq!(world.read(end - 1, 1).base_offset, end - 1);
    let aborted = world.log.aborted_transactions(&world.files(), 0, end).unwrap();
    assert_eq!(aborted.len(), 26);
    if std::env::var_os("STROM_FOLDER").is_none() {
        fs::remove_dir_all(&root).unwrap();
    }
}
