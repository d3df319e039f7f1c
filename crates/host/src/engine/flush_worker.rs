//! One thread per log directory that writes full chunks into their files, and nothing else: removals
//! and syncs, which may take their time, have the sync worker.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use strom_storage::disk::DiskError;
use tokio::sync::mpsc::UnboundedSender;

use super::{FlushWork, OwedFiles};
use crate::sync_worker::SlowResult;

/// What the threads of one log directory know of its flushes.
#[derive(Debug, Default)]
pub(crate) struct FlushProgress {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// So many of this worker's flushes are done.
    done: u64,
    owed: OwedFiles,
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
        let flushed = work.perform();
        self.state().owed.on_flushed(&path, &flushed.result);
        SlowResult {
            paths: Vec::new(),
            completion: None,
            flushed: Some(flushed),
            released: 0,
            failure: None,
        }
    }

    /// # Errors
    /// Why the file does not have all its bytes.
    pub(crate) fn check(
        &self,
        file: Option<&std::fs::File>,
        path: &std::path::Path,
    ) -> Result<(), DiskError> {
        self.state().owed.check(file, path)
    }

    fn set_done(&self, done: u64) {
        self.state().done = done;
        self.moved.notify_all();
    }
}

/// The handle of the shard's side; dropping it ends the thread after its queue.
#[derive(Debug)]
pub(crate) struct FlushWorker {
    queue: Option<Sender<FlushWork>>,
    submitted: u64,
    thread: Option<JoinHandle<()>>,
}

impl FlushWorker {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        name: String,
        progress: Arc<FlushProgress>,
        results: UnboundedSender<SlowResult>,
    ) -> std::io::Result<Self> {
        let (queue, work) = channel();
        let thread = std::thread::Builder::new()
            .name(name)
            .stack_size(256 * 1024)
            .spawn(move || run(&work, &progress, &results))?;
        Ok(Self { queue: Some(queue), submitted: 0, thread: Some(thread) })
    }

    /// The number of this flush, to wait for; `None` when the thread is gone, which only a panic of
    /// it can cause.
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
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the flush worker had panicked");
        }
    }
}

/// Whoever waits must not wait for a thread that is gone.
struct Ended<'a>(&'a FlushProgress);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.set_done(u64::MAX);
    }
}

fn run(
    work: &Receiver<FlushWork>,
    progress: &FlushProgress,
    results: &UnboundedSender<SlowResult>,
) {
    let _ended = Ended(progress);
    for work in work {
        let number = work.number;
        let result = progress.flush(work);
        progress.set_done(number);
        if results.send(result).is_err() {
            return;
        }
    }
}
