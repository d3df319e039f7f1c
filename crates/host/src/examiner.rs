//! A thread that looks at the records of produces where that takes long, so that the broker's need not. It is
//! there from the first of them on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use strom_broker::examinations::{ExaminedProduce, ProduceExamination};
use tokio::sync::mpsc::UnboundedSender;

/// What the broker's thread is told.
#[derive(Debug)]
pub(crate) enum Told {
    Examined(ExaminedProduce),
    /// The thread has ended and should not have: what it had is lost.
    Ended,
}

/// A node that ends waits for what the thread is at, not for what waits for the thread.
#[derive(Debug)]
pub(crate) struct Examiner {
    told: UnboundedSender<Told>,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    work: Sender<ProduceExamination>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Examiner {
    pub(crate) fn new(told: UnboundedSender<Told>) -> Self {
        Self { told, worker: None }
    }

    /// Where the system gives no thread it is done at once.
    pub(crate) fn examine(&mut self, examination: ProduceExamination) {
        if self.worker.is_none() {
            match start(self.told.clone()) {
                Ok(worker) => self.worker = Some(worker),
                Err(error) => {
                    tracing::warn!(%error, "records are looked at on the broker's thread")
                }
            }
        }
        let sent = match &self.worker {
            Some(worker) => worker.work.send(examination).map_err(|_| Told::Ended),
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
        if let Some(Worker { work, is_over, thread }) = self.worker.take() {
            is_over.store(true, Ordering::Relaxed);
            drop(work);
            // One that has ended before was told of.
            let _ = thread.join();
        }
    }
}

fn start(told: UnboundedSender<Told>) -> std::io::Result<Worker> {
    let (work, asked) = channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let thread = std::thread::Builder::new()
        .name("examine".to_owned())
        .spawn(move || examine_all(&asked, &told, &ends))?;
    Ok(Worker { work, is_over, thread })
}

fn examine_all(
    asked: &Receiver<ProduceExamination>,
    told: &UnboundedSender<Told>,
    is_over: &AtomicBool,
) {
    let _ended = TellEnd { told };
    for examination in asked {
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
