//! The direct engine on a simulated disk: records gather in an arena of mapped memory, and
//! reach their files later, when something makes them.

use std::collections::VecDeque;

use strom_storage::arena::{Arena, ArenaWrite, Flush, Place, restore};
use strom_storage::disk::{
    DirectoryId, Disk, DiskEffect, DiskError, DiskPath, FileId, FileKind, LogId,
};

use crate::arena_memory::SimArenaMemory;
use crate::disk::SimDisk;

/// Effects until the next flush happens by itself.
const EFFECTS_PER_FLUSH: u64 = 5;
/// At every so many-th effect the second oldest flush is done first.
const FLUSHES_OVERTAKE: u64 = 3;
/// Effects are so far apart for the arena, which writes out what is old.
const MS_PER_EFFECT: u64 = 200;

type PathOf<'a> = &'a dyn Fn(FileId) -> Result<DiskPath, DiskError>;

/// The arena of one log directory in one life of a node.
#[derive(Debug)]
pub struct SimArena {
    directory: DirectoryId,
    machine: Arena,
    /// What the worker was asked for and has not done.
    flushes: VecDeque<Flush>,
    effects: u64,
    /// Why a flush failed, until that was asked.
    failure: Option<DiskError>,
}

impl SimArena {
    /// Begins a life with an arena of so many blocks.
    #[must_use]
    pub fn new(disk: &mut SimDisk, directory: DirectoryId, blocks: usize, granted: usize) -> Self {
        disk.shared_memory.insert(directory, SimArenaMemory::new(blocks, granted));
        Self {
            directory,
            machine: Arena::new(blocks),
            flushes: VecDeque::new(),
            effects: 0,
            failure: None,
        }
    }

    /// What has to happen to the arena before an effect is performed; what is left of that for the disk.
    ///
    /// # Errors
    /// When a flush fails that the effect waits for.
    pub fn before(
        &mut self,
        disk: &mut SimDisk,
        effect: DiskEffect,
        path_of: PathOf<'_>,
    ) -> Result<Option<DiskEffect>, DiskError> {
        self.effects += 1;
        self.grow_old(disk, path_of);
        Ok(Some(match effect {
            DiskEffect::Write { file, position, bytes, ticket } => {
                let taken = self.write(disk, (file, position, &bytes), path_of)?;
                if taken == bytes.len() && taken > 0 {
                    return Ok(None);
                }
                let (position, bytes) = (position + taken as u64, bytes.slice(taken..));
                DiskEffect::Write { file, position, bytes, ticket }
            }
            DiskEffect::Sync { files, ticket } => {
                let mut asked = Vec::new();
                files.iter().for_each(|file| self.machine.flush(*file, &mut asked));
                self.flushes.extend(asked);
                for file in &files {
                    self.work_until(disk, *file, 0, path_of)?;
                }
                DiskEffect::Sync { files, ticket }
            }
            DiskEffect::Truncate { file, length } => {
                if let Some(memory) = disk.shared_memory.get_mut(&self.directory) {
                    self.machine.cut(memory, file, length);
                }
                self.await_flushes(disk, file, length, path_of);
                DiskEffect::Truncate { file, length }
            }
            DiskEffect::Trim { file, length } => {
                self.await_flushes(disk, file, length, path_of);
                DiskEffect::Trim { file, length }
            }
            DiskEffect::Rename { from, to, closes } => {
                let mut asked = Vec::new();
                closes.iter().for_each(|file| self.machine.close(*file, &mut asked));
                self.flushes.extend(asked);
                for file in &closes {
                    self.await_flushes(disk, *file, 0, path_of);
                }
                DiskEffect::Rename { from, to, closes }
            }
            DiskEffect::RemoveFile { path, closes } => {
                if let (Some(file), Some(memory)) =
                    (closes, disk.shared_memory.get_mut(&self.directory))
                {
                    self.machine.remove_file(memory, file);
                }
                if let Some(file) = closes {
                    self.await_flushes(disk, file, 0, path_of);
                }
                DiskEffect::RemoveFile { path, closes }
            }
            other => other,
        }))
    }

    /// Why a flush failed since this was last asked: who waits for none is not told otherwise.
    pub fn take_failure(&mut self) -> Option<DiskError> {
        self.failure.take()
    }

    /// Nothing of the log is read or written any more.
    pub fn forget(&mut self, disk: &mut SimDisk, log: LogId) {
        if let Some(memory) = disk.shared_memory.get_mut(&self.directory) {
            self.machine.forget(memory, log);
        }
    }

    fn write(
        &mut self,
        disk: &mut SimDisk,
        (file, position, bytes): (FileId, u64, &[u8]),
        path_of: PathOf<'_>,
    ) -> Result<usize, DiskError> {
        if file.kind != FileKind::Records {
            return Ok(0);
        }
        if disk.has_crashed() {
            return Err(DiskError::Io("the process has died".into()));
        }
        // On a full volume the shell's arena takes nothing: least of all for a file that could not be made.
        if path_of(file).is_ok_and(|path| disk.read_at(&path, 0, &mut []).is_err()) {
            return Ok(0);
        }
        let Some(memory) = disk.shared_memory.get_mut(&self.directory) else { return Ok(0) };
        let now_ms = self.effects * MS_PER_EFFECT;
        let write = ArenaWrite { now_ms, file, position, bytes, path_of };
        let mut asked = Vec::new();
        let taken = self.machine.write(memory, &write, &mut asked);
        self.flushes.extend(asked);
        if taken < bytes.len() {
            self.work_until(disk, file, position + taken as u64, path_of)?;
        }
        Ok(taken)
    }

    /// Time passes: what is old is written out, and the worker does something now and then.
    fn grow_old(&mut self, disk: &mut SimDisk, path_of: PathOf<'_>) {
        let mut asked = Vec::new();
        if let Some(memory) = disk.shared_memory.get_mut(&self.directory) {
            self.machine.on_deadline(memory, self.effects * MS_PER_EFFECT, &mut asked);
        }
        self.flushes.extend(asked);
        if self.effects.is_multiple_of(EFFECTS_PER_FLUSH) {
            // What fails is tried again.
            drop(self.work(disk, path_of));
        }
    }

    /// Does flushes until none of a file is under way beyond `position`.
    fn work_until(
        &mut self,
        disk: &mut SimDisk,
        file: FileId,
        position: u64,
        path_of: PathOf<'_>,
    ) -> Result<(), DiskError> {
        while self.machine.flushing_end(file) > position && !self.flushes.is_empty() {
            self.work(disk, path_of)?;
        }
        Ok(())
    }

    /// The same for a cut or another name, which go on also when flushes fail: what is left is flushed again,
    /// if there is a file to flush it to.
    fn await_flushes(
        &mut self,
        disk: &mut SimDisk,
        file: FileId,
        position: u64,
        path_of: PathOf<'_>,
    ) {
        while self.machine.flushing_end(file) > position && !self.flushes.is_empty() {
            drop(self.work(disk, path_of));
        }
    }

    fn work(&mut self, disk: &mut SimDisk, path_of: PathOf<'_>) -> Result<(), DiskError> {
        let Some(mut memory) = disk.shared_memory.remove(&self.directory) else { return Ok(()) };
        // There are two workers: one flush may be done before an older one.
        let is_overtaken = self.effects.is_multiple_of(FLUSHES_OVERTAKE) && self.flushes.len() > 1;
        let Some(flush) = self.flushes.remove(usize::from(is_overtaken)) else {
            disk.shared_memory.insert(self.directory, memory);
            return Ok(());
        };
        let bytes = memory.bytes(flush.at, flush.length).unwrap_or_default();
        let result = path_of(flush.file).and_then(|path| {
            // A flush makes no file: what is gone was renamed or removed.
            disk.read_at(&path, 0, &mut [])?;
            disk.write_at(&path, flush.position, bytes)
        });
        let result = match result {
            Err(DiskError::NotFound(_)) => Ok(()),
            result => result,
        };
        if let Err(error @ DiskError::Io(_)) = &result {
            self.failure.get_or_insert_with(|| error.clone());
        }
        let now_ms = self.effects * MS_PER_EFFECT;
        self.machine.on_flushed(&mut memory, &flush, result.is_ok(), now_ms);
        disk.shared_memory.insert(self.directory, memory);
        result
    }

    /// Gives what was written, wherever it is, piece by piece; how many bytes there were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(
        &self,
        disk: &SimDisk,
        (file, path): (FileId, &DiskPath),
        (position, length): (u64, usize),
        mut take: impl FnMut(&[u8]),
    ) -> Result<usize, DiskError> {
        let mut read = 0;
        while read < length {
            let read_from;
            let piece = match self.machine.place_of(file, position + read as u64, length - read) {
                Place::Arena { at, length, .. } => {
                    let memory = disk.shared_memory.get(&self.directory);
                    memory.and_then(|it| it.bytes(at, length)).unwrap_or_default()
                }
                Place::File { length } => {
                    read_from = disk.bytes_at(path, position + read as u64, length)?;
                    &*read_from
                }
            };
            if piece.is_empty() {
                break;
            }
            take(piece);
            read += piece.len();
        }
        Ok(read)
    }
}

/// A start: what an arena of an earlier life owes is written into the files. What was left out, as the
/// shell tells it: behind a write that failed or was not done, where nothing was acknowledged.
///
/// # Errors
/// When the disk fails.
pub fn restore_arena(disk: &mut SimDisk, directory: DirectoryId) -> Result<Vec<String>, DiskError> {
    let Some(memory) = disk.shared_memory.remove(&directory) else { return Ok(Vec::new()) };
    match restore(disk, directory, &memory) {
        Ok(restored) => Ok(restored.refused),
        Err(error) => {
            disk.shared_memory.insert(directory, memory);
            Err(error)
        }
    }
}
