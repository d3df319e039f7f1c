//! Logs recovered on several threads: each is a job of its own, and a start waits for all of them.
//! One that takes its time says how far it is.

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
    let threads = threads.clamp(1, THREADS_MAX).min(all);
    let jobs = Mutex::new(jobs.into_iter().enumerate());
    let work = || {
        let (mut disk, mut found) = (disk.clone(), Vec::new());
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, job)) = job else { return found };
            found.push((index, job.run(&mut disk)));
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut found = std::thread::scope(|scope| {
        let (over, is_over) = channel::<()>();
        if all > 0 {
            let (disk, done) = (disk, &done);
            scope.spawn(move || {
                tell_progress(&is_over, disk, || (done.load(Ordering::Relaxed), all))
            });
        }
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            // A panic of a job is one of the start.
            found.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        drop(over);
        found
    });
    found.sort_unstable_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, found)| found).collect()
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
