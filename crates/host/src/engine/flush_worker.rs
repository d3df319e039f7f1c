//! Threads of one log directory that write chunks into their files, and nothing else: removals and
//! syncs, which may take their time, have the sync worker.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use strom_storage::disk::DiskError;
use tokio::sync::mpsc::UnboundedSender;

use super::owed_files::is_same;
use super::{FlushWork, OwedFiles};
use crate::file_disk::sync_error;
use crate::sync_worker::SlowResult;

/// What the threads of one log directory know of its flushes.
#[derive(Debug, Default)]
pub(crate) struct FlushProgress {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// All of this worker's flushes up to this one are done, and these behind it.
    done: u64,
    ahead: BTreeSet<u64>,
    owed: OwedFiles,
    /// What others than the sync worker are syncing.
    syncing: Vec<Arc<File>>,
    /// A thread has ended, and with it the flush it was at.
    is_given_up: bool,
}

impl State {
    fn check(&self, file: Option<&File>, path: &std::path::Path) -> Result<(), DiskError> {
        match self.is_given_up {
            true => Err(thread_ended()),
            false => self.owed.check(file, path),
        }
    }
}

impl FlushProgress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many flushes are done.
    pub(crate) fn wait_for(&self, count: u64) {
        let waiting = self.moved.wait_while(self.state(), |state| state.done < count);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    /// Does a flush, and remembers if its file still lacks bytes.
    pub(crate) fn flush(&self, work: FlushWork) -> SlowResult {
        let path = work.path.clone();
        let range = work.flush.position..work.flush.position + work.flush.length as u64;
        let flushed = work.perform();
        self.state().owed.on_flushed(&path, range, &flushed.result);
        SlowResult { flushed: Some(flushed), ..SlowResult::default() }
    }

    /// The file was cut to `length` bytes.
    pub(crate) fn cut(&self, path: &std::path::Path, length: u64) {
        self.state().owed.cut(path, length);
    }

    /// # Errors
    /// Why the file does not have all its bytes.
    pub(crate) fn check(
        &self,
        file: Option<&File>,
        path: &std::path::Path,
    ) -> Result<(), DiskError> {
        self.state().check(file, path)
    }

    /// Syncs a file whose other syncs the sync worker does: what this one is told, no later one may be.
    ///
    /// # Errors
    /// As of the system. From now on no sync of the file succeeds.
    pub(crate) fn sync_aside(&self, file: &Arc<File>) -> std::io::Result<()> {
        self.state().syncing.push(Arc::clone(file));
        let synced = file.sync_data();
        let mut state = self.state();
        if let Some(at) = state.syncing.iter().position(|it| Arc::ptr_eq(it, file)) {
            state.syncing.swap_remove(at);
        }
        if let Err(error) = &synced {
            state.owed.lose(Arc::clone(file), sync_error("sync", error));
        }
        self.moved.notify_all();
        synced
    }

    /// The file could not be made what it is to be: from now on no sync of it succeeds.
    pub(crate) fn lose(&self, file: Arc<File>, error: &DiskError) {
        self.state().owed.lose(file, error.clone());
    }

    /// As [`FlushProgress::lose`], of the file that has this path.
    pub(crate) fn lose_path(&self, path: &std::path::Path, error: &DiskError) {
        // What is not there, nobody can sync.
        if let Ok(file) = File::open(path) {
            self.lose(Arc::new(file), error);
        }
    }

    /// After a sync that succeeded: what was lost, somebody else may have been told instead.
    ///
    /// # Errors
    /// Why the file does not have all its bytes.
    pub(crate) fn confirm(
        &self,
        file: Option<&File>,
        path: &std::path::Path,
    ) -> Result<(), DiskError> {
        let mut state = self.state();
        if !state.syncing.is_empty() {
            let opened = if file.is_none() { File::open(path).ok() } else { None };
            if let Some(file) = file.or(opened.as_ref()) {
                let is_busy = |state: &mut State| state.syncing.iter().any(|it| is_same(it, file));
                let waiting = self.moved.wait_while(state, is_busy);
                state = waiting.unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.check(file, path)
    }

    fn on_done(&self, number: u64) {
        let mut state = self.state();
        state.ahead.insert(number);
        while let Some(next) = state.done.checked_add(1)
            && state.ahead.remove(&next)
        {
            state.done = next;
        }
        self.moved.notify_all();
    }

    /// Whoever waits must not wait for a thread that is gone, and no sync may vouch for what it left.
    fn give_up(&self) {
        let mut state = self.state();
        (state.done, state.is_given_up) = (u64::MAX, true);
        drop(state);
        self.moved.notify_all();
    }

    #[must_use]
    pub(crate) fn is_given_up(&self) -> bool {
        self.state().is_given_up
    }
}

fn thread_ended() -> DiskError {
    DiskError::Io("a thread that writes records has ended".to_owned())
}

/// Writes at the same time: one alone leaves the disk idle between two of them.
const THREADS: usize = 2;

/// The handle of the shard's side; dropping it ends the threads after their queue.
#[derive(Debug)]
pub(crate) struct FlushWorker {
    queue: Option<Sender<FlushWork>>,
    submitted: u64,
    threads: Vec<JoinHandle<()>>,
}

impl FlushWorker {
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn start(
        name: &str,
        progress: &Arc<FlushProgress>,
        results: &UnboundedSender<SlowResult>,
    ) -> std::io::Result<Self> {
        let (queue, work) = channel();
        let work = Arc::new(Mutex::new(work));
        let start = |index: usize| {
            let (work, progress) = (Arc::clone(&work), Arc::clone(progress));
            let results = results.clone();
            std::thread::Builder::new()
                .name(format!("{name}-{index}"))
                .stack_size(256 * 1024)
                .spawn(move || run(&work, &progress, &results))
        };
        let threads = (0..THREADS).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { queue: Some(queue), submitted: 0, threads })
    }

    /// The number of this flush, to wait for; `None` when all threads are gone, which only panics of
    /// theirs can cause.
    pub(crate) fn submit(&mut self, work: FlushWork) -> Option<u64> {
        let number = self.submitted + 1;
        self.queue.as_ref()?.send(FlushWork { number, ..work }).ok()?;
        self.submitted = number;
        Some(number)
    }
}

impl Drop for FlushWorker {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a flush worker had panicked");
            }
        }
    }
}

/// Ends all waiting when a thread ends, which only a panic makes it do before its queue does, and tells
/// the shard.
struct Ended<'a> {
    progress: &'a FlushProgress,
    results: &'a UnboundedSender<SlowResult>,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.progress.give_up();
            let told = SlowResult { failure: Some(thread_ended()), ..SlowResult::default() };
            // A shard that is gone needs not be told.
            drop(self.results.send(told));
        }
    }
}

fn run(
    work: &Mutex<Receiver<FlushWork>>,
    progress: &FlushProgress,
    results: &UnboundedSender<SlowResult>,
) {
    let _ended = Ended { progress, results };
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        let number = work.number;
        let result = progress.flush(work);
        progress.on_done(number);
        // When the shard is gone nobody needs to be told, but syncs may still wait for the rest.
        drop(results.send(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_another_order_counts_when_all_before_it_is() {
        let progress = FlushProgress::default();
        progress.on_done(2);
        assert_eq!(progress.state().done, 0);
        progress.on_done(1);
        assert_eq!(progress.state().done, 2);
        progress.wait_for(2);
    }

    #[test]
    fn no_sync_vouches_for_what_a_thread_left_that_has_ended() {
        let progress = FlushProgress::default();
        let (results, mut told) = tokio::sync::mpsc::unbounded_channel();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _ended = Ended { progress: &progress, results: &results };
                panic!("a defect");
            });
            assert!(thread.join().is_err());
        });
        progress.wait_for(1);
        assert!(progress.is_given_up());
        assert!(progress.check(None, std::path::Path::new("0.log")).is_err());
        assert!(told.try_recv().expect("told").failure.is_some());
    }
}
