//! A thread that looks at the records of produces where that takes long, so that the broker's need not. It is
//! there from the first of them on.

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

/// Ends when nothing more is to be looked at: what was begun is finished.
#[derive(Debug)]
pub(crate) struct Examiner {
    told: UnboundedSender<Told>,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    work: Sender<ProduceExamination>,
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
        if let Some(Worker { work, thread }) = self.worker.take() {
            drop(work);
            // One that has ended before was told of.
            let _ = thread.join();
        }
    }
}

fn start(told: UnboundedSender<Told>) -> std::io::Result<Worker> {
    let (work, asked) = channel();
    let thread = std::thread::Builder::new()
        .name("examine".to_owned())
        .spawn(move || examine_all(&asked, &told))?;
    Ok(Worker { work, thread })
}

fn examine_all(asked: &Receiver<ProduceExamination>, told: &UnboundedSender<Told>) {
    let _ended = TellEnd { told };
    for examination in asked {
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
