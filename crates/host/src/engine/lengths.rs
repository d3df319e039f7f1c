//! What gives a file another length than its records have: cuts, and zeros ahead.

use std::sync::Arc;

use strom_storage::disk::{DiskEffect, DiskError, FileId};

use super::{DiskEngine, FlushProgress, no_folder};

impl DiskEngine {
    /// A file that is cut or goes away gets no more zeros.
    pub(super) fn end_fills(&mut self, effect: &DiskEffect) {
        let ended = match effect {
            DiskEffect::Truncate { file, .. } | DiskEffect::Trim { file, .. } => {
                std::slice::from_ref(file)
            }
            DiskEffect::Rename { closes, .. } => closes,
            DiskEffect::RemoveFile { closes, .. } => closes.as_slice(),
            _ => &[],
        };
        ended.iter().for_each(|file| self.filler.end(*file));
    }

    pub(super) fn fill(&mut self, file: FileId, length: u64) -> Result<(), DiskError> {
        let folder = self.folders.get(&file.log).ok_or_else(|| no_folder(file.log))?;
        if !self.filler.has_room(file, self.disk.volume(folder.directory)) {
            return Ok(());
        }
        let path = self.path_of(file)?;
        let Some(progress) = self.progress_of(file).map(Arc::clone) else { return Ok(()) };
        self.filler.fill(file, (path, length), &progress)
    }

    /// Gives a file a length. Synced here and now if asked, rare as it is: what is written in the place
    /// of the cut must not be mixed with what was there, should the power fail.
    ///
    /// Nobody waits for it, so where it fails, all later syncs of the file do.
    pub(super) fn cut(&self, file: FileId, length: u64, is_synced: bool) {
        let Some(progress) = self.progress_of(file) else {
            return self.warn(self.directory_of(file.log), Err(no_folder(file.log)));
        };
        let path = self.path_of(file);
        let opened = match self.open(file, true) {
            Ok(opened) => opened,
            Err(error) => {
                // What was to go is still there; zeros may stay, recovery knows them.
                if let (true, Ok(path)) = (is_synced, &path) {
                    progress.lose_path(path, &error);
                }
                return self.warn(self.directory_of(file.log), Err(error));
            }
        };
        let cut = opened
            .set_len(length)
            .and_then(|()| if is_synced { progress.sync_aside(&opened) } else { Ok(()) })
            .map_err(|error| self.named(file, "cut", &error));
        match (&cut, &path) {
            (Err(error), _) => progress.lose(opened, error),
            (Ok(()), Ok(path)) => progress.cut(path, length),
            (Ok(()), Err(_)) => {}
        }
        self.warn(self.directory_of(file.log), cut);
    }

    fn progress_of(&self, file: FileId) -> Option<&Arc<FlushProgress>> {
        let directory = self.folders.get(&file.log)?.directory;
        self.progress.get(usize::from(directory.0))
    }
}
