//! After a sync that failed: the system takes what it was about for clean, reads go on showing it, and
//! another sync would find nothing to do. What is to be kept is written once more.

use strom_base::{Planted, planted};

use super::{Recovery, RecoveryError};
use crate::disk::{Disk, DiskError, DiskPath, FileKind};

const PIECE_LENGTH: usize = 256 << 10;
/// A file that is never read the same twice in a row belongs to a disk that is beyond help.
const READS_MAX: usize = 8;
const KINDS: [FileKind; 4] =
    [FileKind::Records, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];

impl Recovery {
    /// Writes the segments from the recovery point on, and the one that ends there, and syncs them: before
    /// they are looked at, so that what is found is what the disk has.
    pub(super) fn write_anew(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        let recovery_point = self.options.recovery_point;
        let behind = self.segments.partition_point(|it| it.base_offset < recovery_point);
        for segment in self.segments.get(behind.saturating_sub(1)..).unwrap_or_default() {
            let is_there = |kind: &FileKind| {
                *kind == FileKind::Records
                    || self.index_lengths.contains_key(&(segment.base_offset, *kind))
            };
            for kind in KINDS.into_iter().filter(is_there) {
                let path = self.segment_file(segment.base_offset, kind);
                write_again(disk, &path)?;
                disk.sync(&path)?;
            }
        }
        for kind in &self.small_files {
            let path = self.file(crate::format::file_name::suffix(*kind));
            write_again(disk, &path)?;
            disk.sync(&path)?;
        }
        disk.sync_directory(&self.path)?;
        Ok(disk.sync_directory(&self.path.parent())?)
    }

    /// What was written anew, and what was changed since, is synced.
    pub(super) fn settle_doubt(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        disk.remove_file(&self.segment_file(0, FileKind::FailedSync))?;
        self.has_new_names = true;
        self.synced_offset = self.log_end_offset;
        Ok(())
    }
}

fn write_again(disk: &mut dyn Disk, path: &DiskPath) -> Result<(), RecoveryError> {
    let mut position = 0;
    loop {
        let piece = read_surely(disk, path, position)?;
        if piece.is_empty() {
            return Ok(());
        }
        disk.write_at(path, position, &piece)?;
        position += piece.len() as u64;
    }
}

/// What comes wrong from the disk once must not take the place of what is right.
fn read_surely(disk: &dyn Disk, path: &DiskPath, position: u64) -> Result<Vec<u8>, DiskError> {
    let read = || -> Result<Vec<u8>, DiskError> {
        let mut piece = vec![0; PIECE_LENGTH];
        let length = disk.read_at(path, position, &mut piece)?;
        piece.truncate(length);
        Ok(piece)
    };
    let mut last = read()?;
    for _ in 1..READS_MAX {
        let again = read()?;
        if again == last || planted(Planted::WrongReadBelieved) {
            return Ok(last);
        }
        last = again;
    }
    Err(DiskError::Io(format!("{} is read differently each time", path.path)))
}
