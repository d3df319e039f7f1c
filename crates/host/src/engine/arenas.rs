//! The arenas of a shard's log directories: where they come from, and what of them is on its way to
//! the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strom_base::{IdMap, Uuid};
use strom_broker::boot::BootOptions;
use strom_storage::arena::{Arena, ArenaWrite, BLOCK_BYTES, Flush, OwedFile, Restored, owed_files};
use strom_storage::disk::{DirectoryId, Disk, DiskError, FileId, LogId, Volume};
use tokio::sync::mpsc::UnboundedSender;

use super::arena_file::{ArenaFile, Found};
use super::flush_worker::{FlushProgress, FlushWorker};
use super::mapped::{FoundArena, MappedArena, Mapping};
use super::waiting_writes::WaitingWrites;
use super::write_out::{probe, write_out};
use crate::file_disk::{FileDisk, disk_error};
use crate::on_threads::on_threads;
use crate::server::go_on_without;
use crate::sync_worker::SlowResult;

/// A part of the room is taken until it is looked at again, and so many bytes at most.
const UNCHECKED_PART: u64 = 64;
const UNCHECKED_BYTES_MAX: usize = 64 * BLOCK_BYTES;

/// One log directory's arena and its memory.
#[derive(Debug)]
pub(crate) struct DirectArena {
    machine: Arena,
    memory: MappedArena,
    file: ArenaFile,
    /// A flush failed that has not succeeded since.
    is_failing: bool,
    /// Whether the volume had room when that was last looked at, and what the arena may take until it
    /// is looked at again.
    has_room: bool,
    unchecked_bytes: usize,
    bytes_max: usize,
    worker: FlushWorker,
    /// The last flush of a file that the flush worker was asked for and has not done.
    last_flushes: IdMap<FileId, u64>,
    /// Files that got another name while the arena held something of them, and were not made again.
    renamed: BTreeSet<FileId>,
    /// While there are any, a flush is under way.
    pub(super) waiting: WaitingWrites,
}

/// A flush for the worker, and the memory that it is of.
#[derive(Clone, Debug)]
pub(crate) struct FlushWork {
    pub(crate) directory: DirectoryId,
    pub(crate) flush: Flush,
    /// Which of the flush worker's it is; 0 for one that the sync worker does.
    pub(crate) number: u64,
    /// It is opened when the flush comes to its turn: thousands may wait …
    pub(crate) path: PathBuf,
    /// … but for those whose sync follows at once.
    pub(crate) file: Option<Arc<File>>,
    pub(crate) mapping: Arc<Mapping>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Flushed {
    pub(crate) directory: DirectoryId,
    pub(crate) flush: Flush,
    pub(crate) number: u64,
    pub(crate) result: Result<(), DiskError>,
}

impl FlushWork {
    pub(crate) fn perform(self) -> Flushed {
        let FlushWork { directory, flush, number, path, file, mapping } = self;
        let bytes = mapping.bytes(flush.at, flush.length);
        let result = write_out(&path, file.as_deref(), flush.position, bytes)
            .map_err(|error| disk_error(&format!("write {}", path.display()), &error));
        Flushed { directory, flush, number, result }
    }
}

/// Writes into the files what arenas of an earlier life still owe them, and removes those arenas.
/// To be done before anything reads the folders. Where the disk fails the arena stays, and the node goes
/// on without the directory, if it can.
///
/// # Errors
/// One sentence: a disk that does not take what was acknowledged.
pub(crate) fn restore_all(
    disk: &FileDisk,
    threads: usize,
    options: &mut BootOptions,
) -> Result<(), String> {
    for (directory, folder) in (0..).map(DirectoryId).zip(disk.directories()) {
        if options.failed_directories.iter().any(|it| it.directory == directory) {
            continue;
        }
        match restore_one(disk, threads, (directory, folder)) {
            Err(NotRestored::Full(reason)) => return Err(reason),
            Err(NotRestored::Failed(reason)) => {
                go_on_without(options, directory, Err::<(), _>(reason))?;
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Why an arena is still there: a sentence for the operator.
enum NotRestored {
    Full(String),
    Failed(String),
}

fn restore_one(
    disk: &FileDisk,
    threads: usize,
    (directory, folder): (DirectoryId, &Path),
) -> Result<(), NotRestored> {
    let Some(id) = directory_id(disk, directory) else { return Ok(()) };
    let file = ArenaFile::of(folder, id);
    let name = file.path().display();
    let unusable = |error: &dyn std::fmt::Display| {
        let folder = folder.display();
        NotRestored::Failed(format!("the arena {name} of {folder} cannot be read: {error}"))
    };
    let found = match file.find().map_err(|error| unusable(&error))? {
        Found::Nothing => return Ok(()),
        Found::Foreign(reason) => {
            tracing::warn!("the arena {name} is not used and removed: {reason}");
            return file.remove().map_err(|error| unusable(&error));
        }
        Found::Ours(found) => found,
    };
    let restored = restore(disk, threads, (directory, &found)).map_err(|error| {
        let text = format!(
            "records that an earlier life acknowledged cannot be written from {name} into {}: \
             {error}. Mend the disk and start again; until then the arena keeps them, but not \
             through a reboot",
            folder.display()
        );
        match error {
            DiskError::Full(_) => NotRestored::Full(text),
            _ => NotRestored::Failed(text),
        }
    })?;
    restored.refused.iter().for_each(|reason| tracing::warn!("{reason}"));
    tracing::info!("{} bytes came out of the arena {name}", restored.bytes);
    file.remove().map_err(|error| unusable(&error))?;
    // With its last descriptor its memory goes, which takes a while.
    drop(std::thread::Builder::new().spawn(move || drop(found)));
    Ok(())
}

/// As [`strom_storage::arena::restore`], on several threads.
fn restore(
    disk: &FileDisk,
    threads: usize,
    (directory, found): (DirectoryId, &FoundArena),
) -> Result<Restored, DiskError> {
    let (files, mut restored) = owed_files(found);
    let work = |disk: &mut FileDisk, file: OwedFile| file.restore(disk, directory, found);
    for outcome in on_threads(threads, files, || disk.clone(), work) {
        restored.join(outcome?);
    }
    Ok(restored)
}

fn directory_id(disk: &FileDisk, directory: DirectoryId) -> Option<Uuid> {
    use strom_storage::disk::DiskPath;
    use strom_storage::format::meta_properties;
    const BYTES_MAX: u64 = 64 * 1024;
    let path = DiskPath { directory, path: meta_properties::FILE_NAME.into() };
    let bytes = disk.read_file(&path, BYTES_MAX).ok()?;
    meta_properties::parse(&bytes).ok()?.directory_id
}

impl DirectArena {
    /// # Errors
    /// Why there is none: no direct writes in this folder, or no room for it.
    pub(crate) fn create(
        disk: &FileDisk,
        directory: DirectoryId,
        bytes: usize,
        (progress, results): (&Arc<FlushProgress>, &UnboundedSender<SlowResult>),
    ) -> Result<DirectArena, String> {
        let folder = disk.directories().get(usize::from(directory.0));
        let folder = folder.ok_or("there is no such folder")?;
        let id = directory_id(disk, directory).ok_or("the folder has no directory.id")?;
        probe(folder).map_err(|error| format!("its files take no direct writes ({error})"))?;
        let file = ArenaFile::of(folder, id);
        let blocks = (bytes / BLOCK_BYTES).max(1);
        let memory = file
            .create(blocks)
            .map_err(|error| format!("{} cannot be made ({error})", file.path().display()))?;
        let worker = FlushWorker::start(&format!("flush-{}", directory.0), progress, results)
            .map_err(|error| format!("there is no thread for it ({error})"))?;
        Ok(DirectArena {
            machine: Arena::new(blocks),
            memory,
            file,
            is_failing: false,
            has_room: false,
            unchecked_bytes: 0,
            bytes_max: blocks * BLOCK_BYTES,
            worker,
            last_flushes: IdMap::default(),
            renamed: BTreeSet::new(),
            waiting: WaitingWrites::default(),
        })
    }

    pub(crate) fn machine(&self) -> &Arena {
        &self.machine
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        self.memory.mapping()
    }

    /// Gives a flush to this directory's worker. False when that is gone.
    pub(crate) fn submit(&mut self, work: FlushWork) -> bool {
        let file = work.flush.file;
        match self.worker.submit(work) {
            Some(number) => {
                self.last_flushes.insert(file, number);
                true
            }
            None => false,
        }
    }

    /// How many flushes have to be done before other work on a file.
    pub(crate) fn behind(&self, file: FileId) -> u64 {
        self.last_flushes.get(&file).copied().unwrap_or(0)
    }

    /// Whether what the arena takes will find room in the files: what was acknowledged must not wait for
    /// somebody to clear the disk up. `volume` says how full it is.
    pub(crate) fn has_room(
        &mut self,
        bytes: usize,
        volume: impl FnOnce() -> Option<Volume>,
    ) -> bool {
        if self.unchecked_bytes < bytes {
            let usable = volume().map_or(0, |volume| volume.usable);
            // The question waits for the volume's own work, at times for milliseconds: where there is much
            // room it is asked seldom.
            let asked_after = usize::try_from(usable / UNCHECKED_PART).unwrap_or(usize::MAX);
            let asked_after = asked_after.clamp(BLOCK_BYTES, UNCHECKED_BYTES_MAX);
            self.unchecked_bytes = asked_after.max(bytes);
            self.has_room = usable >= (2 * self.bytes_max) as u64;
        }
        self.unchecked_bytes -= bytes;
        self.has_room
    }

    /// See [`Arena::write`].
    pub(crate) fn write(&mut self, write: &ArenaWrite<'_>, out: &mut Vec<Flush>) -> usize {
        if !self.renamed.is_empty() {
            // It is made again.
            self.renamed.remove(&write.file);
        }
        self.machine.write(&mut self.memory, write, out)
    }

    pub(super) fn on_held_up(&mut self, now_ms: u64) {
        self.machine.on_held_up(now_ms);
    }

    pub(crate) fn flush(&mut self, file: FileId, out: &mut Vec<Flush>) {
        self.machine.flush(file, out);
    }

    /// The file is about to get another name.
    pub(crate) fn close(&mut self, file: FileId, out: &mut Vec<Flush>) {
        self.machine.close(file, out);
        let machine = &self.machine;
        self.renamed.retain(|file| machine.holds(*file));
        if machine.holds(file) {
            self.renamed.insert(file);
        }
    }

    pub(crate) fn cut(&mut self, file: FileId, length: u64) {
        self.machine.cut(&mut self.memory, file, length);
    }

    pub(crate) fn remove_file(&mut self, file: FileId) {
        self.machine.remove_file(&mut self.memory, file);
    }

    pub(crate) fn forget(&mut self, log: LogId) {
        self.renamed.retain(|file| file.log != log);
        self.machine.forget(&mut self.memory, log);
    }

    pub(crate) fn on_deadline(&mut self, now_ms: u64, out: &mut Vec<Flush>) {
        self.unchecked_bytes = 0;
        self.machine.on_deadline(&mut self.memory, now_ms, out);
    }

    pub(crate) fn on_flushed(&mut self, now_ms: u64, flushed: &Flushed) {
        let file = flushed.flush.file;
        if self.last_flushes.get(&file) == Some(&flushed.number) {
            self.last_flushes.remove(&file);
        }
        // To a file that got another name nothing is owed. To one that somebody has moved away all is: it
        // may be put back.
        let is_done = match flushed.result {
            Err(DiskError::NotFound(_)) => self.renamed.contains(&file),
            ref result => result.is_ok(),
        };
        self.machine.on_flushed(&mut self.memory, &flushed.flush, is_done, now_ms);
        let was_failing = std::mem::replace(&mut self.is_failing, self.machine.is_failing());
        match &flushed.result {
            Err(error) if self.is_failing && !was_failing => {
                tracing::error!(%error, "acknowledged records wait in memory for the disk");
            }
            Ok(()) if was_failing && !self.is_failing => {
                tracing::info!("the disk has taken what waited for it in memory");
            }
            _ => {}
        }
    }
}

impl Drop for DirectArena {
    fn drop(&mut self) {
        // What is owed to the files stays where the next start finds it.
        if self.machine.is_clean()
            && let Err(error) = self.file.remove()
        {
            tracing::warn!(%error, "the arena is left behind");
        }
    }
}
