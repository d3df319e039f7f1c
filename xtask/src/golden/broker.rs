//! Either broker on a folder that the other may have written: node 1 of the same cluster.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::load::system::{built, checked, free_port, kafka, told};

/// As the peer's script formats its folders.
const CLUSTER_ID: &str = "strom-peer-AAAAAAAAAAA";
const PATIENCE: Duration = Duration::from_secs(60);

/// For both: internal topics with one partition, or a folder would have a hundred.
const BOTH: [&str; 3] = [
    "offsets.topic.num.partitions=1",
    "transaction.state.log.num.partitions=1",
    "group.initial.rebalance.delay.ms=0",
];

/// The cleaner comes soon, with little memory.
const KAFKAS: [&str; 4] = [
    "log.cleaner.backoff.ms=200",
    "log.initial.task.delay.ms=300",
    "log.cleaner.dedupe.buffer.size=2000000",
    "log.cleaner.threads=1",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    Kafka,
    Strom,
}

impl Writer {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Writer::Kafka, Writer::Strom].into_iter().find(|writer| writer.name() == name)
    }

    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Writer::Kafka => "kafka",
            Writer::Strom => "strom",
        }
    }
}

/// A running broker; it is ended when this is dropped.
pub(super) struct Broker {
    pub(super) kind: Writer,
    port: u16,
    folder: PathBuf,
    /// Of Strom; the peer's script keeps a file with Kafka's process id.
    child: Option<Child>,
    is_running: bool,
}

/// Where the brokers of a folder keep their data: where the peer's script wants it.
#[must_use]
pub(super) fn data(folder: &Path) -> PathBuf {
    folder.join("data-1")
}

impl Broker {
    /// # Errors
    /// When it does not come up.
    pub(super) fn start(kind: Writer, folder: &Path) -> Result<Self> {
        let (port, folder) = (free_port()?, folder.to_owned());
        let mut broker = Self { kind, port, folder, child: None, is_running: true };
        match kind {
            Writer::Kafka => broker.start_kafka()?,
            Writer::Strom => broker.start_strom()?,
        }
        Ok(broker)
    }

    fn start_kafka(&self) -> Result<()> {
        let port = self.port.to_string();
        let sets = BOTH.iter().chain(&KAFKAS).flat_map(|set| ["--set", set]);
        let arguments = ["start", "--port", &port, "--heap", "512M"].into_iter().chain(sets);
        let started = kafka(&self.folder, &arguments.collect::<Vec<_>>());
        started.with_context(|| told(&self.folder))?;
        Ok(())
    }

    fn start_strom(&mut self) -> Result<()> {
        let (port, controller) = (self.port, self.port + 1);
        let text = format!(
            "node.id=1\nprocess.roles=broker,controller\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\noffsets.topic.replication.factor=1\n\
             log.dirs={}\n{}\n",
            data(&self.folder).display(),
            BOTH.join("\n"),
        );
        let config = self.folder.join("strom.properties");
        fs::write(&config, text)?;
        let binary = built("release");
        let mut format = Command::new(&binary);
        format.args(["storage", "format", "--ignore-formatted", "--cluster-id", CLUSTER_ID]);
        checked(format.arg("--config").arg(&config))?;
        let log = File::create(self.folder.join("strom.out"))?;
        let mut command = Command::new(binary);
        command.arg("server").arg("--config").arg(&config).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        self.child = Some(child);
        self.await_listening()
    }

    fn await_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                let said = fs::read_to_string(self.folder.join("strom.out")).unwrap_or_default();
                bail!("the node ended with {status}: {said}");
            }
            ensure!(Instant::now() < deadline, "the node does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    #[must_use]
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops in order.
    ///
    /// # Errors
    /// When it had ended before, or does not end well.
    pub(super) fn stop(mut self) -> Result<()> {
        self.is_running = false;
        let Some(mut child) = self.child.take() else {
            kafka(&self.folder, &["stop"])?;
            let mark = data(&self.folder).join(".kafka_cleanshutdown");
            ensure!(mark.exists(), "Apache Kafka did not stop cleanly");
            return Ok(());
        };
        checked(Command::new("kill").arg(child.id().to_string()))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the node ended with {status} on SIGTERM");
                return Ok(());
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("the node did not stop");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if !self.is_running {
            return;
        }
        // Only reached after an error; nothing may outlive the run.
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        } else if self.kind == Writer::Kafka
            && let Err(error) = kafka(&self.folder, &["stop", "--kill"])
        {
            eprintln!("Apache Kafka in {}: {error:#}", self.folder.display());
        }
    }
}
