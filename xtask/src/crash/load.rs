//! Real clients at work, through the deaths of their node.

mod group;
mod operator;
mod producer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rdkafka::ClientConfig;
use strom_base::Random;

use super::book::Book;
use super::plan::Plan;
pub(crate) use super::victim::PATIENCE;
pub(crate) use group::GROUP;
use operator::Operator;

/// What the threads of a load share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub book: Arc<Book>,
    /// No new records; those that were given to clients are still to come through.
    is_draining: AtomicBool,
    is_over: AtomicBool,
    /// Records that clients were given and that are not acknowledged.
    in_flight: AtomicU64,
}

impl Shared {
    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

pub(crate) struct Load {
    shared: Arc<Shared>,
    pub operator: Arc<Operator>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// What every client of librdkafka has: it tries again soon and without end.
fn client(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .set("log_level", "0")
        .set("reconnect.backoff.ms", "5")
        .set("reconnect.backoff.max.ms", "50")
        .set("retry.backoff.ms", "10")
        .set("retry.backoff.max.ms", "50")
        .set("topic.metadata.refresh.interval.ms", "2000")
        .set("topic.metadata.refresh.fast.interval.ms", "20");
    config
}

impl Load {
    /// Starts all clients; the topics exist.
    #[must_use]
    pub(crate) fn start(port: u16, plan: &Plan, book: &Arc<Book>, random: &mut Random) -> Load {
        let shared = Arc::new(Shared {
            book: Arc::clone(book),
            is_draining: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
        });
        let operator = Arc::new(Operator::new(port));
        let mut threads = Vec::new();
        for number in 0..3 {
            let (shared, plan) = (Arc::clone(&shared), plan.clone());
            let random = Random::new(random.next_u64());
            threads
                .push(thread::spawn(move || producer::run(port, number, &plan, &shared, random)));
        }
        for _ in 0..2 {
            let (shared, plan) = (Arc::clone(&shared), plan.clone());
            threads.push(thread::spawn(move || group::run(port, &plan, &shared)));
        }
        let (shared_too, plan, operator_too) =
            (Arc::clone(&shared), plan.clone(), Arc::clone(&operator));
        let random = Random::new(random.next_u64());
        threads.push(thread::spawn(move || {
            operator_too.run(&plan, &shared_too, random);
            Ok(())
        }));
        Load { shared, operator, threads }
    }

    /// Waits until records are acknowledged that were not before `since`.
    ///
    /// # Errors
    /// When none is within a minute, or something came up that must not be.
    pub(crate) fn await_acknowledged(&self, since: Instant) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.shared.book.last_acknowledged() <= since {
            ensure!(Instant::now() < deadline, "no record is acknowledged within a minute");
            self.check()?;
            thread::sleep(Duration::from_millis(2));
        }
        self.check()
    }

    /// # Errors
    /// The first thing that must not be, or why a client gave up.
    pub(crate) fn check(&self) -> Result<()> {
        let contradiction = self.shared.book.contradiction();
        ensure!(contradiction.is_none(), "{}", contradiction.unwrap_or_default());
        Ok(())
    }

    /// Every record that was given to a client comes through, and no more are.
    ///
    /// # Errors
    /// When that takes more than a minute.
    pub(crate) fn drain(&self) -> Result<()> {
        self.shared.is_draining.store(true, Ordering::Release);
        let deadline = Instant::now() + PATIENCE;
        while self.shared.in_flight.load(Ordering::Acquire) > 0 {
            let left = self.shared.in_flight.load(Ordering::Acquire);
            ensure!(Instant::now() < deadline, "{left} records do not come through in a minute");
            self.check()?;
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The clients end.
    ///
    /// # Errors
    /// When one gave up, or something came up that must not be.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.end()?;
        self.check()
    }

    fn end(&mut self) -> Result<()> {
        self.shared.is_draining.store(true, Ordering::Release);
        self.shared.is_over.store(true, Ordering::Release);
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")));
            result = result.and(ended);
        }
        result
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // After a failure: what the clients have to say then is said already.
        let _ = self.end();
    }
}
