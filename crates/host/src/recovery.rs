//! Logs recovered on several threads: each is a job of its own, and a start waits for all of them.

use std::sync::{Mutex, PoisonError};

use strom_broker::boot::LogJob;
use strom_broker::boot::log_job::Found;

use crate::file_disk::FileDisk;

/// More threads than this only wait for the same disks.
const THREADS_MAX: usize = 64;

/// What the jobs found, in their order.
pub(crate) fn recover(disk: &FileDisk, threads: usize, jobs: Vec<LogJob>) -> Vec<Found> {
    let threads = threads.clamp(1, THREADS_MAX).min(jobs.len());
    let jobs = Mutex::new(jobs.into_iter().enumerate());
    let work = || {
        let (mut disk, mut found) = (disk.clone(), Vec::new());
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, job)) = job else { return found };
            found.push((index, job.run(&mut disk)));
        }
    };
    let mut found = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            // A panic of a job is one of the start.
            found.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        found
    });
    found.sort_unstable_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, found)| found).collect()
}
