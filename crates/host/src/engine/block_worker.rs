//! Takes blocks of an arena from the system and gives them back, ahead of who wants them: both may wait for
//! the disk (blocks of the file system, a discard), and the shard must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What is known of a block. The worker makes READY of ASKED and ABSENT of GOING; all else the shard does.
const ABSENT: u8 = 0;
const ASKED: u8 = 1;
const READY: u8 = 2;
const GRANTED: u8 = 3;
const GOING: u8 = 4;

/// What the system is asked for.
pub(super) trait Blocks: Send + Sync + 'static {
    /// False when the system has none to give.
    fn allocate(&self, block: usize) -> bool;
    fn release(&self, block: usize);
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Allocate(usize),
    Release(usize),
}

/// The shard's side. The thread begins with the first block and ends with the handle.
#[derive(Debug)]
pub(super) struct BlockWorker {
    states: Arc<[AtomicU8]>,
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl BlockWorker {
    pub(super) fn new(blocks: usize) -> Self {
        let states = (0..blocks).map(|_| AtomicU8::new(ABSENT)).collect();
        Self { states, queue: None, thread: None }
    }

    /// Whether the block may be used now. The next one is asked for meanwhile.
    pub(super) fn grant<B: Blocks>(&mut self, blocks: &Arc<B>, block: usize) -> bool {
        let Some(state) = self.states.get(block) else { return false };
        let is_granted = match state.load(Ordering::Acquire) {
            READY => true,
            // It comes back when that is done.
            GOING => false,
            _ => blocks.allocate(block),
        };
        if is_granted {
            state.store(GRANTED, Ordering::Release);
            self.ask(blocks, block + 1);
        }
        is_granted
    }

    /// The block is not used any more; nor is the one behind it, if that is there and nobody came to
    /// want it.
    pub(super) fn release<B: Blocks>(&mut self, blocks: &Arc<B>, block: usize) {
        for (block, had) in [(block, GRANTED), (block + 1, READY)] {
            let Some(state) = self.states.get(block) else { continue };
            let swapped = state.compare_exchange(had, GOING, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_ok() && !self.submit(blocks, Job::Release(block)) {
                blocks.release(block);
                self.states[block].store(ABSENT, Ordering::Release);
            }
        }
    }

    fn ask<B: Blocks>(&mut self, blocks: &Arc<B>, block: usize) {
        let Some(state) = self.states.get(block) else { return };
        let swapped = state.compare_exchange(ABSENT, ASKED, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_ok() && !self.submit(blocks, Job::Allocate(block)) {
            self.states[block].store(ABSENT, Ordering::Release);
        }
    }

    /// False when there is no thread for it.
    fn submit<B: Blocks>(&mut self, blocks: &Arc<B>, job: Job) -> bool {
        if self.thread.is_none() {
            let (queue, jobs) = channel();
            let (blocks, states) = (Arc::clone(blocks), Arc::clone(&self.states));
            let thread = std::thread::Builder::new()
                .name("arena-blocks".into())
                .stack_size(256 * 1024)
                .spawn(move || run(&*blocks, &states, &jobs));
            let Ok(thread) = thread else { return false };
            (self.queue, self.thread) = (Some(queue), Some(thread));
        }
        self.queue.as_ref().is_some_and(|queue| queue.send(job).is_ok())
    }
}

impl Drop for BlockWorker {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that takes memory for an arena had panicked");
        }
    }
}

fn run(blocks: &impl Blocks, states: &[AtomicU8], jobs: &Receiver<Job>) {
    for job in jobs {
        let (block, before, after) = match job {
            Job::Allocate(block) => {
                let is_there = blocks.allocate(block);
                (block, ASKED, if is_there { READY } else { ABSENT })
            }
            Job::Release(block) => {
                blocks.release(block);
                (block, GOING, ABSENT)
            }
        };
        if let Some(state) = states.get(block) {
            // Who could not wait has taken it meanwhile.
            let _ = state.compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Noted(Mutex<Vec<(usize, bool)>>);

    impl Blocks for Noted {
        fn allocate(&self, block: usize) -> bool {
            self.0.lock().expect("a list").push((block, true));
            block < 3
        }

        fn release(&self, block: usize) {
            self.0.lock().expect("a list").push((block, false));
        }
    }

    #[test]
    fn the_next_block_is_there_before_it_is_wanted_and_goes_with_the_last() {
        let (noted, mut worker) = (Arc::new(Noted::default()), BlockWorker::new(4));
        let wait = |worker: &BlockWorker, block: usize, wanted: u8| {
            while worker.states[block].load(Ordering::Acquire) != wanted {
                std::thread::yield_now();
            }
        };
        assert!(worker.grant(&noted, 0));
        wait(&worker, 1, READY);
        assert!(worker.grant(&noted, 1));
        wait(&worker, 2, READY);
        worker.release(&noted, 1);
        wait(&worker, 1, ABSENT);
        wait(&worker, 2, ABSENT);
        assert!(worker.grant(&noted, 1) && worker.grant(&noted, 2));
        // The system has no fourth one, and there is no fifth.
        assert!(!worker.grant(&noted, 3) && !worker.grant(&noted, 4));
        drop(worker);
        let noted = noted.0.lock().expect("a list");
        assert_eq!(noted[..5], [(0, true), (1, true), (2, true), (1, false), (2, false)]);
    }
}
