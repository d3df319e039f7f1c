//! Many like things done on several threads, while who asks waits for all of them: logs that are recovered,
//! files of an arena, small files that are synced together.

use std::sync::{Mutex, PoisonError};

/// More threads than this only wait for the same disks.
const THREADS_MAX: usize = 64;

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
