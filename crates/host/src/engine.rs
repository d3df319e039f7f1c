//! The buffered disk engine: the page cache keeps *written*, the sync workers keep *synced*.
//!
//! Writes run on the shard's thread: a write into the page cache is cheaper than a hand-over.
//! Files are opened on first use and the least used are closed above a limit.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use strom_base::IdMap;
use strom_broker::boot::file_path;
use strom_storage::disk::{
    Completion, DirectoryId, Disk, DiskEffect, DiskError, DiskPath, FileId, LogId, ReadFiles,
    Volume,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::descriptors::Descriptors;
use crate::file_disk::{FileDisk, disk_error, read_fully};
use crate::sync_worker::{OpenFile, SlowResult, SlowWork, SyncWorker};

/// One large write call takes the page cache's slow path (performance.md 3.1), so none is larger.
const WRITE_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug)]
struct Opened {
    file: Arc<File>,
    last_use: u64,
    /// Set by the sync worker once the file's name is as safe as its bytes.
    name_is_synced: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct OpenFiles {
    by_id: IdMap<FileId, Opened>,
    clock: u64,
}

#[derive(Debug)]
pub struct BufferedEngine {
    disk: FileDisk,
    folders: IdMap<LogId, DiskPath>,
    open: RefCell<OpenFiles>,
    open_max: usize,
    workers: Vec<SyncWorker>,
}

impl BufferedEngine {
    /// # Errors
    /// When the system gives no threads.
    pub fn start(
        directories: Vec<PathBuf>,
        descriptors: Descriptors,
        results: &UnboundedSender<SlowResult>,
    ) -> std::io::Result<Self> {
        let disk = FileDisk::new(directories.clone());
        let workers = (0..directories.len())
            .map(|index| SyncWorker::start(format!("sync-{index}"), disk.clone(), results.clone()))
            .collect::<std::io::Result<_>>()?;
        let (folders, open) = (IdMap::default(), RefCell::default());
        Ok(Self { disk, folders, open, open_max: descriptors.files, workers })
    }

    /// Where a log's files are; `None` forgets it.
    pub fn place(&mut self, log: LogId, folder: Option<DiskPath>) {
        match folder {
            Some(path) => {
                self.folders.insert(log, path);
            }
            None => {
                self.folders.remove(&log);
                self.open.borrow_mut().by_id.retain(|file, _| file.log != log);
            }
        }
    }

    /// Performs one effect. Writes complete at once and are pushed to `completions`; what a worker
    /// does completes through the results channel.
    pub fn perform(&mut self, effect: DiskEffect, completions: &mut Vec<Completion>) {
        match effect {
            DiskEffect::Write { file, position, bytes, ticket } => {
                let result = self.write(file, position, &bytes);
                completions.push(Completion { ticket, result });
            }
            DiskEffect::Sync { files, ticket } => self.sync(&files, ticket, completions),
            DiskEffect::Truncate { file, length } => {
                let result = self.opened(file).and_then(|opened| {
                    opened.set_len(length).map_err(|error| self.named(file, "truncate", &error))
                });
                warn(result);
            }
            DiskEffect::Replace { path, bytes, ticket } => {
                let work = SlowWork::Replace { path: path.clone(), bytes, ticket };
                self.submit(&path, work);
            }
            DiskEffect::CreateDirectory { path } => warn(self.disk.create_directory(&path)),
            DiskEffect::Rename { from, to, closes } => {
                self.close(&closes);
                warn(self.disk.rename(&from, &to));
            }
            DiskEffect::RemoveFile { path, closes } => {
                self.close(closes.as_slice());
                self.submit(&path, SlowWork::RemoveFile { path: path.clone() });
            }
            DiskEffect::RemoveDirectory { path } => {
                self.submit(&path, SlowWork::RemoveDirectory { path: path.clone() });
            }
        }
    }

    /// The file behind a range that is to be sent.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn opened(&self, id: FileId) -> Result<Arc<File>, DiskError> {
        let mut open = self.open.borrow_mut();
        open.clock += 1;
        let clock = open.clock;
        if let Some(opened) = open.by_id.get_mut(&id) {
            opened.last_use = clock;
            return Ok(Arc::clone(&opened.file));
        }
        let path = self.path_of(id)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| disk_error(&format!("open {}", path.display()), &error))?;
        let file = Arc::new(file);
        if open.by_id.len() >= self.open_max {
            open.close_least_used();
        }
        let name_is_synced = Arc::default();
        open.by_id.insert(id, Opened { file: Arc::clone(&file), last_use: clock, name_is_synced });
        Ok(file)
    }

    fn open_for_sync(&self, id: FileId) -> Result<OpenFile, DiskError> {
        let file = self.opened(id)?;
        let open = self.open.borrow();
        let known = open.by_id.get(&id).map(|opened| Arc::clone(&opened.name_is_synced));
        Ok(OpenFile { file, path: self.path_of(id)?, name_is_synced: known.unwrap_or_default() })
    }

    fn path_of(&self, id: FileId) -> Result<PathBuf, DiskError> {
        let folder = self
            .folders
            .get(&id.log)
            .ok_or_else(|| DiskError::NotFound(format!("the folder of log {}", id.log.0)))?;
        Ok(self.disk.resolve(&file_path(folder, id)))
    }

    fn write(&self, id: FileId, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.opened(id)?;
        let mut position = position;
        for piece in bytes.chunks(WRITE_BYTES_MAX) {
            file.write_all_at(piece, position).map_err(|error| self.named(id, "write", &error))?;
            position += piece.len() as u64;
        }
        Ok(())
    }

    fn sync(
        &self,
        files: &[FileId],
        ticket: strom_storage::disk::Ticket,
        completions: &mut Vec<Completion>,
    ) {
        let opened =
            files.iter().map(|id| self.open_for_sync(*id)).collect::<Result<Vec<_>, DiskError>>();
        match (opened, self.folders.get(&ticket.log)) {
            (Ok(files), Some(folder)) => {
                self.submit(folder, SlowWork::Sync { files, ticket });
            }
            (Ok(_), None) => {
                let result =
                    Err(DiskError::NotFound(format!("the folder of log {}", ticket.log.0)));
                completions.push(Completion { ticket, result });
            }
            (Err(error), _) => completions.push(Completion { ticket, result: Err(error) }),
        }
    }

    fn submit(&self, path: &DiskPath, work: SlowWork) {
        let worker = self.workers.get(usize::from(path.directory.0));
        if !worker.is_some_and(|worker| worker.submit(work)) {
            tracing::error!(path = %path.path, "no sync worker serves this folder");
        }
    }

    fn close(&self, files: &[FileId]) {
        let mut open = self.open.borrow_mut();
        for file in files {
            open.by_id.remove(file);
        }
    }

    fn named(&self, id: FileId, what: &str, error: &std::io::Error) -> DiskError {
        let path = self.path_of(id).unwrap_or_default();
        disk_error(&format!("{what} {}", path.display()), error)
    }
}

impl OpenFiles {
    /// Closes the least used eighth, so that the scan is paid once in many opens.
    fn close_least_used(&mut self) {
        let mut uses: Vec<u64> = self.by_id.values().map(|opened| opened.last_use).collect();
        uses.sort_unstable();
        if let Some(limit) = uses.get(uses.len() / 8).copied() {
            self.by_id.retain(|_, opened| opened.last_use > limit);
        }
    }
}

impl ReadFiles for BufferedEngine {
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let opened = self.opened(file)?;
        read_fully(&opened, position, buffer).map_err(|error| self.named(file, "read", &error))
    }

    fn volume(&self, directory: DirectoryId) -> Option<Volume> {
        self.disk.volume(directory)
    }
}

/// For effects that promise nothing to anybody: what they leave undone is repaired at the next start.
fn warn(result: Result<(), DiskError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a disk operation failed");
    }
}
