//! The node that somebody starts who has just read the README: by its own command, in an empty folder.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Where the README's node listens and its programs look for it.
const ADDRESS: &str = "127.0.0.1:9092";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How an operator ends a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    ControlC,
    Terminate,
}

pub(super) struct FirstNode {
    child: Child,
    folder: PathBuf,
    /// The command that the node says to try.
    pub try_command: String,
}

/// # Errors
/// One sentence when somebody else has the port: the README's programs cannot be led elsewhere.
pub(super) fn check_port() -> Result<()> {
    match TcpListener::bind(ADDRESS) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "the README's node listens on {ADDRESS}, which this machine does not give ({error}): \
             stop what listens there and run this stage again"
        ),
    }
}

impl FirstNode {
    /// Starts a node in `folder` and waits until it has said where it listens, where its data is and
    /// what to try.
    ///
    /// # Errors
    /// When it does not say so in time, or ends.
    pub(super) fn start(folder: &Path, command: &str) -> Result<Self> {
        check_port()?;
        fs::create_dir_all(folder)?;
        let output = File::create(folder.join("stdout"))?;
        let errors = File::create(folder.join("stderr"))?;
        let child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .current_dir(folder)
            // A group of its own, as a terminal gives it: Control-C reaches all of it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("running {command}"))?;
        let mut node = Self { child, folder: folder.to_path_buf(), try_command: String::new() };
        node.await_greeting()?;
        Ok(node)
    }

    fn await_greeting(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let text = fs::read_to_string(self.folder.join("stdout"))?;
            if let Some(line) = text.lines().find_map(|line| line.strip_prefix("Try:")) {
                self.try_command = line.trim().to_owned();
                return check_greeting(&text);
            }
            if let Some(status) = self.child.try_wait()? {
                let errors = fs::read_to_string(self.folder.join("stderr"))?;
                bail!("the node ended with {status}: {errors}");
            }
            ensure!(Instant::now() < deadline, "the node has not said what to try: {text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// # Errors
    /// When it had ended before, or does not end well.
    pub(super) fn stop(mut self, how: Stop) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the node had ended with {status}; see {}", self.folder.display());
        }
        let signal = match how {
            Stop::ControlC => "-INT",
            Stop::Terminate => "-TERM",
        };
        let group = format!("-{}", self.child.id());
        let sent = Command::new("kill").args([signal, "--", &group]).status()?;
        ensure!(sent.success(), "kill {signal} {group} ended with {sent}");
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the node ended with {status} on {how:?}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the node did not end on {how:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The few lines that the README promises.
fn check_greeting(text: &str) -> Result<()> {
    ensure!(text.contains(ADDRESS), "the node does not say where it listens: {text}");
    ensure!(text.contains("strom-data"), "the node does not say where its data is: {text}");
    ensure!(text.lines().count() <= 5, "the node says more than a few lines: {text}");
    Ok(())
}

impl Drop for FirstNode {
    fn drop(&mut self) {
        // Only reached alive after an error; nothing may outlive the test run.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
