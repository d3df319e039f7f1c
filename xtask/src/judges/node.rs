//! A node of the real binary for one judge, in a folder of its own.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::stage::target;

/// What the judges count on, beside the number of partitions (their README). There is no authorizer:
/// this node has none, and its judges take SECURITY_DISABLED for an answer.
const CONFIGURATION: &str = "\
process.roles=broker,controller
controller.listener.names=CONTROLLER
auto.create.topics.enable=true
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.share.record.lock.duration.ms=1000
group.share.min.record.lock.duration.ms=1000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=200
";

pub(super) struct Node {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Node {
    /// Starts the release binary and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn start(work: &Path, node_id: u32, partitions: u32) -> Result<Self> {
        // A port that was free a moment ago may be another client's by now: once more, then.
        Self::start_on_free_port(work, node_id, partitions)
            .or_else(|_| Self::start_on_free_port(work, node_id, partitions))
    }

    fn start_on_free_port(work: &Path, node_id: u32, partitions: u32) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = work.join(format!("node-{port}"));
        fs::create_dir_all(&folder)?;
        let config = folder.join("server.properties");
        let own = format!(
            "node.id={node_id}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\n\
             num.partitions={partitions}\n",
            folder.join("data").display()
        );
        fs::write(&config, own + CONFIGURATION)?;
        let log = File::create(folder.join("server.log"))?;
        let child = Command::new(target().join("release/strom"))
            .arg("server")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting the release binary")?;
        let mut node = Self { child, port, folder };
        node.await_listening()?;
        Ok(node)
    }

    fn await_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                bail!("the node ended with {status}: {log}");
            }
            ensure!(Instant::now() < deadline, "the node does not listen after 20 s");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    #[must_use]
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the node as an operator would and checks that it stopped cleanly.
    ///
    /// # Errors
    /// When it had ended before or does not end well.
    pub(super) fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the node had ended with {status}; its log is in {}", self.folder.display());
        }
        let pid = self.child.id().to_string();
        ensure!(Command::new("kill").arg(&pid).status()?.success(), "kill {pid}");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the node ended with {status} on SIGTERM");
                fs::remove_dir_all(&self.folder)?;
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the node did not stop within 30 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Only reached alive after an error; nothing may outlive the test run.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
