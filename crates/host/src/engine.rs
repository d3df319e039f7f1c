//! The disk engine of a shard: *written* is kept by the page cache or by an arena, *synced* by the sync
//! workers.
//!
//! **Buffered**: writes go into the page cache on the shard's thread, which is cheaper than a
//! hand-over. **Direct**: records gather in the arena of their log directory ([`arenas`]) and a worker
//! brings them into their files. What the arena has no room for waits for it ([`room`]), what it does not
//! take, and all other files, are buffered.

mod arena_file;
mod arenas;
mod block_worker;
mod failures;
mod filler;
mod flush_worker;
mod gather;
mod lengths;
mod mapped;
mod owed_files;
mod room;
mod waiting_writes;
mod write_out;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use strom_base::IdMap;
use strom_broker::boot::{FailedDirectory, file_path};
use strom_storage::arena::{Flush, Lease};
use strom_storage::disk::{
    Completion, DirectoryId, Disk, DiskEffect, DiskError, DiskPath, FileId, FileKind, LogId,
    ReadFiles, Ticket, Volume, create_folder,
};
use tokio::sync::mpsc::UnboundedSender;

use failures::Failures;
use filler::Filler;
use gather::Write;
use write_out::write_cached;

pub(crate) use arenas::{DirectArena, FlushWork, Flushed, restore_all};
pub(crate) use flush_worker::FlushProgress;
pub(crate) use mapped::Mapping;
pub(crate) use owed_files::OwedFiles;

use crate::cold_reads::{Brought, ColdReads};
use crate::descriptors::Descriptors;
use crate::file_disk::{FileDisk, disk_error};
use crate::open_files::OpenFiles;
use crate::pending_paths::PendingPaths;
use crate::sync_worker::{OpenFile, Ordered, SlowResult, SlowWork, SyncWorker};

/// A node that stops syncs thousands of logs at once: no more files than this are kept open for
/// their turn, beyond those that are open anyway.
const HELD_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct DiskEngine {
    disk: FileDisk,
    folders: IdMap<LogId, DiskPath>,
    open: RefCell<OpenFiles>,
    pub(crate) cold: ColdReads,
    /// What the workers have not finished with.
    pending: PendingPaths,
    /// Files that are open because they wait for their sync.
    held: Cell<usize>,
    failures: Failures,
    /// The worker of this directory has ended: what it was to keep, nobody will report.
    lost_worker: Cell<Option<DirectoryId>>,
    /// By log directory; `None` where the engine is the buffered one. They end before the sync workers,
    /// who may wait for them.
    arenas: Vec<Option<DirectArena>>,
    workers: Vec<SyncWorker>,
    /// By log directory.
    progress: Vec<Arc<FlushProgress>>,
    results: UnboundedSender<SlowResult>,
    /// What an arena wants written out; empty between calls.
    flushes: Vec<Flush>,
    filler: Filler,
}

/// Where a range of a file begins.
#[derive(Debug)]
pub(crate) enum Source {
    Arena { mapping: Arc<Mapping>, at: usize, length: usize, lease: Lease },
    File { file: Arc<File>, length: usize },
}

impl Source {
    /// How much of the range is there.
    pub(crate) fn length(&self) -> usize {
        match self {
            Source::Arena { length, .. } | Source::File { length, .. } => *length,
        }
    }
}

impl DiskEngine {
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn start(
        directories: Vec<PathBuf>,
        descriptors: Descriptors,
        results: &UnboundedSender<SlowResult>,
        brought: UnboundedSender<Brought>,
    ) -> std::io::Result<Self> {
        let disk = FileDisk::new(directories.clone());
        let progress: Vec<_> =
            directories.iter().map(|_| Arc::new(FlushProgress::default())).collect();
        let start = |(index, progress): (usize, &Arc<FlushProgress>)| {
            let directory = DirectoryId(index as u16);
            SyncWorker::start(directory, disk.clone(), Arc::clone(progress), results.clone())
        };
        let workers = progress.iter().enumerate().map(start).collect::<std::io::Result<_>>()?;
        Ok(Self {
            disk,
            folders: IdMap::default(),
            open: RefCell::new(OpenFiles::new(descriptors.files)),
            cold: ColdReads::new(brought),
            pending: PendingPaths::default(),
            held: Cell::new(0),
            failures: Failures::default(),
            lost_worker: Cell::new(None),
            arenas: Vec::new(),
            workers,
            progress,
            results: results.clone(),
            flushes: Vec::new(),
            filler: Filler::default(),
        })
    }

    /// From now on records gather in arenas of so many bytes. Says why where they do not.
    pub(crate) fn use_arenas(
        &mut self,
        bytes: usize,
        failed: &[FailedDirectory],
    ) -> Vec<Option<String>> {
        let created = self.progress.iter().enumerate().map(|(index, progress)| {
            let directory = DirectoryId(index as u16);
            if failed.iter().any(|it| it.directory == directory) {
                // It may hold an arena of an earlier life.
                return Err("the log directory has failed".to_owned());
            }
            let threads = (progress, &self.results);
            DirectArena::create(&self.disk, directory, bytes, threads)
        });
        let created: Vec<_> = created.collect();
        let reasons = created.iter().map(|it| it.as_ref().err().cloned()).collect();
        self.arenas = created.into_iter().map(Result::ok).collect();
        reasons
    }

    /// Where a log's files are.
    pub(crate) fn place(&mut self, log: LogId, folder: DiskPath) {
        self.look_after_directories();
        self.folders.insert(log, folder);
    }

    /// Nothing of the log is read or written any more.
    pub(crate) fn forget(&mut self, log: LogId) {
        // Nobody asks any more what became of them.
        self.end_waits_of(|file| file.log == log, &mut Vec::new());
        if let Some(arena) = self.arena_of_log(log) {
            arena.forget(log);
        }
        self.folders.remove(&log);
        self.open.borrow_mut().close_all_of(log);
        self.filler.end_all_of(log);
    }

    /// Performs one effect. Writes complete at once and are pushed to `completions`; what a worker
    /// does completes through the results channel. What names a path that a worker has not finished
    /// with is done by that worker too: on one path effects happen in their order.
    pub(crate) fn perform(
        &mut self,
        now_ms: u64,
        effect: DiskEffect,
        completions: &mut Vec<Completion>,
    ) {
        self.end_waits(&effect, completions);
        let behind = self.flush_before(now_ms, &effect);
        self.end_fills(&effect);
        let effect = if self.pending.is_empty() && behind.is_none() {
            effect
        } else {
            let Some(effect) = self.defer(effect, behind) else { return };
            effect
        };
        match effect {
            DiskEffect::Write { file, position, bytes, ticket } => {
                let write = Write { file, position, bytes, ticket };
                completions.extend(self.write(now_ms, write));
            }
            DiskEffect::Sync { files, ticket } => self.sync(now_ms, &files, ticket, completions),
            DiskEffect::Truncate { file, length } => self.cut(file, length, true),
            DiskEffect::Trim { file, length } => self.cut(file, length, false),
            DiskEffect::Fill { file, length } => {
                let result = self.fill(file, length);
                self.warn(self.directory_of(file.log), result);
            }
            DiskEffect::Replace { path, bytes, ticket } => {
                self.submit(SlowWork::Replace { path, bytes, ticket });
            }
            DiskEffect::CreateFolder { path, files, ticket } => {
                let result = create_folder(&mut self.disk, &path, &files);
                self.notice(&result);
                completions.push(Completion { ticket, result });
            }
            DiskEffect::Rename { from, to, closes } => {
                self.open.borrow_mut().close(&closes);
                let result = self.disk.rename(&from, &to);
                self.warn(from.directory, result);
            }
            DiskEffect::RemoveFile { path, closes } => {
                self.open.borrow_mut().close(closes.as_slice());
                self.submit(SlowWork::RemoveFile { path });
            }
            DiskEffect::RemoveDirectory { path } => {
                self.submit(SlowWork::RemoveDirectory { path });
            }
        }
    }

    /// Hands an effect to the worker that has earlier work on its path, or flushes before it; gives it
    /// back if there is none.
    fn defer(&mut self, effect: DiskEffect, behind: Option<u64>) -> Option<DiskEffect> {
        let is_pending = |path: &DiskPath| behind.is_some() || self.pending.touches(path);
        let path_of = |file: FileId| self.folders.get(&file.log).map(|it| file_path(it, file));
        let of_file = |file: FileId| path_of(file).filter(is_pending);
        let work = match effect {
            DiskEffect::Write { file, position, ref bytes, ticket } => {
                let path = path_of(file).filter(|path| self.pending.touches_write(path));
                path.map(|path| {
                    let bytes = bytes.clone();
                    SlowWork::Write { path, position, bytes, ticket, is_apart: false }
                })
            }
            // Without its turn on the path it would go into another file, so it does not go at all.
            DiskEffect::Fill { file, .. } if of_file(file).is_some() => return None,
            DiskEffect::Truncate { file, length } | DiskEffect::Trim { file, length } => {
                of_file(file).map(|path| SlowWork::Truncate { path, length })
            }
            DiskEffect::CreateFolder { ref path, ref files, ticket } if is_pending(path) => {
                let (path, files) = (path.clone(), files.clone());
                Some(SlowWork::CreateFolder { path, files, ticket })
            }
            DiskEffect::Rename { ref from, ref to, ref closes }
                if is_pending(from) || is_pending(to) =>
            {
                self.open.borrow_mut().close(closes);
                Some(SlowWork::Rename { from: from.clone(), to: to.clone() })
            }
            DiskEffect::RemoveFile { ref path, ref closes } if is_pending(path) => {
                self.open.borrow_mut().close(closes.as_slice());
                Some(SlowWork::RemoveFile { path: path.clone() })
            }
            DiskEffect::Replace { ref path, ref bytes, ticket } if is_pending(path) => {
                Some(SlowWork::Replace { path: path.clone(), bytes: bytes.clone(), ticket })
            }
            _ => None,
        };
        match work {
            None => Some(effect),
            Some(work) => {
                self.submit_behind(behind.unwrap_or(0), work);
                None
            }
        }
    }

    /// A worker has finished with these paths.
    pub(crate) fn on_finished(&mut self, result: &SlowResult) {
        for path in &result.paths {
            self.pending.finish(path, result.bytes_apart > 0);
        }
        self.on_written_apart(result);
        self.held.set(self.held.get() - result.released);
        self.look_at_result(result);
        if result.failure.is_some()
            && let Some(index) = self.progress.iter().position(|it| it.is_given_up())
        {
            self.lost_worker.set(Some(DirectoryId(index as u16)));
        }
    }

    /// The directory whose worker has ended, which only a defect can cause.
    pub(crate) fn lost_worker(&self) -> Option<PathBuf> {
        let directory = self.lost_worker.get()?;
        self.disk.directories().get(usize::from(directory.0)).cloned()
    }

    fn open(&self, id: FileId, is_to_write: bool) -> Result<Arc<File>, DiskError> {
        let mut open = self.open.borrow_mut();
        match open.get(id) {
            Some(file) => Ok(file),
            None => open.open(id, &self.path_of(id)?, is_to_write),
        }
    }

    /// Of a log that is not placed there is nothing to fail: the first.
    fn directory_of(&self, log: LogId) -> DirectoryId {
        self.folders.get(&log).map_or(DirectoryId(0), |folder| folder.directory)
    }

    fn path_of(&self, id: FileId) -> Result<PathBuf, DiskError> {
        path_in(&self.disk, &self.folders, id)
    }

    fn write_file(&self, id: FileId, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.open(id, true)?;
        write_cached(&file, position, bytes).map_err(|error| self.named(id, "write", &error))
    }

    fn sync(
        &mut self,
        now_ms: u64,
        ids: &[FileId],
        ticket: Ticket,
        completions: &mut Vec<Completion>,
    ) {
        for file in ids {
            self.write_out(now_ms, *file);
        }
        let opened = ids.iter().map(|id| self.to_sync(*id)).collect::<Result<Vec<_>, _>>();
        match (opened, self.folders.get(&ticket.log)) {
            (Ok(files), Some(folder)) => {
                let behind = ids.iter().map(|file| self.behind(*file)).max().unwrap_or(0);
                self.hand_over(folder.directory, behind, SlowWork::Sync { files, ticket });
            }
            (Ok(_), None) => {
                let result = Err(no_folder(ticket.log));
                completions.push(Completion { ticket, result });
            }
            (Err(error), _) => {
                self.suspect(&error);
                completions.push(Completion { ticket, result: Err(error) });
            }
        }
    }

    fn to_sync(&self, id: FileId) -> Result<OpenFile, DiskError> {
        let is_pending = !self.pending.is_empty()
            && self
                .folders
                .get(&id.log)
                .is_some_and(|folder| self.pending.touches(&file_path(folder, id)));
        let file = match id.kind {
            _ if is_pending || self.held.get() >= HELD_MAX => None,
            // Synced once in the life of a log: nobody else needs it open.
            FileKind::PartitionMetadata | FileKind::LeaderEpochs | FileKind::FailedSync => {
                let opened = File::open(self.path_of(id)?);
                Some(Arc::new(opened.map_err(|error| self.named(id, "open", &error))?))
            }
            _ => Some(self.open(id, true)?),
        };
        self.held.update(|held| held + usize::from(file.is_some()));
        let name_is_synced = self.open.borrow().name_is_synced(id);
        Ok(OpenFile { file, path: self.path_of(id)?, name_is_synced })
    }

    /// Gives work to the worker of its path, and remembers the path until it is finished.
    fn submit(&mut self, work: SlowWork) {
        self.submit_behind(0, work);
    }

    /// As [`DiskEngine::submit`], for work that flushes have to be done before.
    fn submit_behind(&mut self, behind: u64, work: SlowWork) {
        let paths = work.paths();
        for path in &paths {
            self.pending.begin(path, work.bytes_apart() > 0);
        }
        if let Some(path) = paths.first() {
            self.hand_over(path.directory, behind, work);
        }
    }

    fn hand_over(&self, directory: DirectoryId, behind: u64, work: SlowWork) {
        let worker = self.workers.get(usize::from(directory.0));
        if !worker.is_some_and(|worker| worker.submit(Ordered { behind, work })) {
            self.lost_worker.set(Some(directory));
        }
    }

    fn named(&self, id: FileId, what: &str, error: &std::io::Error) -> DiskError {
        let path = self.path_of(id).unwrap_or_default();
        disk_error(&format!("{what} {}", path.display()), error)
    }
}

fn path_in(
    disk: &FileDisk,
    folders: &IdMap<LogId, DiskPath>,
    id: FileId,
) -> Result<PathBuf, DiskError> {
    let folder = folders.get(&id.log).ok_or_else(|| no_folder(id.log))?;
    Ok(disk.resolve(&file_path(folder, id)))
}

fn no_folder(log: LogId) -> DiskError {
    DiskError::NotFound(format!("the folder of log {}", log.0))
}

impl ReadFiles for DiskEngine {
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let got = match self.source(file, position + read as u64, rest.len())? {
                Source::Arena { mapping, at, length, .. } => {
                    let bytes = mapping.bytes(at, length);
                    let part = rest.get_mut(..bytes.len()).unwrap_or_default();
                    part.copy_from_slice(bytes);
                    bytes.len()
                }
                Source::File { file: opened, length, .. } => {
                    let part = rest.get_mut(..length).unwrap_or_default();
                    self.cold
                        .read((file, &opened), position + read as u64, part)
                        .map_err(|error| self.named(file, "read", &error))?
                }
            };
            if got == 0 {
                break;
            }
            read += got;
        }
        Ok(read)
    }

    fn volume(&self, directory: DirectoryId) -> Option<Volume> {
        self.disk.volume(directory)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    /// An engine of one log directory, and what its workers report.
    pub(super) fn engine_in(root: &Path) -> (DiskEngine, UnboundedReceiver<SlowResult>) {
        let (results, told) = unbounded_channel();
        let descriptors = Descriptors { files: 8, connections: 1 };
        let folders = vec![root.to_owned()];
        let started = DiskEngine::start(folders, descriptors, &results, unbounded_channel().0);
        (started.expect("starts"), told)
    }

    /// With an arena of one block.
    pub(super) fn engine_with_arena(root: &Path) -> (DiskEngine, UnboundedReceiver<SlowResult>) {
        let identity = "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAZQ\n";
        std::fs::write(root.join("meta.properties"), identity).expect("written");
        let (mut engine, told) = engine_in(root);
        assert_eq!(engine.use_arenas(1 << 20, &[]), [None]);
        (engine, told)
    }

    #[test]
    fn syncs_of_thousands_of_logs_keep_few_files_open() {
        const LOGS: u32 = 500;
        let root = tempfile::tempdir().expect("a folder");
        let (mut engine, mut told) = engine_in(root.path());
        let mut kept = Vec::new();
        for log in (0..LOGS).map(LogId) {
            let path = DiskPath { directory: DirectoryId(0), path: format!("many-{}", log.0) };
            engine.place(log, path.clone());
            let bytes = Bytes::from_static(b"whose");
            let files = vec![(FileKind::PartitionMetadata, bytes.clone())];
            let ticket = |sequence| Ticket { log, sequence };
            let file = |kind| FileId { log, segment: 0, kind };
            let records = file(FileKind::Records);
            let effects = [
                DiskEffect::CreateFolder { path, files, ticket: ticket(0) },
                DiskEffect::Write { file: records, position: 0, bytes, ticket: ticket(1) },
                DiskEffect::Sync {
                    files: vec![records, file(FileKind::PartitionMetadata)],
                    ticket: ticket(2),
                },
            ];
            effects.into_iter().for_each(|effect| engine.perform(0, effect, &mut kept));
            assert!(engine.held.get() <= HELD_MAX);
        }
        for _ in 0..LOGS {
            let result = told.blocking_recv().expect("a report");
            engine.on_finished(&result);
            kept.extend(result.completion);
        }
        assert!(kept.iter().all(|it| it.result.is_ok()), "{kept:?}");
        assert_eq!((kept.len(), engine.held.get()), (3 * LOGS as usize, 0));
    }

    #[test]
    fn a_cut_that_waits_for_its_turn_is_one_of_the_arena_too() {
        let root = tempfile::tempdir_in(".").expect("a folder");
        let (mut engine, mut told) = engine_with_arena(root.path());
        let log = LogId(0);
        let path = DiskPath { directory: DirectoryId(0), path: "cut-0".into() };
        engine.place(log, path.clone());
        let file = FileId { log, segment: 0, kind: FileKind::Records };
        let ticket = |sequence| Ticket { log, sequence };
        let bytes = Bytes::from_static(b"0123456789");
        let effects = [
            DiskEffect::CreateFolder { path: path.clone(), files: Vec::new(), ticket: ticket(0) },
            DiskEffect::Write { file, position: 0, bytes: bytes.clone(), ticket: ticket(1) },
            // Keeps the path busy, so that the cut has to wait.
            DiskEffect::Replace { path: file_path(&path, file), bytes, ticket: ticket(2) },
            DiskEffect::Truncate { file, length: 3 },
            DiskEffect::Sync { files: vec![file], ticket: ticket(3) },
        ];
        let mut kept = Vec::new();
        effects.into_iter().for_each(|effect| engine.perform(0, effect, &mut kept));
        while !kept.iter().any(|it| it.ticket == ticket(3)) {
            let result = told.blocking_recv().expect("a report");
            engine.on_finished(&result);
            kept.extend(result.completion);
        }
        assert!(kept.iter().all(|it| it.result.is_ok()), "{kept:?}");
        let records = root.path().join("cut-0/00000000000000000000.log");
        assert_eq!(std::fs::read(records).expect("the file"), b"012");
    }

    #[test]
    fn after_a_cut_that_failed_no_sync_of_the_file_succeeds() {
        let root = tempfile::tempdir().expect("a folder");
        let (mut engine, mut told) = engine_in(root.path());
        let log = LogId(0);
        let path = DiskPath { directory: DirectoryId(0), path: "cut-0".into() };
        engine.place(log, path.clone());
        let file = |segment| FileId { log, segment, kind: FileKind::Records };
        let ticket = |sequence| Ticket { log, sequence };
        let write = |segment| DiskEffect::Write {
            file: file(segment),
            position: 0,
            bytes: Bytes::from_static(b"0123456789"),
            ticket: ticket(0),
        };
        let sync = |segment: i64| {
            let ticket = ticket(1 + segment as u64);
            DiskEffect::Sync { files: vec![file(segment)], ticket }
        };
        // No file can be so long.
        let effects = [
            DiskEffect::CreateFolder { path, files: Vec::new(), ticket: ticket(0) },
            write(0),
            write(1),
            write(2),
            DiskEffect::Truncate { file: file(1), length: u64::MAX },
            DiskEffect::Trim { file: file(2), length: u64::MAX },
            sync(0),
            sync(1),
            sync(2),
        ];
        let mut kept = Vec::new();
        effects.into_iter().for_each(|effect| engine.perform(0, effect, &mut kept));
        kept.clear();
        while kept.len() < 3 {
            kept.extend(told.blocking_recv().expect("a report").completion);
        }
        let outcomes: Vec<bool> = kept.iter().map(|it| it.result.is_ok()).collect();
        assert_eq!(outcomes, [true, false, false]);
    }
}
