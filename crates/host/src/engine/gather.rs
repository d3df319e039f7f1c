//! The direct engine: records into the arena of their directory, and out of it through the worker.

use std::sync::Arc;

use bytes::Bytes;
use strom_broker::boot::file_path;
use strom_storage::arena::{ArenaWrite, Place};
use strom_storage::disk::{
    Completion, DirectoryId, DiskEffect, DiskError, FileId, FileKind, LogId, Ticket,
};

use super::{DirectArena, DiskEngine, FlushWork, Flushed, HELD_MAX, Source, no_folder, path_in};
use crate::sync_worker::SlowWork;

/// One write that the core has asked for.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) file: FileId,
    pub(super) position: u64,
    pub(super) bytes: Bytes,
    pub(super) ticket: Ticket,
}

/// What the arena did with a write.
pub(super) struct Gathered {
    /// So many of its first bytes are *written* now.
    pub(super) taken: usize,
    /// For the rest there will be room when a flush that is under way is done.
    pub(super) is_short: bool,
}

/// Who is to do a flush.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    FlushWorker,
    SyncWorker,
}

impl DiskEngine {
    /// How many bytes the arena takes now.
    pub(super) fn gather(&mut self, now_ms: u64, write: &Write) -> Gathered {
        let &Write { file, position, ref bytes, .. } = write;
        let nothing = Gathered { taken: 0, is_short: false };
        if file.kind != FileKind::Records || self.arenas.is_empty() {
            return nothing;
        }
        let Some(directory) = self.folders.get(&file.log).map(|it| it.directory) else {
            return nothing;
        };
        let arena = self.arenas.get_mut(usize::from(directory.0)).and_then(Option::as_mut);
        let Some(arena) = arena else { return nothing };
        if !arena.has_room(bytes.len(), || self.disk.volume(directory)) {
            return nothing;
        }
        let folders = &self.folders;
        let path_of = |file: FileId| {
            let folder = folders.get(&file.log);
            folder.map(|it| file_path(it, file)).ok_or_else(|| no_folder(file.log))
        };
        let write = ArenaWrite { now_ms, file, position, bytes, path_of: &path_of };
        let taken = arena.write(&write, &mut self.flushes);
        let is_short = taken < bytes.len() && arena.machine().is_short();
        self.submit_flushes(now_ms, directory, By::FlushWorker);
        Gathered { taken, is_short }
    }

    pub(super) fn arena_of_log(&mut self, log: LogId) -> Option<&mut DirectArena> {
        let directory = self.folders.get(&log)?.directory;
        self.arenas.get_mut(usize::from(directory.0))?.as_mut()
    }

    pub(super) fn arena_at(&self, log: LogId) -> Option<&DirectArena> {
        if self.arenas.is_empty() {
            return None;
        }
        let directory = self.folders.get(&log)?.directory;
        self.arenas.get(usize::from(directory.0))?.as_ref()
    }

    pub(super) fn behind(&self, file: FileId) -> u64 {
        self.arena_at(file.log).map_or(0, |arena| arena.behind(file))
    }

    pub(super) fn flushing_end(&self, file: FileId) -> u64 {
        self.arena_at(file.log).map_or(0, |arena| arena.machine().flushing_end(file))
    }

    /// Hands what has gathered in `flushes` to the worker that is to do it.
    fn submit_flushes(&mut self, now_ms: u64, directory: DirectoryId, by: By) {
        if self.flushes.is_empty() {
            return;
        }
        let mut flushes = std::mem::take(&mut self.flushes);
        for flush in flushes.drain(..) {
            let path = path_in(&self.disk, &self.folders, flush.file);
            let arena = self.arenas.get_mut(usize::from(directory.0)).and_then(Option::as_mut);
            let Some(arena) = arena else { return };
            let path = match path {
                Ok(path) => path,
                Err(error) => {
                    let result = Err(error);
                    arena.on_flushed(now_ms, &Flushed { directory, flush, number: 0, result });
                    continue;
                }
            };
            let mapping = Arc::clone(arena.mapping());
            let is_for_sync = by == By::SyncWorker && arena.behind(flush.file) == 0;
            let file = match is_for_sync && self.held.get() < HELD_MAX {
                true => self.open.borrow_mut().get(flush.file),
                false => None,
            };
            let work = FlushWork { directory, flush, number: 0, path, file, mapping };
            if is_for_sync {
                self.hand_over(directory, 0, SlowWork::Flush(work));
            } else if !arena.submit(work) {
                self.lost_worker.set(Some(directory));
            }
        }
        self.flushes = flushes;
    }

    /// All of a file is on its way into it, before what is asked of the sync worker next. That does the
    /// writing, too: a few bytes that a sync waits for must not queue behind megabytes of others.
    pub(super) fn write_out(&mut self, now_ms: u64, file: FileId) {
        if self.arenas.is_empty() || file.kind != FileKind::Records {
            return;
        }
        let mut flushes = std::mem::take(&mut self.flushes);
        if let Some(arena) = self.arena_of_log(file.log) {
            arena.flush(file, &mut flushes);
        }
        self.flushes = flushes;
        if let Some(directory) = self.folders.get(&file.log).map(|it| it.directory) {
            self.submit_flushes(now_ms, directory, By::SyncWorker);
        }
    }

    /// Tells the arena of an effect that changes a file's name or length. `Some` when flushes of the file
    /// are under way that have to end first: so many of the flush worker's.
    pub(super) fn flush_before(&mut self, now_ms: u64, effect: &DiskEffect) -> Option<u64> {
        if self.arenas.is_empty() {
            return None;
        }
        match effect {
            DiskEffect::Truncate { file, length } => {
                self.arena_of_log(file.log)?.cut(*file, *length);
                (self.flushing_end(*file) > *length).then(|| self.behind(*file))
            }
            DiskEffect::Rename { closes, .. } => {
                let files = closes.iter().filter(|file| file.kind == FileKind::Records);
                files.filter_map(|file| self.close(now_ms, *file)).max()
            }
            DiskEffect::RemoveFile { closes: Some(file), .. } => {
                self.arena_of_log(file.log)?.remove_file(*file);
                // One that comes later would write into the next file of that name.
                (self.flushing_end(*file) > 0).then(|| self.behind(*file))
            }
            _ => None,
        }
    }

    /// Nothing of the file stays in the arena. As [`DiskEngine::flush_before`].
    fn close(&mut self, now_ms: u64, file: FileId) -> Option<u64> {
        let directory = self.folders.get(&file.log)?.directory;
        let mut flushes = std::mem::take(&mut self.flushes);
        if let Some(arena) = self.arena_of_log(file.log) {
            arena.close(file, &mut flushes);
        }
        self.flushes = flushes;
        self.submit_flushes(now_ms, directory, By::SyncWorker);
        (self.flushing_end(file) > 0).then(|| self.behind(file))
    }

    /// Where a range begins: the arena has what the file does not have yet, and the recent past.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn source(
        &self,
        file: FileId,
        position: u64,
        length: usize,
    ) -> Result<Source, DiskError> {
        let arena = if file.kind == FileKind::Records { self.arena_at(file.log) } else { None };
        let place = arena.map(|arena| (arena, arena.machine().place_of(file, position, length)));
        let length = match place {
            Some((arena, Place::Arena { at, length, lease })) => {
                let mapping = Arc::clone(arena.mapping());
                return Ok(Source::Arena { mapping, at, length, lease });
            }
            Some((_, Place::File { length })) => length,
            None => length,
        };
        Ok(Source::File { file: self.open(file, false)?, length })
    }

    /// A worker has written from an arena, or failed to. Who waited for that may be written now.
    pub(crate) fn on_flushed(
        &mut self,
        now_ms: u64,
        flushed: &Flushed,
        completions: &mut Vec<Completion>,
    ) {
        if let Err(error) = &flushed.result {
            self.suspect(error);
        }
        let arena = self.arenas.get_mut(usize::from(flushed.directory.0));
        if let Some(arena) = arena.and_then(Option::as_mut) {
            arena.on_flushed(now_ms, flushed);
        }
        self.offer_again(now_ms, flushed.directory, completions);
    }

    /// Monotonic milliseconds: when an arena wants to be looked at.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let arenas = self.arenas.iter().flatten().filter_map(|it| it.machine().next_deadline());
        arenas.chain(self.waits_end()).min()
    }

    pub(crate) fn on_deadline(&mut self, now_ms: u64, completions: &mut Vec<Completion>) {
        for index in 0..self.arenas.len() {
            let mut flushes = std::mem::take(&mut self.flushes);
            if let Some(arena) = self.arenas.get_mut(index).and_then(Option::as_mut) {
                arena.on_deadline(now_ms, &mut flushes);
            }
            self.flushes = flushes;
            let directory = DirectoryId(index as u16);
            self.submit_flushes(now_ms, directory, By::FlushWorker);
            self.offer_again(now_ms, directory, completions);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use strom_storage::disk::{DiskPath, LogId, Ticket};

    use super::super::file_path;
    use super::super::tests::engine_with_arena;
    use super::*;

    #[test]
    fn what_is_written_behind_a_removal_is_all_that_the_file_holds() {
        let root = tempfile::tempdir_in(".").expect("a folder");
        let (mut engine, mut told) = engine_with_arena(root.path());
        let path = DiskPath { directory: DirectoryId(0), path: "gone-0".into() };
        engine.place(LogId(0), path.clone());
        let file = FileId { log: LogId(0), segment: 0, kind: FileKind::Records };
        let ticket = |sequence| Ticket { log: LogId(0), sequence };
        let write = |bytes: Vec<u8>, number| {
            let bytes = Bytes::from(bytes);
            DiskEffect::Write { file, position: 0, bytes, ticket: ticket(number) }
        };
        let effects = [
            DiskEffect::CreateFolder { path: path.clone(), files: Vec::new(), ticket: ticket(0) },
            write(vec![1; 300_000], 1),
            // Brings it out, and is not done when the file is removed.
            DiskEffect::Sync { files: vec![file], ticket: ticket(2) },
            DiskEffect::RemoveFile { path: file_path(&path, file), closes: Some(file) },
            write(vec![2; 10], 3),
            DiskEffect::Sync { files: vec![file], ticket: ticket(4) },
        ];
        let mut kept = Vec::new();
        effects.into_iter().for_each(|effect| engine.perform(0, effect, &mut kept));
        while kept.len() < 5 {
            let result = told.blocking_recv().expect("a report");
            engine.on_finished(&result);
            kept.extend(result.completion);
        }
        assert!(kept.iter().all(|it| it.result.is_ok()), "{kept:?}");
        let records = root.path().join("gone-0/00000000000000000000.log");
        assert_eq!(std::fs::read(records).expect("the file"), [2; 10]);
    }
}
