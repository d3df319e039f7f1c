//! The files that are open: opened on first use, the least used closed above a limit.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use strom_base::IdMap;
use strom_storage::disk::{DiskError, FileId, LogId};

use crate::file_disk::disk_error;

#[derive(Debug)]
struct Opened {
    file: Arc<File>,
    last_use: u64,
    /// Set by the sync worker once the file's name is as safe as its bytes.
    name_is_synced: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(crate) struct OpenFiles {
    by_id: IdMap<FileId, Opened>,
    /// How many files of each log are open: logs that go by the thousand mostly have none.
    by_log: IdMap<LogId, u32>,
    clock: u64,
    most: usize,
}

impl OpenFiles {
    pub(crate) fn new(most: usize) -> Self {
        Self { by_id: IdMap::default(), by_log: IdMap::default(), clock: 0, most }
    }

    /// A file that is open already.
    pub(crate) fn get(&mut self, id: FileId) -> Option<Arc<File>> {
        self.clock += 1;
        let opened = self.by_id.get_mut(&id)?;
        opened.last_use = self.clock;
        Some(Arc::clone(&opened.file))
    }

    /// Who reads must not make the file: one that was lost would come back empty.
    pub(crate) fn open(
        &mut self,
        id: FileId,
        path: &Path,
        is_to_write: bool,
    ) -> Result<Arc<File>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(is_to_write)
            .truncate(false)
            .open(path)
            .map_err(|error| disk_error(&format!("open {}", path.display()), &error))?;
        let file = Arc::new(file);
        if self.by_id.len() >= self.most {
            self.close_least_used();
        }
        let (last_use, name_is_synced) = (self.clock, Arc::default());
        let opened = Opened { file: Arc::clone(&file), last_use, name_is_synced };
        if self.by_id.insert(id, opened).is_none() {
            *self.by_log.entry(id.log).or_default() += 1;
        }
        Ok(file)
    }

    /// Whether the name of a file was synced since the file was opened.
    pub(crate) fn name_is_synced(&self, id: FileId) -> Arc<AtomicBool> {
        let known = self.by_id.get(&id).map(|opened| Arc::clone(&opened.name_is_synced));
        known.unwrap_or_default()
    }

    pub(crate) fn close(&mut self, files: &[FileId]) {
        for file in files {
            if self.by_id.remove(file).is_some() {
                count_down(&mut self.by_log, file.log);
            }
        }
    }

    pub(crate) fn close_all_of(&mut self, log: LogId) {
        if self.by_log.remove(&log).is_some() {
            self.by_id.retain(|file, _| file.log != log);
        }
    }

    /// Closes the least used eighth, so that the scan is paid once in many opens.
    fn close_least_used(&mut self) {
        let mut uses: Vec<u64> = self.by_id.values().map(|opened| opened.last_use).collect();
        uses.sort_unstable();
        if let Some(limit) = uses.get(uses.len() / 8).copied() {
            for (file, _) in self.by_id.extract_if(|_, opened| opened.last_use <= limit) {
                count_down(&mut self.by_log, file.log);
            }
        }
    }
}

fn count_down(by_log: &mut IdMap<LogId, u32>, log: LogId) {
    if let Some(count) = by_log.get_mut(&log) {
        *count -= 1;
        if *count == 0 {
            by_log.remove(&log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_storage::disk::FileKind;

    #[test]
    fn the_least_used_are_closed_and_those_of_a_log_at_once() {
        let root = tempfile::tempdir().expect("a folder");
        let mut open = OpenFiles::new(8);
        let file = |log| FileId { log: LogId(log), segment: 0, kind: FileKind::Records };
        for log in 0..9 {
            let path = root.path().join(log.to_string());
            open.open(file(log), &path, true).expect("a file");
            assert!(open.get(file(log)).is_some());
        }
        assert!(open.get(file(0)).is_none() && open.get(file(1)).is_none());
        open.close_all_of(LogId(0));
        open.close_all_of(LogId(5));
        open.close(&[file(6), file(6)]);
        assert!(open.get(file(5)).is_none() && open.get(file(6)).is_none());
        assert!(open.get(file(7)).is_some() && open.by_log.len() == open.by_id.len());
    }
}
