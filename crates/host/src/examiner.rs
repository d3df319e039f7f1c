//! Threads that look at records where that takes long, so that the broker's need not. They are there from the first
//! time on that it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use strom_broker::effect::{Examination, Examined};
use strom_broker::examinations::ExaminationLimits;
use tokio::sync::mpsc::UnboundedSender;

/// More would take from others what they are to give them.
const THREADS_MAX: usize = 4;

/// What the broker's thread is told.
#[derive(Debug)]
pub(crate) enum Told {
    Examined(Examined),
    /// A thread has ended and should not have: what it had is lost.
    Ended,
}

/// A node that ends waits for what the threads are at, not for what waits for them.
#[derive(Debug)]
pub(crate) struct Examiner {
    told: UnboundedSender<Told>,
    threads: usize,
    workers: Option<Workers>,
}

#[derive(Debug)]
struct Workers {
    work: Sender<Examination>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Examiner {
    pub(crate) fn new(told: UnboundedSender<Told>, cores: usize) -> Self {
        Self { told, threads: (cores / 2).clamp(1, THREADS_MAX), workers: None }
    }

    /// What the broker is to go by: each thread has its next one waiting.
    pub(crate) fn limits(&self) -> ExaminationLimits {
        ExaminationLimits { under_way: self.threads + 1, ..ExaminationLimits::default() }
    }

    /// Where the system gives no thread it is done at once.
    pub(crate) fn examine(&mut self, examination: Examination) {
        if self.workers.is_none() {
            match start(&self.told, self.threads) {
                Ok(workers) => self.workers = Some(workers),
                Err(error) => {
                    tracing::warn!(%error, "records are looked at on the broker's thread")
                }
            }
        }
        let sent = match &self.workers {
            Some(workers) => workers.work.send(examination).map_err(|_| Told::Ended),
            None => Err(Told::Examined(examination.perform())),
        };
        if let Err(told) = sent {
            // Nobody listens when the node ends.
            let _ = self.told.send(told);
        }
    }
}

impl Drop for Examiner {
    fn drop(&mut self) {
        if let Some(Workers { work, is_over, threads }) = self.workers.take() {
            is_over.store(true, Ordering::Relaxed);
            drop(work);
            for thread in threads {
                // One that has ended before was told of.
                let _ = thread.join();
            }
        }
    }
}

/// As many as the system gives, but one at least.
fn start(told: &UnboundedSender<Told>, threads: usize) -> std::io::Result<Workers> {
    let (work, asked) = channel();
    let asked = Arc::new(Mutex::new(asked));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut workers = Workers { work, is_over, threads: Vec::new() };
    for index in 0..threads {
        let (asked, told) = (Arc::clone(&asked), told.clone());
        let is_over = Arc::clone(&workers.is_over);
        let started = std::thread::Builder::new()
            .name(format!("examine-{index}"))
            .spawn(move || examine_all(&asked, &told, &is_over));
        match started {
            Ok(thread) => workers.threads.push(thread),
            Err(error) if workers.threads.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "records are looked at by {index} threads alone");
                break;
            }
        }
    }
    Ok(workers)
}

fn examine_all(
    asked: &Mutex<Receiver<Examination>>,
    told: &UnboundedSender<Told>,
    is_over: &AtomicBool,
) {
    let _ended = TellEnd { told };
    loop {
        // Who waits holds the lock: the others wait for that.
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(examination) = next else { return };
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // Nobody listens when the node ends.
        let _ = told.send(Told::Examined(examination.perform()));
    }
}

/// Tells of an end that nobody has asked for.
struct TellEnd<'a> {
    told: &'a UnboundedSender<Told>,
}

impl Drop for TellEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.told.send(Told::Ended);
        }
    }
}
