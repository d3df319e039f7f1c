//! The recovery of logs, each a job of its own, on several threads. A start that takes its time says how
//! far it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use strom_broker::boot::LogJob;
use strom_broker::boot::log_job::Found;

use crate::file_disk::FileDisk;
use crate::on_threads::on_threads;

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
