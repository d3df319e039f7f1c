//! What becomes of a write that the arena has no room for.
//!
//! A flush is under way then, often of the same file, which the system locks meanwhile: to write into it
//! here would keep the shard from everybody else for as long as the disk takes. So the write waits for the
//! flush and goes into the arena after it, which is cheaper than the page cache, too. In one file writes
//! go into the arena in their order; they are disjoint, so that those which go another way may go first.
//! What the arena does not want, as of one log among too many, goes into its file at once.

use std::time::{Duration, Instant};

use strom_broker::boot::file_path;
use strom_storage::arena::LARGE_BYTES;
use strom_storage::disk::{Completion, DirectoryId, DiskEffect, FileId, FileKind};

use super::gather::Write;
use super::{DirectArena, DiskEngine};
use crate::sync_worker::{SlowResult, SlowWork};

/// Who has waited so long does not wait for room any more, but for a worker that writes past the arena.
const WAIT_MAX_MS: u64 = 100;
/// A write into the page cache takes so long only where the system holds up who writes faster than the disk.
const HELD_UP: Duration = Duration::from_millis(10);

/// What is left of a write, if anything, and whether room for it will come.
enum Offered {
    Taken(Completion),
    Left { rest: Write, is_short: bool },
}

impl DiskEngine {
    /// Into the arena what it takes; the rest waits for room in it, or goes into the file. `None`: it is
    /// reported later.
    pub(super) fn write(&mut self, now_ms: u64, write: Write) -> Option<Completion> {
        if self.somebody_waits() && self.waits(write.file) {
            return self.wait(now_ms, write);
        }
        match self.offer(now_ms, write) {
            Offered::Taken(completion) => Some(completion),
            Offered::Left { rest, is_short } if is_short && self.is_to_wait(&rest) => {
                self.wait(now_ms, rest)
            }
            Offered::Left { rest, .. } if self.is_past_arena(&rest) => {
                self.write_past_arena(now_ms, rest)
            }
            Offered::Left { rest, .. } => self.write_through(rest),
        }
    }

    /// Whether the arena might have had it. The first write makes the file, which takes its time for
    /// other reasons.
    fn is_past_arena(&self, write: &Write) -> bool {
        write.file.kind == FileKind::Records && write.position > 0 && !self.arenas.is_empty()
    }

    /// Where that takes long the arena is told, which may do something about it.
    fn write_past_arena(&mut self, now_ms: u64, write: Write) -> Option<Completion> {
        let (log, begun) = (write.file.log, Instant::now());
        let completion = self.write_through(write);
        if begun.elapsed() >= HELD_UP
            && let Some(arena) = self.arena_of_log(log)
        {
            arena.on_held_up(now_ms);
        }
        completion
    }

    /// A flush has made room, perhaps.
    pub(super) fn offer_again(
        &mut self,
        now_ms: u64,
        directory: DirectoryId,
        completions: &mut Vec<Completion>,
    ) {
        while let Some((since_ms, write)) = self.arena_in(directory).and_then(|it| it.waiting.pop())
        {
            match self.offer(now_ms, write) {
                Offered::Taken(completion) => completions.push(completion),
                Offered::Left { rest, is_short: true } if now_ms < since_ms + WAIT_MAX_MS => {
                    if let Some(arena) = self.arena_in(directory) {
                        arena.waiting.push_front(since_ms, rest);
                    }
                    break;
                }
                Offered::Left { rest, is_short: true } => self.write_apart(rest, completions),
                Offered::Left { rest, .. } => completions.extend(self.write_through(rest)),
            }
        }
    }

    fn offer(&mut self, now_ms: u64, write: Write) -> Offered {
        let gathered = self.gather(now_ms, &write);
        let Write { file, position, bytes, ticket } = write;
        if gathered.taken == bytes.len() && gathered.taken > 0 {
            return Offered::Taken(Completion { ticket, result: Ok(()) });
        }
        let position = position + gathered.taken as u64;
        let bytes = if gathered.taken > 0 { bytes.slice(gathered.taken..) } else { bytes };
        let rest = Write { file, position, bytes, ticket };
        Offered::Left { rest, is_short: gathered.is_short }
    }

    /// Into the file. `None`: a worker will report it.
    fn write_through(&mut self, write: Write) -> Option<Completion> {
        if self.flushing_end(write.file) > write.position && self.give_to_worker(&write, false) {
            // Where a flush of bytes that were taken back is under way, its worker comes first.
            return None;
        }
        let result = self.write_file(write.file, write.position, &write.bytes);
        self.notice(&result);
        Some(Completion { ticket: write.ticket, result })
    }

    /// Monotonic milliseconds: when who waits for room is not to wait any more.
    pub(super) fn waits_end(&self) -> Option<u64> {
        let oldest = self.arenas.iter().flatten().filter_map(|arena| arena.waiting.oldest_ms());
        oldest.min().map(|since_ms| since_ms + WAIT_MAX_MS)
    }

    /// A write that has waited: those that come behind it in the file need not.
    fn write_apart(&mut self, write: Write, completions: &mut Vec<Completion>) {
        if !self.give_to_worker(&write, true) {
            completions.extend(self.write_through(write));
        } else if let Some(arena) = self.arena_of_log(write.file.log) {
            arena.waiting.hand_over(write.bytes.len());
        }
    }

    /// Bytes that were handed over count until they are written.
    pub(super) fn on_written_apart(&mut self, result: &SlowResult) {
        if let (Some(path), 1..) = (result.paths.first(), result.bytes_apart)
            && let Some(arena) = self.arena_in(path.directory)
        {
            arena.waiting.on_written(result.bytes_apart);
        }
    }

    /// False when the log has no folder any more.
    fn give_to_worker(&mut self, write: &Write, is_apart: bool) -> bool {
        let &Write { file, position, ref bytes, ticket } = write;
        let Some(folder) = self.folders.get(&file.log) else { return false };
        let path = file_path(folder, file);
        let is_over = self.flushing_end(file) > position;
        let behind = if is_over { self.behind(file) } else { 0 };
        let bytes = bytes.clone();
        self.submit_behind(behind, SlowWork::Write { path, position, bytes, ticket, is_apart });
        true
    }

    /// Not over bytes that a flush still writes: the arena does not take such, nor is that for want of
    /// room. Nor a small write into a file that nobody has locked, which takes no time.
    fn is_to_wait(&self, rest: &Write) -> bool {
        let flushing_end = self.flushing_end(rest.file);
        flushing_end <= rest.position && (rest.bytes.len() >= LARGE_BYTES || flushing_end > 0)
    }

    /// Until there is room; or, when too much waits already, into the file at once.
    fn wait(&mut self, now_ms: u64, write: Write) -> Option<Completion> {
        match self.arena_of_log(write.file.log) {
            Some(arena) if arena.waiting.has_room(write.bytes.len()) => {
                arena.waiting.push(now_ms, write);
                None
            }
            _ => self.write_through(write),
        }
    }

    /// Whether so many records wait for the disk that large requests had better not be taken up.
    #[must_use]
    pub(crate) fn is_crowded(&self) -> bool {
        self.arenas.iter().flatten().any(|arena| arena.waiting.is_crowded())
    }

    fn somebody_waits(&self) -> bool {
        self.arenas.iter().flatten().any(|arena| !arena.waiting.is_empty())
    }

    fn waits(&self, file: FileId) -> bool {
        self.arena_at(file.log).is_some_and(|arena| arena.waiting.has(file))
    }

    fn arena_in(&mut self, directory: DirectoryId) -> Option<&mut DirectArena> {
        self.arenas.get_mut(usize::from(directory.0))?.as_mut()
    }

    /// What is asked of a file as a whole comes behind all writes to it, so those that wait are given to
    /// the worker, and keep its path busy.
    pub(super) fn end_waits(&mut self, effect: &DiskEffect, completions: &mut Vec<Completion>) {
        if !self.somebody_waits() {
            return;
        }
        match effect {
            DiskEffect::Sync { files, .. } | DiskEffect::Rename { closes: files, .. } => {
                self.end_waits_of(|file| files.contains(&file), completions);
            }
            DiskEffect::Truncate { file, .. } | DiskEffect::Trim { file, .. } => {
                self.end_waits_of(|it| it == *file, completions);
            }
            DiskEffect::RemoveFile { closes: Some(file), .. } => {
                self.end_waits_of(|it| it == *file, completions);
            }
            DiskEffect::RemoveDirectory { path } => {
                let of_folder = self.folders.iter().filter(|(_, folder)| *folder == path);
                let logs: Vec<_> = of_folder.map(|(log, _)| *log).collect();
                self.end_waits_of(|file| logs.contains(&file.log), completions);
            }
            _ => {}
        }
    }

    pub(super) fn end_waits_of(
        &mut self,
        is_wanted: impl Fn(FileId) -> bool,
        completions: &mut Vec<Completion>,
    ) {
        let arenas = self.arenas.iter_mut().flatten();
        let ended: Vec<Write> =
            arenas.flat_map(|arena| arena.waiting.take_of(&is_wanted)).collect();
        ended.into_iter().for_each(|write| self.write_apart(write, completions));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use strom_storage::disk::{DiskError, DiskPath, LogId, ReadFiles, Ticket};
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::super::tests::engine_with_arena;
    use super::*;
    use crate::sync_worker::SlowResult;

    const PIECE: usize = 400 << 10;
    const LOG: LogId = LogId(0);
    const FILE: FileId = FileId { log: LOG, segment: 0, kind: FileKind::Records };

    struct Bench {
        root: tempfile::TempDir,
        engine: DiskEngine,
        told: UnboundedReceiver<SlowResult>,
        kept: Vec<Completion>,
    }

    fn ticket(sequence: u64) -> Ticket {
        Ticket { log: LOG, sequence }
    }

    fn piece(number: u64) -> Bytes {
        vec![number as u8; PIECE].into()
    }

    impl Bench {
        fn new() -> Bench {
            let root = tempfile::tempdir_in(".").expect("a folder");
            let (mut engine, told) = engine_with_arena(root.path());
            let path = DiskPath { directory: DirectoryId(0), path: "full-0".into() };
            engine.place(LOG, path.clone());
            let mut bench = Bench { root, engine, told, kept: Vec::new() };
            let files = Vec::new();
            bench.perform(DiskEffect::CreateFolder { path, files, ticket: ticket(100) });
            bench.create(FILE);
            bench
        }

        fn perform(&mut self, effect: DiskEffect) {
            self.engine.perform(0, effect, &mut self.kept);
        }

        fn create(&mut self, file: FileId) {
            let (bytes, ticket) = (Bytes::new(), ticket(101));
            self.perform(DiskEffect::Write { file, position: 0, bytes, ticket });
        }

        fn write(&mut self, numbers: std::ops::Range<u64>) {
            for number in numbers {
                let position = number * PIECE as u64;
                let (bytes, ticket) = (piece(number), ticket(number));
                self.perform(DiskEffect::Write { file: FILE, position, bytes, ticket });
            }
        }

        fn is_kept(&self, sequence: u64) -> bool {
            self.kept.iter().any(|it| it.ticket == ticket(sequence) && it.result.is_ok())
        }

        /// Takes reports until a ticket is kept.
        fn until(&mut self, sequence: u64) {
            while !self.is_kept(sequence) {
                let result = self.told.blocking_recv().expect("a report");
                self.engine.on_finished(&result);
                if let Some(flushed) = &result.flushed {
                    self.engine.on_flushed(0, flushed, &mut self.kept);
                }
                self.kept.extend(result.completion);
            }
        }

        fn in_file(&self) -> Vec<u8> {
            std::fs::read(self.root.path().join("full-0/00000000000000000000.log")).expect("read")
        }
    }

    fn pieces(numbers: std::ops::Range<u64>) -> Vec<u8> {
        numbers.flat_map(piece).collect()
    }

    #[test]
    fn what_the_full_arena_does_not_take_waits_for_a_flush_and_is_read_in_its_place() {
        let mut bench = Bench::new();
        bench.write(0..12);
        assert!(bench.is_kept(1) && !bench.is_kept(2) && !bench.is_kept(11));
        // A small one to another file goes by.
        let other = FileId { segment: 7, ..FILE };
        bench.create(other);
        let (bytes, small) = (Bytes::from_static(b"small"), ticket(50));
        bench.perform(DiskEffect::Write { file: other, position: 0, bytes, ticket: small });
        assert!(bench.is_kept(50));
        bench.until(11);
        let mut read = vec![0; 12 * PIECE];
        match bench.engine.read_at(FILE, 0, &mut read) {
            Ok(count) => assert!(count == read.len() && read == pieces(0..12)),
            // What was written past the page cache is not in memory.
            refused => assert_eq!(refused, Err(DiskError::WouldBlock)),
        }
        let written: Vec<u64> = bench.kept.iter().map(|it| it.ticket.sequence).collect();
        assert_eq!(written.len(), 16);
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(99) });
        bench.until(99);
        assert!(bench.in_file() == pieces(0..12));
    }

    #[test]
    fn a_sync_and_a_cut_come_behind_the_writes_that_wait() {
        let mut bench = Bench::new();
        bench.write(0..6);
        assert!(!bench.is_kept(5));
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(90) });
        bench.until(90);
        assert!(bench.is_kept(5) && bench.in_file() == pieces(0..6));
        bench.write(6..12);
        bench.perform(DiskEffect::Truncate { file: FILE, length: 7 * PIECE as u64 });
        bench.write(7..8);
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(91) });
        bench.until(91);
        assert!(bench.in_file() == pieces(0..8));
    }

    #[test]
    fn no_more_waits_than_the_bound() {
        let mut bench = Bench::new();
        bench.write(0..40);
        let kept = bench.kept.len();
        assert!((42 - kept) * PIECE <= 9 << 20, "{kept} of 42");
        assert!(bench.engine.is_crowded());
        (0..40).for_each(|number| bench.until(number));
        assert!(!bench.engine.is_crowded());
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(90) });
        bench.until(90);
        assert!(bench.in_file() == pieces(0..40));
    }

    #[test]
    fn who_has_waited_long_is_written_past_the_arena() {
        let mut bench = Bench::new();
        bench.write(0..6);
        assert_eq!(bench.engine.waits_end(), Some(WAIT_MAX_MS));
        // No flush is reported: room is not coming.
        bench.engine.on_deadline(WAIT_MAX_MS - 1, &mut bench.kept);
        assert!(bench.engine.waits_end().is_some() && !bench.is_kept(5));
        bench.engine.on_deadline(WAIT_MAX_MS, &mut bench.kept);
        assert_eq!(bench.engine.waits_end(), None);
        bench.until(5);
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(90) });
        bench.until(90);
        assert!(bench.in_file() == pieces(0..6));
    }

    #[test]
    fn writes_behind_a_sync_do_not_wait_for_a_worker_but_all_that_is_under_way_is_bounded() {
        let mut bench = Bench::new();
        bench.write(0..6);
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(90) });
        let path =
            DiskPath { directory: DirectoryId(0), path: "full-0/00000000000000000000.log".into() };
        assert!(bench.engine.pending.touches(&path) && !bench.engine.pending.touches_write(&path));
        let waiting = |bench: &Bench| {
            let arena = bench.engine.arenas[0].as_ref().expect("an arena");
            (0..=8 << 20).rev().step_by(PIECE).find(|bytes| arena.waiting.has_room(*bytes))
        };
        assert!(waiting(&bench) < Some(8 << 20));
        bench.write(6..7);
        bench.until(90);
        bench.until(6);
        assert_eq!(waiting(&bench), Some(8 << 20));
        bench.perform(DiskEffect::Sync { files: vec![FILE], ticket: ticket(91) });
        bench.until(91);
        assert!(bench.in_file() == pieces(0..7));
    }
}
