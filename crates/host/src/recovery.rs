//! Many like things done on several threads, while who asks waits for all of them; and first of all the
//! recovery of logs, each a job of its own. A start that takes its time says how far it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use strom_broker::boot::LogJob;
use strom_broker::boot::log_job::Found;

use crate::file_disk::FileDisk;

/// More threads than this only wait for the same disks.
const THREADS_MAX: usize = 64;
/// A start that is over sooner needs no words.
const PROGRESS: Duration = Duration::from_secs(2);

/// What the jobs found, in their order.
pub(crate) fn recover(disk: &FileDisk, threads: usize, jobs: Vec<LogJob>) -> Vec<Found> {
    let (all, done) = (jobs.len(), AtomicUsize::new(0));
    let work = |disk: &mut FileDisk, job: LogJob| {
        let found = job.run(disk);
        done.fetch_add(1, Ordering::Relaxed);
        found
    };
    std::thread::scope(|scope| {
        let (over, is_over) = channel::<()>();
        if all > 0 {
            let done = &done;
            scope.spawn(move || {
                tell_progress(&is_over, disk, || (done.load(Ordering::Relaxed), all))
            });
        }
        let found = on_threads(threads, jobs, || disk.clone(), work);
        drop(over);
        found
    })
}

/// Does the same with each, on this thread and others that have a state each. Outcomes in the order of
/// the items.
pub(crate) fn on_threads<I: Send, S, T: Send>(
    threads: usize,
    items: Vec<I>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, I) -> T + Sync,
) -> Vec<T> {
    let threads = threads.clamp(1, THREADS_MAX).min(items.len());
    let items = Mutex::new(items.into_iter().enumerate());
    let work = || {
        let (mut state, mut done) = (state(), Vec::new());
        loop {
            let item = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = item else { return done };
            done.push((index, work(&mut state, item)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        // Where the system gives no more threads, those that there are do it all.
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).map_while(start).collect();
        let mut done = work();
        for other in others {
            // A panic of one is one of all.
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Says every few seconds how many logs are loaded, until the other end of the channel is gone.
fn tell_progress(is_over: &Receiver<()>, disk: &FileDisk, count: impl Fn() -> (usize, usize)) {
    let (started, read_before) = (Instant::now(), disk.bytes_read());
    while is_over.recv_timeout(PROGRESS) == Err(RecvTimeoutError::Timeout) {
        let (done, all) = count();
        let mebibytes = (disk.bytes_read() - read_before) >> 20;
        let seconds = started.elapsed().as_secs();
        tracing::info!(
            "loading logs: {done} of {all} done, {} remaining; {mebibytes} MiB read in {seconds} s",
            all - done
        );
    }
}
