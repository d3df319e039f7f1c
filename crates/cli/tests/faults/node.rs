//! A node of this binary in a process of its own, whose death is part of the test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

/// Far beyond what anything here takes: only a hang is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of this test, and how its nodes are started.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    overrides: Vec<String>,
    /// The largest file that the nodes may write: RLIMIT_FSIZE, a disk that is full at once.
    file_bytes_max: Option<u64>,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let mut place = Place { folder, overrides: Vec::new(), file_bytes_max: None };
        place.set("listeners", "PLAINTEXT://127.0.0.1:0");
        let data = place.data().display().to_string();
        place.set("log.dirs", &data);
        place.set("strom.network.threads", crate::NETWORK_THREADS);
        place
    }

    /// Sets a configuration key of the nodes to come.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.overrides.push(format!("{key}={value}"));
    }

    pub(crate) fn limit_files(&mut self, bytes: Option<u64>) {
        self.file_bytes_max = bytes;
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a node and waits until it serves.
    pub(crate) fn start(&self) -> Node {
        let log = self.folder.path().join("stderr");
        let said = fs::OpenOptions::new().create(true).append(true).open(&log).expect("a file");
        let mut child =
            self.command().stdout(Stdio::piped()).stderr(said).spawn().expect("the binary starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("the node's greeting");
        let address = line.trim().rsplit(' ').next().and_then(|it| it.parse().ok());
        let Some(address) = address else {
            let _ = child.wait();
            panic!("the node did not start: {}", fs::read_to_string(log).unwrap_or_default());
        };
        Node { child, address, log }
    }

    /// Starts a node that dies of kill -9 after a while, whatever it is at.
    pub(crate) fn start_and_kill(&self, after: Duration) {
        let mut command = self.command();
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(after);
        child.kill().expect("a child");
        child.wait().expect("it ends");
    }

    /// What a node says that does not start; panics if it does.
    pub(crate) fn refused(&self) -> String {
        let output = end_of(self.command());
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty());
        assert_eq!(said.lines().count(), 1, "one sentence: {said}");
        said
    }

    fn command(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_strom");
        let mut command = match self.file_bytes_max {
            None => Command::new(binary),
            Some(limit) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--fsize={limit}:{limit}")).arg(binary);
                command
            }
        };
        command.arg("server").stdin(Stdio::null());
        // Memory counts by what was asked for, not by the pages of 2 MiB that the allocator rounds it to.
        command.env("MIMALLOC_ALLOW_THP", "0");
        for setting in &self.overrides {
            command.args(["--override", setting]);
        }
        command
    }
}

/// Waits for a process that is to end by itself; ends it when it does not.
fn end_of(mut command: Command) -> Output {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the process goes on: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("its output")
}

pub(crate) struct Node {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Node {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).expect("the node runs");
    }

    /// Stands still until [`Node::resume`]: nothing changes on its disk meanwhile.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the node runs");
        self.child.wait().expect("it ends");
    }

    /// Waits for the end that the node comes to by itself; its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status.code(),
                None => assert!(Instant::now() < deadline, "the node goes on: {}", self.said()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}: {}", self.said());
    }

    /// Resident memory in bytes, by the kernel.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Of these what it allocated: without the pages of the program and of mapped files.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the node runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("a size");
        let kib = line.split_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok());
        kib.expect("a number") * 1024
    }

    /// All that nodes of this place wrote to stderr so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone after `kill` and `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder as it is: every path below it with its bytes and the time of its last change.
pub(crate) fn picture(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, Option<SystemTime>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let changed = fs::metadata(&path).and_then(|it| it.modified()).ok();
            if path.is_dir() {
                found.insert(path.clone(), (Vec::new(), changed));
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                found.insert(path, (bytes, changed));
            }
        }
    }
    found
}
