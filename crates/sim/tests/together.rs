//! Many files put in place at once, with the power failing anywhere: each is the old one or the new
//! one, none is there before what it may be the proof of, and what was promised stays.

use bytes::Bytes;
use strom_base::Random;
use strom_sim::disk::SimDisk;
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath, replace_each, replace_with_all};

const FOLDERS: usize = 5;
const DIRECTORY: DirectoryId = DirectoryId(0);
const OLD: &[u8] = b"old";
const NEW: &[u8] = b"the new one";

fn path(folder: usize, name: &str) -> DiskPath {
    DiskPath { directory: DIRECTORY, path: format!("t-{folder}/{name}") }
}

/// Folders with a state each, and records that nobody has synced.
fn prepared() -> Result<SimDisk, DiskError> {
    let mut disk = SimDisk::new();
    for folder in 0..FOLDERS {
        disk.create_directory(&DiskPath { directory: DIRECTORY, path: format!("t-{folder}") })?;
        disk.replace(&path(folder, "state"), OLD)?;
        disk.write_at(&path(folder, "records"), 0, NEW)?;
    }
    Ok(disk)
}

fn replace_all(disk: &mut SimDisk) -> Result<Vec<Result<(), DiskError>>, DiskError> {
    let files: Vec<_> =
        (0..FOLDERS).map(|it| (path(it, "state"), Bytes::from_static(NEW))).collect();
    replace_with_all(disk, DIRECTORY, &files)
}

#[test]
fn the_power_may_fail_anywhere() {
    let mut whole = prepared().expect("prepared");
    let first = whole.operations();
    replace_all(&mut whole).expect("done");
    let last = whole.operations();
    for crash_at in first..=last {
        for seed in 0..50 {
            let mut disk = prepared().expect("prepared");
            disk.faults.crash_at = Some(crash_at);
            let told = replace_all(&mut disk);
            let is_kept = told.is_ok_and(|all| all.iter().all(Result::is_ok));
            assert_eq!(is_kept, crash_at == last);
            disk.crash(&mut Random::new(seed));
            let states: Vec<Vec<u8>> = (0..FOLDERS)
                .map(|it| disk.read_file(&path(it, "state"), 100).expect("a state"))
                .collect();
            assert!(states.iter().all(|it| it == NEW || (it == OLD && !is_kept)), "{states:?}");
            if states.iter().any(|it| it == NEW) {
                for folder in 0..FOLDERS {
                    let records = disk.read_file(&path(folder, "records"), 100);
                    assert_eq!(records.as_deref(), Ok(NEW), "at {crash_at}, seed {seed}");
                }
            }
        }
    }
}

#[test]
fn one_that_cannot_be_written_leaves_the_others_alone() {
    let mut disk = prepared().expect("prepared");
    // The second file's first operation.
    disk.faults.failing.insert(disk.operations() + 3);
    let told = replace_all(&mut disk).expect("the syncs succeed");
    assert_eq!(told.iter().filter(|it| it.is_err()).count(), 1, "{told:?}");
    let sync = disk.operations() + 3 * FOLDERS as u64;
    disk.faults.failing.insert(sync);
    assert!(replace_all(&mut disk).is_err());
}

#[test]
fn each_file_stands_or_says_why_not() {
    let mut disk = prepared().expect("prepared");
    let files = [path(0, "state"), path(FOLDERS, "state"), path(1, "state")]
        .map(|path| (path, Bytes::from_static(NEW)));
    let told = replace_each(&mut disk, &files);
    assert!(matches!(told[..], [Ok(()), Err(DiskError::NotFound(_)), Ok(())]), "{told:?}");
    disk.crash(&mut Random::new(1));
    assert_eq!(disk.read_file(&path(1, "state"), 100).as_deref(), Ok(NEW));
}
