//! One thread per log directory for what a shard must not wait for: syncs, durable replacements,
//! removals. It takes all that has gathered since the last round, so that a file asked for by many
//! tickets is synced once (group commit).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use strom_storage::disk::{
    Completion, DirectoryId, Disk, DiskError, DiskPath, FileKind, Ticket, create_folder,
    replace_each,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::{FlushProgress, FlushWork, Flushed};
use crate::file_disk::{FileDisk, sync_error};
use crate::sync_round::{Round, flush_ahead, perform_many, take_many};

/// So many replacements are taken together: the first of them must not wait for thousands.
const TOGETHER_MAX: usize = 256;

/// A file that is to be synced, kept open so that a rename does not lose it.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    /// `None` while other work on its path is before it, and when many files wait already: it is opened
    /// when its turn comes.
    pub(crate) file: Option<Arc<File>>,
    pub(crate) path: PathBuf,
    /// Whether the folders that lead to it were synced since it was opened.
    pub(crate) name_is_synced: Arc<AtomicBool>,
}

/// What a shard must not wait for, and what has to come after such work on the same path.
#[derive(Debug)]
pub(crate) enum SlowWork {
    /// Bytes of the arena into their file.
    Flush(FlushWork),
    Sync {
        files: Vec<OpenFile>,
        ticket: Ticket,
    },
    Replace {
        path: DiskPath,
        bytes: Bytes,
        ticket: Ticket,
    },
    RemoveFile {
        path: DiskPath,
    },
    RemoveDirectory {
        path: DiskPath,
    },
    Write {
        path: DiskPath,
        position: u64,
        bytes: Bytes,
        ticket: Ticket,
        /// No other write that is under way touches these bytes.
        is_apart: bool,
    },
    Truncate {
        path: DiskPath,
        length: u64,
    },
    CreateFolder {
        path: DiskPath,
        files: Vec<(FileKind, Bytes)>,
        ticket: Ticket,
    },
    Rename {
        from: DiskPath,
        to: DiskPath,
    },
}

impl SlowWork {
    /// The paths that later effects must not overtake it on. A sync changes nothing, and what must not
    /// overtake a flush asks the arena.
    #[must_use]
    pub(crate) fn paths(&self) -> Vec<DiskPath> {
        match self {
            Self::Sync { .. } | Self::Flush(_) => Vec::new(),
            Self::Rename { from, to } => vec![from.clone(), to.clone()],
            Self::Replace { path, .. }
            | Self::RemoveFile { path }
            | Self::RemoveDirectory { path }
            | Self::Write { path, .. }
            | Self::Truncate { path, .. }
            | Self::CreateFolder { path, .. } => vec![path.clone()],
        }
    }

    /// How many bytes of a write apart there are; 0 for all other work.
    #[must_use]
    pub(crate) fn bytes_apart(&self) -> usize {
        match self {
            Self::Write { bytes, is_apart: true, .. } => bytes.len(),
            _ => 0,
        }
    }
}

/// Work, and how many of the directory's flushes have to be done before it.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) behind: u64,
    pub(crate) work: SlowWork,
}

/// What the worker tells its shard of one piece of work.
#[derive(Debug, Default)]
pub(crate) struct SlowResult {
    /// [`SlowWork::paths`]
    pub(crate) paths: Vec<DiskPath>,
    /// [`SlowWork::bytes_apart`]
    pub(crate) bytes_apart: usize,
    pub(crate) completion: Option<Completion>,
    pub(crate) flushed: Option<Flushed>,
    /// So many files that were kept open for the work are so no more.
    pub(crate) released: usize,
    /// Work without a ticket failed. What it leaves undone the next start repairs, or of a cut, the later
    /// syncs of the file say.
    pub(crate) failure: Option<DiskError>,
}

/// Outcomes of the syncs of a round, by path and open file: a log that was made again has the path of
/// the one that was renamed away, whose sync may still be in the queue. Folders have no open file.
pub(crate) type Synced = BTreeMap<(PathBuf, usize), Result<(), DiskError>>;

/// What tells open files apart that are in the queue at the same time.
pub(crate) fn identity_of(file: Option<&Arc<File>>) -> usize {
    file.map_or(0, |file| Arc::as_ptr(file) as usize)
}

/// What is done in this round to names in the folders of these paths is not covered by the folders'
/// syncs before it.
fn forget_folders(disk: &FileDisk, paths: &[DiskPath], synced: &mut Synced) {
    for path in paths.iter().map(|path| disk.resolve(path)) {
        for place in path.ancestors().take(3) {
            synced.remove(&(place.to_owned(), 0));
        }
    }
}

/// The handle of the shard's side; dropping it ends the thread after its queue.
#[derive(Debug)]
pub(crate) struct SyncWorker {
    queue: Option<Sender<Ordered>>,
    thread: Option<JoinHandle<()>>,
}

impl SyncWorker {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        directory: DirectoryId,
        mut disk: FileDisk,
        flushes: Arc<FlushProgress>,
        results: UnboundedSender<SlowResult>,
    ) -> std::io::Result<Self> {
        // Before anything is written: it tells only of what fails from now on.
        disk.open_volume(directory);
        let (queue, work) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("sync-{}", directory.0))
            .stack_size(256 * 1024)
            .spawn(move || run((directory, disk), &work, &flushes, &results))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// False when the thread is gone, which only a panic of it can cause.
    pub(crate) fn submit(&self, work: Ordered) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.send(work).is_ok())
    }
}

impl Drop for SyncWorker {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sync worker had panicked");
        }
    }
}

fn run(
    (directory, mut disk): (DirectoryId, FileDisk),
    work: &Receiver<Ordered>,
    flushes: &FlushProgress,
    results: &UnboundedSender<SlowResult>,
) {
    let mut untold = Vec::new();
    while let Some(first) = next_work(work, &mut untold, results) {
        let mut batch: VecDeque<Ordered> = std::iter::once(first).chain(work.try_iter()).collect();
        let (mut synced, mut syncs_left) = (Synced::new(), 0_usize);
        while !batch.is_empty() {
            let can_join = syncs_left == 0 && disk.syncs_all(directory);
            let many = if can_join { take_many(&mut batch) } else { Vec::new() };
            let mut done = if many.is_empty() {
                replace_the_next(&mut disk, &mut batch)
            } else {
                let Round { done, left } =
                    perform_many(&mut disk, directory, many, (&mut synced, flushes));
                left.into_iter().rev().for_each(|item| batch.push_front(item));
                done
            };
            if syncs_left == 0 {
                syncs_left = flush_ahead(&mut batch, (&mut synced, flushes), &mut done);
            }
            syncs_left = syncs_left.saturating_sub(1);
            let next = batch.pop_front();
            done.extend(next.map(|item| perform(&mut disk, item, &mut synced, flushes)));
            let are_flushes = done.iter().all(|result| result.flushed.is_some());
            untold.extend(done);
            if are_flushes && batch.is_empty() {
                break;
            }
            if !tell(&mut untold, results) {
                return;
            }
        }
    }
}

/// Waits for work. A flush alone is told of with what follows it at once, mostly its sync: one wake-up
/// of the shard instead of two.
fn next_work(
    work: &Receiver<Ordered>,
    untold: &mut Vec<SlowResult>,
    results: &UnboundedSender<SlowResult>,
) -> Option<Ordered> {
    if let Ok(next) = work.try_recv() {
        return Some(next);
    }
    if tell(untold, results) { work.recv().ok() } else { None }
}

/// False when nobody listens any more.
fn tell(untold: &mut Vec<SlowResult>, results: &UnboundedSender<SlowResult>) -> bool {
    untold.drain(..).all(|result| results.send(result).is_ok())
}

/// The replacements at the front of the queue, up to the second one of a path, all together.
fn replace_the_next(disk: &mut FileDisk, batch: &mut VecDeque<Ordered>) -> Vec<SlowResult> {
    let mut paths = BTreeSet::new();
    let (mut files, mut tickets) = (Vec::new(), Vec::new());
    while let Some(Ordered { work: SlowWork::Replace { path, bytes, ticket }, .. }) =
        batch.pop_front_if(|item| may_join(item, &paths))
    {
        paths.insert(path.clone());
        files.push((path, bytes));
        tickets.push(ticket);
    }
    let outcomes = replace_each(disk, &files);
    files
        .into_iter()
        .zip(tickets)
        .zip(outcomes)
        .map(|(((path, _), ticket), result)| SlowResult {
            paths: vec![path],
            completion: Some(Completion { ticket, result }),
            ..SlowResult::default()
        })
        .collect()
}

/// Whether it is a replacement that may be done together with those of these paths.
fn may_join(item: &Ordered, taken: &BTreeSet<DiskPath>) -> bool {
    let SlowWork::Replace { path, .. } = &item.work else { return false };
    taken.len() < TOGETHER_MAX && !taken.contains(path)
}

/// The folder of a file and the log directory above it, each once a round: a power failure must not
/// take the name of what was synced. A log that was renamed away meanwhile is synced there.
fn sync_folders(path: &Path, synced: &mut Synced) -> Result<(), DiskError> {
    for folder in path.ancestors().skip(1).take(2) {
        let outcome = synced.entry((folder.to_owned(), 0)).or_insert_with_key(|(folder, _)| {
            let result = File::open(folder).and_then(|folder| folder.sync_all());
            match result {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(sync_error(&format!("sync {}", folder.display()), &error))
                }
                _ => Ok(()),
            }
        });
        outcome.clone()?;
    }
    Ok(())
}

/// One piece of work. `synced` remembers the outcome of each file within a round: what was written
/// before the round began is covered by its one sync, and a file whose sync failed is never retried.
fn perform(
    disk: &mut FileDisk,
    item: Ordered,
    synced: &mut Synced,
    flushes: &FlushProgress,
) -> SlowResult {
    let Ordered { behind, work: item } = item;
    flushes.wait_for(behind);
    if behind > 0 || matches!(item, SlowWork::Flush(_)) {
        forget_files(&item, synced);
    }
    // A write or a cut in the midst of a round is not covered by the file's sync before it, either.
    if let SlowWork::Write { path, .. } | SlowWork::Truncate { path, .. } = &item {
        forget_file(&disk.resolve(path), synced);
    }
    let (paths, bytes_apart) = (item.paths(), item.bytes_apart());
    forget_folders(disk, &paths, synced);
    let mut released = 0;
    let (ticket, result) = match item {
        SlowWork::Sync { files, ticket } => {
            let mut result = Ok(());
            for OpenFile { file, path, name_is_synced } in files {
                released += usize::from(file.is_some());
                let outcome = synced
                    .entry((path.clone(), identity_of(file.as_ref())))
                    .or_insert_with_key(|(path, _)| {
                        flushes.check(file.as_deref(), path)?;
                        sync(file.as_deref(), path)?;
                        flushes.confirm(file.as_deref(), path)
                    });
                result = worse(result, outcome.clone());
                if !name_is_synced.load(Ordering::Relaxed) {
                    let named = sync_folders(&path, synced);
                    name_is_synced.store(named.is_ok(), Ordering::Relaxed);
                    result = worse(result, named);
                }
            }
            (Some(ticket), result)
        }
        SlowWork::Replace { path, bytes, ticket } => (Some(ticket), disk.replace(&path, &bytes)),
        SlowWork::Write { path, position, bytes, ticket, .. } => {
            (Some(ticket), disk.write_at(&path, position, &bytes))
        }
        SlowWork::Truncate { path, length } => {
            // Synced, as on the shard: what comes in the place of the cut must not mix with it.
            let result = disk.truncate(&path, length).and_then(|()| disk.sync(&path));
            match &result {
                Ok(()) => flushes.cut(&disk.resolve(&path), length),
                Err(error) => flushes.lose_path(&disk.resolve(&path), error),
            }
            (None, result)
        }
        SlowWork::Flush(work) => return flushes.flush(work),
        SlowWork::CreateFolder { path, files, ticket } => {
            (Some(ticket), create_folder(disk, &path, &files))
        }
        SlowWork::Rename { from, to } => (None, disk.rename(&from, &to)),
        SlowWork::RemoveFile { path } => (None, disk.remove_file(&path)),
        SlowWork::RemoveDirectory { path } => (None, disk.remove_directory(&path)),
    };
    let (completion, failure) = match ticket {
        Some(ticket) => (Some(Completion { ticket, result }), None),
        None => (None, result.err()),
    };
    SlowResult { paths, bytes_apart, completion, flushed: None, released, failure }
}

/// Of two outcomes the one that says more. That a file waits for room must not hide that another one's
/// sync has failed: that is told once.
fn worse(one: Result<(), DiskError>, other: Result<(), DiskError>) -> Result<(), DiskError> {
    match (&one, &other) {
        (Ok(()) | Err(DiskError::Full(_)), Err(_)) => other,
        _ => one,
    }
}

/// What a flush writes now, or has written since the round began, is not covered by earlier syncs.
pub(crate) fn forget_files(item: &SlowWork, synced: &mut Synced) {
    let paths: Vec<&PathBuf> = match item {
        SlowWork::Flush(work) => vec![&work.path],
        SlowWork::Sync { files, .. } => files.iter().map(|file| &file.path).collect(),
        _ => return,
    };
    paths.into_iter().for_each(|path| forget_file(path, synced));
}

fn forget_file(path: &Path, synced: &mut Synced) {
    let known = synced.range((path.to_owned(), 0)..=(path.to_owned(), usize::MAX));
    let covered: Vec<_> = known.filter(|it| it.1.is_ok()).map(|it| it.0.clone()).collect();
    for key in covered {
        drop(synced.remove(&key));
    }
}

fn sync(file: Option<&File>, path: &Path) -> Result<(), DiskError> {
    let synced = match file {
        Some(file) => file.sync_data(),
        None => File::open(path).and_then(|file| file.sync_data()),
    };
    synced.map_err(|error| sync_error(&format!("sync {}", path.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_storage::disk::LogId;
    use tokio::sync::mpsc::unbounded_channel;

    #[test]
    fn a_file_that_waits_for_room_does_not_hide_a_failed_sync() {
        let full = || Err(DiskError::Full("0.log".into()));
        let failed = || Err(DiskError::Io("1.log".into()));
        assert_eq!(worse(full(), failed()), failed());
        assert_eq!(worse(failed(), full()), failed());
        assert_eq!(worse(Ok(()), full()), full());
        assert_eq!(worse(full(), Ok(())), full());
    }

    #[test]
    fn a_file_made_again_under_a_name_is_not_synced_by_the_sync_of_the_old_one() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("0.log");
        let old = Arc::new(File::create(&path).expect("a file"));
        // A device without storage cannot be synced: that tells whether it was tried.
        let new = Arc::new(File::open("/dev/null").expect("a file"));
        let (queue, work) = channel();
        for (sequence, file) in [(0, old), (1, new)] {
            let ticket = Ticket { log: LogId(sequence as u32), sequence };
            let name_is_synced = Arc::new(AtomicBool::new(true));
            let files = vec![OpenFile { file: Some(file), path: path.clone(), name_is_synced }];
            let work = SlowWork::Sync { files, ticket };
            queue.send(Ordered { behind: 0, work }).expect("queued");
        }
        drop(queue);
        let (results, mut told) = unbounded_channel();
        let disk = FileDisk::new(vec![root.path().to_owned()]);
        run((DirectoryId(0), disk), &work, &FlushProgress::default(), &results);
        let outcomes: Vec<bool> = std::iter::from_fn(|| told.try_recv().ok())
            .filter_map(|it| it.completion.map(|completion| completion.result.is_ok()))
            .collect();
        assert_eq!(outcomes, [true, false]);
    }
}
