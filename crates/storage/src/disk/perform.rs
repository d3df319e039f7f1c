//! What the effects mean: each done at once on a blocking disk. An engine that does them later, or
//! on several threads, has to amount to this.

use bytes::Bytes;
use strom_base::{Planted, planted};

use super::{Disk, DiskEffect, DiskError, DiskPath, FileId, FileKind, Ticket};
use crate::format::file_name;

/// Does an effect. Who waits for it, if anybody, and what came of it.
///
/// `path_of` knows where the logs' files are.
pub fn perform(
    disk: &mut dyn Disk,
    effect: DiskEffect,
    path_of: &dyn Fn(FileId) -> Result<DiskPath, DiskError>,
) -> (Option<Ticket>, Result<(), DiskError>) {
    match effect {
        DiskEffect::Write { file, position, bytes, ticket } => {
            let written = path_of(file).and_then(|path| disk.write_at(&path, position, &bytes));
            (Some(ticket), written)
        }
        DiskEffect::Sync { files, ticket } => {
            let mut each = files.into_iter().map(|file| sync_with_folders(disk, &path_of(file)?));
            (Some(ticket), each.try_for_each(|synced| synced))
        }
        DiskEffect::Truncate { file, length } => {
            (None, path_of(file).and_then(|path| truncate(disk, &path, length)))
        }
        DiskEffect::Fill { file, length } => {
            (None, path_of(file).and_then(|path| fill(disk, &path, length)))
        }
        DiskEffect::Trim { file, length } => {
            (None, path_of(file).and_then(|path| disk.truncate(&path, length)))
        }
        DiskEffect::Replace { path, bytes, ticket } => (Some(ticket), disk.replace(&path, &bytes)),
        DiskEffect::CreateFolder { path, files, ticket } => {
            (Some(ticket), create_folder(disk, &path, &files))
        }
        DiskEffect::Rename { from, to, .. } => (None, disk.rename(&from, &to)),
        DiskEffect::RemoveFile { path, .. } => (None, missing_is_fine(disk.remove_file(&path))),
        DiskEffect::RemoveDirectory { path } => {
            (None, missing_is_fine(disk.remove_directory(&path)))
        }
    }
}

/// [`DiskEffect::CreateFolder`]
///
/// # Errors
/// A part of it may be done.
pub fn create_folder(
    disk: &mut dyn Disk,
    path: &DiskPath,
    files: &[(FileKind, Bytes)],
) -> Result<(), DiskError> {
    disk.create_directory(path)?;
    for (kind, bytes) in files {
        disk.write_file(&path.below(&file_name::format(0, *kind)), bytes)?;
    }
    Ok(())
}

/// Synced at once, behind the renames that went before: what lay behind the cut is never to be
/// read again, not even when what is written in its place reaches the disk before the new length
/// does.
fn truncate(disk: &mut dyn Disk, path: &DiskPath, length: u64) -> Result<(), DiskError> {
    disk.sync_directory(&path.parent())?;
    disk.truncate(path, length)?;
    disk.sync(path)
}

/// [`DiskEffect::Fill`]; of a file that is not there any more, nothing.
fn fill(disk: &mut dyn Disk, path: &DiskPath, length: u64) -> Result<(), DiskError> {
    let entries = missing_is_fine(disk.list(&path.parent()))?;
    let found =
        entries.into_iter().find(|entry| path.path.rsplit('/').next() == Some(&*entry.name));
    let Some(end) = found.map(|entry| entry.length).filter(|end| *end < length) else {
        return Ok(());
    };
    let zeros = (length - end) as usize;
    match disk.write_zeros(path, end, zeros).and_then(|()| disk.sync(path)) {
        // Then there are as many as there is room for.
        Err(DiskError::Full(_)) => Ok(()),
        result => result,
    }
}

/// A file and its directory entries, up to the root.
fn sync_with_folders(disk: &mut dyn Disk, path: &DiskPath) -> Result<(), DiskError> {
    disk.sync(path)?;
    let mut folder = path.parent();
    while !planted(Planted::FolderUnsynced) {
        disk.sync_directory(&folder)?;
        if folder.path.is_empty() {
            break;
        }
        folder = folder.parent();
    }
    Ok(())
}

fn missing_is_fine<T: Default>(result: Result<T, DiskError>) -> Result<T, DiskError> {
    match result {
        Err(DiskError::NotFound(_)) => Ok(T::default()),
        result => result,
    }
}
