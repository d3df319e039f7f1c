//! Zeros ahead of records that are synced each: written and synced by a thread of their own, so that the
//! syncs of the records find blocks that are there already.
//!
//! They are appended to the file, never put at a position: whatever was written meanwhile, they come
//! behind it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use strom_base::IdMap;
use strom_storage::disk::{DiskError, FileId, LogId, Volume};

use super::FlushProgress;
use crate::file_disk::disk_error;

/// A volume with less room has none for zeros.
const USABLE_MIN: u64 = 1 << 30;
/// Files with zeros at a time, so that there are never more than 64 MiB of them: a start after a kill
/// reads them all. Each that waits for its own is held open.
const FILES_MAX: usize = 16;
/// Written at once: who writes records to the file waits so long.
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

/// What all jobs of a file share, be they queued or at work.
#[derive(Debug, Default)]
struct Life {
    /// The file is to get no more zeros. Set first, so that nobody waits for more than a piece.
    is_ended: AtomicBool,
    /// Held while a piece is written.
    writing: Mutex<()>,
}

impl Life {
    /// From here on nothing is written any more.
    fn end(&self) {
        self.is_ended.store(true, Ordering::SeqCst);
        drop(self.writing.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[derive(Debug)]
struct Job {
    file: Arc<File>,
    path: PathBuf,
    length: u64,
    life: Arc<Life>,
    progress: Arc<FlushProgress>,
    /// Counts as waiting while it is there.
    _waits: Waits,
}

#[derive(Debug)]
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The shard's side. The thread begins with the first file and ends with the handle.
#[derive(Debug, Default)]
pub(crate) struct Filler {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<AtomicUsize>,
    /// Files that have zeros or wait for them, until they are cut or go away.
    files: IdMap<FileId, Weak<Life>>,
}

impl Filler {
    /// Whether this file may get zeros now.
    pub(crate) fn has_room(&self, id: FileId, volume: Option<Volume>) -> bool {
        (self.files.len() < FILES_MAX || self.files.contains_key(&id))
            && self.waiting.load(Ordering::Relaxed) < FILES_MAX
            && volume.is_some_and(|volume| volume.usable >= USABLE_MIN)
    }

    /// See [`DiskEffect::Fill`](strom_storage::disk::DiskEffect::Fill).
    ///
    /// # Errors
    /// The file cannot be opened, or there is no thread to be had.
    pub(crate) fn fill(
        &mut self,
        id: FileId,
        (path, length): (PathBuf, u64),
        progress: &Arc<FlushProgress>,
    ) -> Result<(), DiskError> {
        let failed = |error| disk_error(&format!("fill {}", path.display()), &error);
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        if self.thread.is_none() {
            let (queue, jobs) = channel();
            let thread = std::thread::Builder::new()
                .name("zeros-ahead".into())
                .stack_size(256 * 1024)
                .spawn(move || run(&jobs));
            (self.queue, self.thread) = (Some(queue), Some(thread.map_err(failed)?));
        }
        // One for all jobs of the file: who ends it ends those, too, that wait since long.
        let life = self.files.get(&id).and_then(Weak::upgrade).unwrap_or_default();
        self.files.insert(id, Arc::downgrade(&life));
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waits = Waits(Arc::clone(&self.waiting));
        let (file, progress) = (Arc::new(file), Arc::clone(progress));
        let job = Job { file, path, length, life, progress, _waits };
        // Nobody waits for zeros: those that a thread would have written that is gone, neither.
        drop(self.queue.as_ref().map(|queue| queue.send(job)));
        Ok(())
    }

    /// From now on the file gets no more.
    pub(crate) fn end(&mut self, id: FileId) {
        if let Some(life) = self.files.remove(&id).and_then(|it| it.upgrade()) {
            life.end();
        }
    }

    /// From now on no file of the log gets more.
    pub(crate) fn end_all_of(&mut self, log: LogId) {
        let of_log = self.files.extract_if(|id, _| id.log == log);
        of_log.filter_map(|(_, life)| life.upgrade()).for_each(|life| life.end());
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.queue = None;
        self.files.values().filter_map(Weak::upgrade).for_each(|life| life.end());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes zeros ahead had panicked");
        }
    }
}

fn run(jobs: &Receiver<Job>) {
    for job in jobs {
        if let Err(error) = fill(&job) {
            tell(&job.path, &error);
        }
    }
}

fn fill(Job { file, length, life, progress, .. }: &Job) -> io::Result<()> {
    loop {
        let writing = life.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let left = length.saturating_sub(file.metadata()?.len()).min(PIECE.len() as u64);
        if life.is_ended.load(Ordering::SeqCst) || left == 0 {
            break;
        }
        file.as_ref().write_all(PIECE.get(..left as usize).unwrap_or_default())?;
        drop(writing);
    }
    progress.sync_aside(file)
}

/// No room for zeros is no failure. What a sync lost, the files' own syncs say from now on.
fn tell(path: &Path, error: &io::Error) {
    match disk_error(&format!("fill {}", path.display()), error) {
        DiskError::Full(_) => {}
        error => tracing::warn!(%error, "a disk operation failed"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use strom_storage::disk::{FileKind, LogId};

    use super::*;

    fn wait_for(filler: &Filler) {
        while filler.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn zeros_come_behind_what_is_there_and_end_when_they_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        std::fs::write(&path, b"records").expect("written");
        let id = FileId { log: LogId(0), segment: 0, kind: FileKind::Records };
        let (mut filler, progress) = (Filler::default(), Arc::default());
        let volume = |usable| Some(Volume { total: u64::MAX, usable });
        assert!(filler.has_room(id, volume(USABLE_MIN)));
        assert!(!filler.has_room(id, volume(USABLE_MIN - 1)));
        filler.fill(id, (path.clone(), 300_000), &progress).expect("begun");
        let records = OpenOptions::new().write(true).open(&path).expect("opened");
        records.write_all_at(b" and more", 7).expect("written");
        wait_for(&filler);
        let bytes = std::fs::read(&path).expect("read");
        assert!(bytes.starts_with(b"records and more"));
        assert!(bytes.len() >= 300_000 && bytes[16..].iter().all(|it| *it == 0));
        filler.fill(id, (path.clone(), 1 << 30), &progress).expect("begun");
        filler.end(id);
        records.set_len(16).expect("cut");
        drop(filler);
        assert_eq!(std::fs::read(&path).expect("read"), b"records and more");
    }

    #[test]
    fn a_cut_ends_all_that_was_asked_for_the_file_and_a_close_all_there_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = |segment| FileId { log: LogId(0), segment, kind: FileKind::Records };
        let paths = [0, 1].map(|segment| folder.path().join(format!("{segment}.log")));
        paths.iter().for_each(|path| std::fs::write(path, b"records").expect("written"));
        let (mut filler, progress) = (Filler::default(), Arc::default());
        // Keeps the thread busy, so that the others wait.
        filler.fill(id(0), (paths[0].clone(), 8 << 20), &progress).expect("begun");
        filler.fill(id(1), (paths[1].clone(), 1 << 20), &progress).expect("begun");
        filler.fill(id(1), (paths[1].clone(), 2 << 20), &progress).expect("begun");
        filler.end(id(1));
        let records = OpenOptions::new().write(true).open(&paths[1]).expect("opened");
        records.set_len(7).expect("cut");
        wait_for(&filler);
        assert_eq!(std::fs::read(&paths[1]).expect("read"), b"records");
        filler.fill(id(1), (paths[1].clone(), 100_000), &progress).expect("begun");
        wait_for(&filler);
        assert_eq!(records.metadata().expect("a length").len(), 100_000);
        filler.fill(id(0), (paths[0].clone(), 4 << 30), &progress).expect("begun");
        filler.fill(id(1), (paths[1].clone(), 4 << 30), &progress).expect("begun");
        filler.end_all_of(LogId(0));
        assert!(filler.files.is_empty());
        filler.fill(id(1), (paths[1].clone(), 4 << 30), &progress).expect("begun");
        drop(filler);
        assert!(records.metadata().expect("a length").len() < 1 << 30);
    }

    #[test]
    fn a_sync_of_zeros_that_fails_is_one_of_the_records_too() {
        let id = FileId { log: LogId(0), segment: 0, kind: FileKind::Records };
        let (mut filler, progress) = (Filler::default(), Arc::<FlushProgress>::default());
        // It takes what is written, and cannot be synced.
        let path = PathBuf::from("/dev/null");
        assert_eq!(progress.check(None, &path), Ok(()));
        filler.fill(id, (path.clone(), 0), &progress).expect("begun");
        drop(filler);
        assert!(progress.check(None, &path).is_err() && progress.confirm(None, &path).is_err());
    }

    #[test]
    fn more_files_get_zeros_when_others_have_given_up_theirs() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = |log| FileId { log: LogId(log), segment: 0, kind: FileKind::Records };
        let volume = Some(Volume { total: u64::MAX, usable: u64::MAX });
        let (mut filler, progress) = (Filler::default(), Arc::default());
        let most = FILES_MAX as u32;
        for log in 0..most {
            assert!(filler.has_room(id(log), volume));
            let path = folder.path().join(format!("{log}.log"));
            std::fs::write(&path, b"records").expect("written");
            filler.fill(id(log), (path, 100), &progress).expect("begun");
            wait_for(&filler);
        }
        assert!(filler.has_room(id(0), volume) && !filler.has_room(id(most), volume));
        filler.end(id(3));
        assert!(filler.has_room(id(most), volume));
    }
}
