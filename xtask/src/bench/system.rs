//! The systems under load: each started fresh in a folder of its own, on a free port.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{root, target};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Strom,
    Kafka,
    /// `shared/peer/floor`: the least anyone can do, in page-cache mode.
    Floor,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Strom, Kind::Kafka, Kind::Floor];

    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Strom => "strom",
            Kind::Kafka => "kafka",
            Kind::Floor => "floor",
        }
    }
}

pub(super) struct System {
    kind: Kind,
    port: u16,
    folder: PathBuf,
    process: Process,
}

enum Process {
    Own(Child),
    /// Started by `shared/peer/kafka`, which wrote its process id into the folder.
    Kafka,
    Ended,
}

fn peer() -> PathBuf {
    root().join("../shared/peer")
}

fn bench_folder() -> PathBuf {
    target().join("bench")
}

fn checked(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Builds what will run.
///
/// # Errors
/// When a compiler says no.
pub(super) fn build(kinds: &[Kind]) -> Result<()> {
    fs::create_dir_all(bench_folder())?;
    checked(Command::new("cargo").current_dir(root()).args([
        "build",
        "--release",
        "-p",
        "strom-cli",
    ]))?;
    if kinds.contains(&Kind::Floor) {
        checked(
            Command::new("rustc")
                .args(["--edition", "2021", "-O", "-o"])
                .arg(bench_folder().join("floor"))
                .arg(peer().join("floor/main.rs")),
        )?;
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl System {
    /// # Errors
    /// When the system does not come up.
    pub(super) fn start(kind: Kind) -> Result<Self> {
        let port = free_port()?;
        let folder = bench_folder().join(format!("{}-{port}", kind.name()));
        fs::create_dir_all(&folder)?;
        let process = match kind {
            Kind::Kafka => {
                checked(
                    Command::new(peer().join("kafka"))
                        .env("STROM_PEER_CACHE", peer_cache())
                        .arg("start")
                        .arg(&folder)
                        .args(["--port", &port.to_string()])
                        .args(["--set", &format!("num.partitions={}", super::load::PARTITIONS)]),
                )?;
                Process::Kafka
            }
            Kind::Strom => Process::Own(start_strom(&folder, port)?),
            Kind::Floor => {
                let binary = bench_folder().join("floor");
                let data = folder.join("data");
                Process::Own(Command::new(binary).arg(port.to_string()).arg(data).spawn()?)
            }
        };
        let system = Self { kind, port, folder, process };
        system.await_listening()?;
        Ok(system)
    }

    fn await_listening(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            ensure!(Instant::now() < deadline, "{} does not listen", self.kind.name());
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    #[must_use]
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    #[must_use]
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn pid(&self) -> Result<u32> {
        if let Process::Own(child) = &self.process {
            return Ok(child.id());
        }
        let text = fs::read_to_string(self.folder.join("node-1.pid"))?;
        Ok(text.trim().parse()?)
    }

    /// All threads' running time in nanoseconds.
    ///
    /// # Errors
    /// When the process has gone.
    pub(super) fn cpu_nanoseconds(&self) -> Result<u64> {
        super::lifetime::nanoseconds_run(self.pid()?)
    }

    /// User and system time of the process so far. The clock of `/proc` ticks in 10 ms.
    ///
    /// # Errors
    /// When the process has gone.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let fields = stat.rsplit_once(')').context("a stat line")?.1;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> {
            Ok(fields.get(index).context("a stat field")?.parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// # Errors
    /// When the process has gone.
    pub(super) fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 =
            line.and_then(|line| line.split_whitespace().next()).context("VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Ends the system and removes its folder.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(super) fn stop(mut self) -> Result<()> {
        self.end()?;
        fs::remove_dir_all(&self.folder)?;
        Ok(())
    }

    /// Ends the process, once: `Drop` comes here too.
    fn end(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.process, Process::Ended) {
            Process::Own(mut child) => {
                child.kill()?;
                child.wait()?;
            }
            Process::Kafka => {
                let mut stop = Command::new(peer().join("kafka"));
                stop.env("STROM_PEER_CACHE", peer_cache());
                checked(stop.arg("stop").arg(&self.folder).arg("--kill"))?;
            }
            Process::Ended => {}
        }
        Ok(())
    }
}

impl Drop for System {
    /// Only has something to do after an error: nothing may outlive the bench. The folder stays, for
    /// whoever looks for the reason.
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{} on port {} may still run: {error:#}", self.kind.name(), self.port);
        }
    }
}

fn peer_cache() -> PathBuf {
    std::env::var_os("STROM_PEER_CACHE").map_or_else(|| target().join("peer"), PathBuf::from)
}

fn start_strom(folder: &Path, port: u16) -> Result<Child> {
    let config = folder.join("server.properties");
    let text = format!(
        "node.id=1\nprocess.roles=broker,controller\ncontroller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\nnum.partitions={}\n",
        folder.join("data").display(),
        super::load::PARTITIONS
    );
    fs::write(&config, text)?;
    let binary = target().join("release/strom");
    if !binary.exists() {
        bail!("{} is missing", binary.display());
    }
    let mut command = Command::new(binary);
    command.arg("server").arg("--config").arg(&config).stdout(Stdio::null());
    Ok(command.spawn()?)
}
