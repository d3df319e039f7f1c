//! The systems under load: each started fresh in a folder of its own, on a free port.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{root, target};

/// The profile of what is shipped (docs/decisions/0008).
pub(crate) const SHIPPED: &str = "dist";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Strom,
    Kafka,
    /// `shared/peer/floor`: the least anyone can do through the page cache.
    Floor,
    /// The same from memory of its own with direct IO.
    FloorDirect,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Strom, Kind::Kafka, Kind::Floor, Kind::FloorDirect];

    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Strom => "strom",
            Kind::Kafka => "kafka",
            Kind::Floor => "floor",
            Kind::FloorDirect => "floor-direct",
        }
    }

    /// Not a broker: it takes produces, and that is all.
    #[must_use]
    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Kind::Floor | Kind::FloorDirect)
    }
}

/// What is compared: a system, and the keys that are set for it and not for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub kind: Kind,
    /// As the report calls it.
    pub name: String,
    pub keys: Vec<(String, String)>,
    /// What is started as Strom instead of what was built here.
    pub binary: Option<PathBuf>,
}

impl Row {
    /// A system as it comes.
    #[must_use]
    pub(crate) fn plain(kind: Kind) -> Self {
        Self { kind, name: kind.name().replace('-', " "), keys: Vec::new(), binary: None }
    }
}

/// A running system; it is ended and its folder removed when this is dropped.
pub(crate) struct System {
    row: Row,
    port: u16,
    tls_port: Option<u16>,
    folder: PathBuf,
    /// Of all but Kafka, whose script keeps a file with the process id.
    child: Option<Child>,
    wrapper: Vec<String>,
}

/// How a system is started, where that matters.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Keys of Kafka's configuration, the same for both brokers.
    pub keys: Vec<(&'static str, String)>,
    /// Of the JVM.
    pub heap: &'static str,
    /// Whether the brokers listen with TLS, too: one certificate for both.
    pub has_tls: bool,
    /// A program and its arguments that Strom's binary runs under.
    pub wrapper: Vec<String>,
}

impl Default for Start {
    fn default() -> Self {
        // Topics are deleted between the rounds: their bytes are to be gone, too.
        let keys = vec![("log.segment.delete.delay.ms", "500".into())];
        Self { keys, heap: "1G", has_tls: false, wrapper: Vec::new() }
    }
}

/// It lies beside the checkout; a second checkout elsewhere names it by `STROM_PEER`.
pub(crate) fn peer() -> PathBuf {
    std::env::var_os("STROM_PEER").map_or_else(|| root().join("../shared/peer"), PathBuf::from)
}

fn bench_folder() -> PathBuf {
    target().join("bench")
}

pub(crate) fn checked(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a build by this profile is; rows that name no binary run the one of [`SHIPPED`].
#[must_use]
pub(crate) fn built(profile: &str) -> PathBuf {
    target().join(profile).join("strom")
}

/// Builds what will run, Strom by this profile.
///
/// # Errors
/// When a compiler says no.
pub(crate) fn build(rows: &[Row], profile: &str) -> Result<()> {
    fs::create_dir_all(bench_folder())?;
    if rows.iter().any(|row| row.kind == Kind::Strom && row.binary.is_none()) {
        let arguments = ["build", "--profile", profile, "-p", "strom-cli"];
        checked(Command::new("cargo").current_dir(root()).args(arguments))?;
    }
    if rows.iter().any(|row| row.kind.is_floor()) {
        checked(
            Command::new("rustc")
                .args(["--edition", "2021", "-O", "-o"])
                .arg(bench_folder().join("floor"))
                .arg(peer().join("floor/main.rs")),
        )?;
    }
    Ok(())
}

/// The certificate of the brokers' TLS listeners, with its key.
pub(crate) fn certificate() -> PathBuf {
    bench_folder().join("tls.pem")
}

fn make_certificate() -> Result<()> {
    let pem = certificate();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
    checked(openssl.arg("-keyout").arg(&pem).arg("-out").arg(bench_folder().join("tls.crt")))?;
    let certificate = fs::read_to_string(bench_folder().join("tls.crt"))?;
    fs::write(&pem, fs::read_to_string(&pem)? + &certificate)?;
    Ok(())
}

/// A free port whose successor is free as well: Kafka's controller listens there. Below those that the
/// system hands out, as thousands of ended connections of an earlier trial still hold some of these.
pub(crate) fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Two programs that run at once begin at different places.
    let begin = (std::process::id() % 5_000) as u16;
    (0..5_000)
        .map(|_| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 5_000 * 2)
        .find(|&port| is_free(port) && is_free(port + 1))
        .context("no two free ports between 20,000 and 30,000")
}

/// The end of what a node of Kafka wrote: it says why the node did not start.
pub(crate) fn told(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("node-1.out")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

pub(crate) fn kafka(folder: &Path, arguments: &[&str]) -> Result<String> {
    let (verb, rest) = arguments.split_first().context("a verb")?;
    checked(peer_command().arg(verb).arg(folder).args(rest))
}

/// The peer's script, without arguments.
pub(crate) fn peer_command() -> Command {
    let cache =
        std::env::var_os("STROM_PEER_CACHE").map_or_else(|| target().join("peer"), PathBuf::from);
    let mut command = Command::new(peer().join("kafka"));
    command.env("STROM_PEER_CACHE", cache);
    command
}

impl System {
    /// A fresh one.
    ///
    /// # Errors
    /// When the system does not come up.
    pub(crate) fn start(row: &Row, start: &Start) -> Result<Self> {
        let (kind, port) = (row.kind, free_port()?);
        let folder = bench_folder().join(format!("{}-{port}", kind.name()));
        fs::create_dir_all(&folder)?;
        let tls_port = if start.has_tls { Some(free_port()?) } else { None };
        if start.has_tls && !certificate().exists() {
            make_certificate()?;
        }
        let wrapper = start.wrapper.clone();
        let mut system = Self { row: row.clone(), port, tls_port, folder, child: None, wrapper };
        match kind {
            Kind::Kafka => system.start_kafka(start)?,
            Kind::Strom => system.write_properties(start)?,
            Kind::Floor | Kind::FloorDirect => {}
        }
        if kind != Kind::Kafka {
            system.start_again()?;
        }
        Ok(system)
    }

    fn start_kafka(&self, start: &Start) -> Result<()> {
        let mut sets = self.lines(start);
        if let Some(tls_port) = self.tls_port {
            let (plain, controller) = (self.port, self.port + 1);
            let told = format!("PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{tls_port}");
            sets.push(format!("listeners={told},CONTROLLER://127.0.0.1:{controller}"));
            sets.push(format!("advertised.listeners={told}"));
        }
        let port = self.port.to_string();
        let mut arguments = vec!["start", "--port", &port, "--heap", start.heap];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
        kafka(&self.folder, &arguments).with_context(|| told(&self.folder))?;
        Ok(())
    }

    fn write_properties(&self, start: &Start) -> Result<()> {
        let tls = self.tls_port.map(|port| format!(",SSL://127.0.0.1:{port}"));
        let text = format!(
            "node.id=1\nprocess.roles=broker,controller\ncontroller.listener.names=CONTROLLER\n\
             offsets.topic.replication.factor=1\n\
             listeners=PLAINTEXT://127.0.0.1:{}{}\nlog.dirs={}\n{}\n",
            self.port,
            tls.unwrap_or_default(),
            self.folder.join("data").display(),
            self.lines(start).join("\n"),
        );
        fs::write(self.properties(), text)?;
        Ok(())
    }

    /// `key=value` of all that is set, for this system's row at last.
    fn lines(&self, start: &Start) -> Vec<String> {
        let mut lines: Vec<String> =
            start.keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if self.tls_port.is_some() {
            lines.push("ssl.keystore.type=PEM".into());
            lines.push(format!("ssl.keystore.location={}", certificate().display()));
        }
        lines.extend(self.row.keys.iter().map(|(key, value)| format!("{key}={value}")));
        lines
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// Starts it on the folder it has and returns when it listens.
    ///
    /// # Errors
    /// When the system does not come up.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        match self.row.kind {
            Kind::Kafka => {
                kafka(&self.folder, &["restart"]).with_context(|| told(&self.folder))?;
            }
            Kind::Strom => {
                let binary = self.row.binary.clone().unwrap_or_else(|| built(SHIPPED));
                let mut command = match self.wrapper.split_first() {
                    Some((program, arguments)) => {
                        let mut command = Command::new(program);
                        command.args(arguments).arg(binary);
                        command
                    }
                    None => Command::new(binary),
                };
                command.arg("server").arg("--config").arg(self.properties());
                self.child = Some(command.stdout(Stdio::null()).spawn()?);
            }
            Kind::Floor | Kind::FloorDirect => {
                let mut command = Command::new(bench_folder().join("floor"));
                command.arg(self.port.to_string()).arg(self.folder.join("data"));
                if self.row.kind == Kind::FloorDirect {
                    command.arg("direct");
                }
                self.child = Some(command.spawn()?);
            }
        }
        self.await_listening()
    }

    fn await_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                bail!("{} ended with {status}", self.row.name);
            }
            ensure!(Instant::now() < deadline, "{} does not listen", self.row.name);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    #[must_use]
    pub(crate) fn kind(&self) -> Kind {
        self.row.kind
    }

    #[must_use]
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// Where it listens with TLS, if it does.
    #[cfg(feature = "real-client")]
    #[must_use]
    pub(crate) fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// A floor program knows no topics: its files are emptied from outside, and it goes on behind their
    /// ends.
    ///
    /// # Errors
    /// When a file cannot be cut.
    pub(crate) fn empty_floor(&self) -> Result<()> {
        for file in fs::read_dir(self.folder.join("data"))? {
            fs::OpenOptions::new().write(true).open(file?.path())?.set_len(0)?;
        }
        Ok(())
    }

    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its data and configuration are.
    #[must_use]
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// # Errors
    /// When it does not run.
    pub(crate) fn pid(&self) -> Result<u32> {
        if self.row.kind == Kind::Kafka {
            let text = fs::read_to_string(self.folder.join("node-1.pid"))?;
            return Ok(text.trim().parse()?);
        }
        Ok(self.child.as_ref().context("it does not run")?.id())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.row.kind == Kind::Kafka {
            kafka(&self.folder, &["stop"])?;
        } else if let Some(mut child) = self.child.take() {
            checked(Command::new("kill").arg(child.id().to_string()))?;
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it at once, as kill -9 does.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.row.kind == Kind::Kafka {
            kafka(&self.folder, &["stop", "--kill"])?;
        } else if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let ended = self.kill().and_then(|()| Ok(fs::remove_dir_all(&self.folder)?));
        if let Err(error) = ended {
            eprintln!("{} in {}: {error:#}", self.row.name, self.folder.display());
        }
    }
}
