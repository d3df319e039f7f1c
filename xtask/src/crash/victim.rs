//! The real binary as a process of its own, to be killed.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use strom_base::Random;

use super::injection::Injection;
use super::requests;
use crate::load::wire::Connection;
use crate::stage::target;

/// Only a hang takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where nodes of one data folder run.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    /// Logs and all else that is kept of a life that fails.
    pub folder: PathBuf,
    /// `log.dirs`.
    pub data: PathBuf,
    /// The same for all of them, so that clients find the next one.
    pub port: u16,
    settings: Vec<String>,
    /// Copies of the data folder as the last starts found it, beside it.
    kept: Option<Arc<AtomicU64>>,
}

/// So many copies are there at a time.
const COPIES: u64 = 8;

impl Ground {
    /// # Errors
    /// When the folder cannot be made or no port is free.
    pub(crate) fn new(
        folder: &Path,
        data: PathBuf,
        (settings, keeps): (&[String], bool),
        random: &mut Random,
    ) -> Result<Ground> {
        fs::create_dir_all(folder)?;
        let port = free_port(random)?;
        let kept = keeps.then(Arc::default);
        Ok(Ground { folder: folder.to_owned(), data, port, settings: settings.to_owned(), kept })
    }

    /// The same node on another folder, beside this one.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) fn beside(&self, data: PathBuf, random: &mut Random) -> Result<Ground> {
        let port = free_port(random)?;
        Ok(Ground { data, port, ..self.clone() })
    }

    /// What all nodes of this ground wrote to stderr.
    #[must_use]
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// A copy of the data folder, if that is wanted.
    fn keep(&self) -> Result<()> {
        let Some(kept) = self.kept.as_ref().filter(|_| self.data.exists()) else { return Ok(()) };
        let number = kept.fetch_add(1, Ordering::Relaxed);
        let copy = |number: u64| self.folder.join(format!("before-{number}"));
        if let Some(old) = number.checked_sub(COPIES) {
            fs::remove_dir_all(copy(old))?;
        }
        let copied = Command::new("cp").arg("-a").args([&self.data, &copy(number)]).status()?;
        ensure!(copied.success(), "copying {} ended with {copied}", self.data.display());
        Ok(())
    }

    /// Starts a node, with faults if there are any.
    ///
    /// # Errors
    /// When the system does not start the process.
    pub(crate) fn start(&self, injection: Option<&Injection>) -> Result<Victim> {
        self.keep()?;
        let binary = target().join("release/strom");
        let mut command = match injection {
            Some(injection) => injection.wrap(&binary),
            None => Command::new(&binary),
        };
        command.arg("server").stdin(Stdio::null()).stdout(Stdio::null());
        let address = format!("PLAINTEXT://127.0.0.1:{}", self.port);
        let own = [
            format!("listeners={address}"),
            format!("advertised.listeners={address}"),
            format!("log.dirs={}", self.data.display()),
        ];
        for setting in own.iter().chain(&self.settings) {
            command.args(["--override", setting]);
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        let said_before = log.metadata()?.len();
        let child = command.stderr(log).spawn().context("starting the release binary")?;
        Ok(Victim { child, port: self.port, log: self.log(), said_before })
    }

    /// Starts a node without faults and waits until it serves.
    ///
    /// # Errors
    /// When it ends or does not serve within a minute.
    pub(crate) fn start_and_wait(&self) -> Result<Victim> {
        let mut victim = self.start(None)?;
        if let Some(end) = victim.await_serving()? {
            bail!("a start without faults ended with {end}: {}", victim.said());
        }
        Ok(victim)
    }
}

/// Below the ports that the system gives to clients: one of those, while the node is away, could be
/// given the node's.
fn free_port(random: &mut Random) -> Result<u16> {
    let mut ports = (0..100).map(|_| 12_000 + random.below(18_000) as u16);
    let found = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    found.context("a hundred ports are taken")
}

/// A node; killed when this is dropped.
pub(crate) struct Victim {
    child: Child,
    port: u16,
    log: PathBuf,
    /// Length of the log at its start.
    said_before: u64,
}

impl Victim {
    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// # Errors
    /// When the system does not tell.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until requests are answered; how the process ended, if it did.
    ///
    /// # Errors
    /// When it does neither within a minute.
    pub(crate) fn await_serving(&mut self) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if let Ok(mut connection) = Connection::open(self.port) {
                connection.set_patience(PATIENCE)?;
                if requests::topics(&mut connection).is_ok() {
                    return Ok(None);
                }
            }
            ensure!(Instant::now() < deadline, "a start serves nobody within a minute");
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// Waits for an end by itself at most so long.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn await_end(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let status = self.ended()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// kill -9; how it ended if that was before.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(crate) fn kill(mut self) -> Result<Option<ExitStatus>> {
        let before = self.ended()?;
        if before.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(before)
    }

    /// Asks for a clean stop.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn ask_to_stop(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// # Errors
    /// When the process is gone.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// # Errors
    /// When the process is gone.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Stops in order.
    ///
    /// # Errors
    /// When it does not end well within a minute.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.ask_to_stop()?;
        let status = self.await_end(PATIENCE)?.context("a clean stop takes more than a minute")?;
        ensure!(status.success(), "a clean stop ended with {status}: {}", self.said());
        Ok(())
    }

    /// The last words of this process.
    #[must_use]
    pub(crate) fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let own = text.get(self.said_before as usize..).unwrap_or_default();
        let own = String::from_utf8_lossy(own);
        own.lines().last().unwrap_or_default().to_owned()
    }

    /// Whether it ended as a node may whose disk fails: by itself, with one sentence.
    ///
    /// # Errors
    /// When it did not.
    pub(crate) fn check_surrender(&self, status: ExitStatus) -> Result<()> {
        let said = self.said();
        let is_sentence = !said.is_empty() && !said.contains("panicked");
        ensure!(status.code() == Some(1) && is_sentence, "a node ended with {status}: {said}");
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Gone already, unless something failed: then nothing may outlive the run.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
