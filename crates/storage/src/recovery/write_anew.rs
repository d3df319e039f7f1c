//! After a sync that failed: the system takes what it was about for clean, reads go on showing it, and
//! another sync would find nothing to do. What is to be kept is written once more.

use super::{Recovery, RecoveryError};
use crate::disk::{Disk, DiskPath, FileKind};

const PIECE_LENGTH: usize = 256 << 10;
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
    let mut piece = vec![0; PIECE_LENGTH];
    let mut position = 0;
    loop {
        let read = disk.read_at(path, position, &mut piece)?;
        if read == 0 {
            return Ok(());
        }
        disk.write_at(path, position, piece.get(..read).unwrap_or_default())?;
        position += read as u64;
    }
}
