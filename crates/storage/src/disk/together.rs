//! Many small files put in place at once.
//!
//! One after the other each file waits for the disk three times: for its bytes, for its new name, for
//! what came before it. Together they wait about three times in all, as a file system commits what
//! has gathered: the first sync of each step carries the others along. Where a disk can sync all it
//! holds at once, hundreds wait twice, whatever else waits with them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Disk, DiskError, DiskPath};

/// As [`Disk::replace`] for each; the paths differ. Outcomes in the same order.
pub fn replace_each(
    disk: &mut dyn Disk,
    files: &[(DiskPath, Bytes)],
) -> Vec<Result<(), DiskError>> {
    let mut outcomes = write_beside(disk, files);
    let written = files.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
    let written: Vec<DiskPath> = written.map(|((path, _), _)| path.temporary()).collect();
    let mut synced = disk.sync_each(&written).into_iter();
    for_those_well(files, &mut outcomes, |_| {
        synced.next().unwrap_or_else(|| Err(DiskError::Io("no outcome of a sync".to_owned())))
    });
    for_those_well(files, &mut outcomes, |path| disk.rename(&path.temporary(), path));
    let mut folders = BTreeMap::new();
    for_those_well(files, &mut outcomes, |path| {
        let folder = path.parent();
        folders.entry(folder).or_insert_with_key(|folder| disk.sync_directory(folder)).clone()
    });
    outcomes
}

/// The same by [`Disk::sync_all`] of the log directory that the files are in: all that was written
/// there before is safe when the first of them gets its name.
///
/// # Errors
/// When such a sync fails: nobody knows what is safe, of the files and of all that was there before.
pub fn replace_with_all(
    disk: &mut dyn Disk,
    directory: super::DirectoryId,
    files: &[(DiskPath, Bytes)],
) -> Result<Vec<Result<(), DiskError>>, DiskError> {
    let mut outcomes = write_beside(disk, files);
    disk.sync_all(directory)?;
    for_those_well(files, &mut outcomes, |path| disk.rename(&path.temporary(), path));
    if outcomes.iter().any(Result::is_ok) {
        disk.sync_all(directory)?;
    }
    Ok(outcomes)
}

fn write_beside(disk: &mut dyn Disk, files: &[(DiskPath, Bytes)]) -> Vec<Result<(), DiskError>> {
    files.iter().map(|(path, bytes)| disk.write_file(&path.temporary(), bytes)).collect()
}

fn for_those_well(
    files: &[(DiskPath, Bytes)],
    outcomes: &mut [Result<(), DiskError>],
    mut step: impl FnMut(&DiskPath) -> Result<(), DiskError>,
) {
    for ((path, _), outcome) in files.iter().zip(outcomes) {
        if outcome.is_ok() {
            *outcome = step(path);
        }
    }
}
