//! A node of this binary in a process of its own, and the tools run against it. With
//! STROM_BOOTSTRAP the tools talk to that cluster instead: Apache Kafka's passes the same tests.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Node {
    bootstrap: String,
    /// Empty when the cluster is somebody else's.
    process: Option<(Child, tempfile::TempDir)>,
}

impl Node {
    pub(crate) fn start() -> Node {
        if let Ok(bootstrap) = std::env::var("STROM_BOOTSTRAP") {
            return Node { bootstrap, process: None };
        }
        Node::with(&[])
    }

    /// One of this binary in any case, with some `key=value` set.
    pub(crate) fn with(keys: &[&str]) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut child = Command::new(env!("CARGO_BIN_EXE_strom"))
            .args(["server", "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override"])
            .arg(format!("log.dirs={}", data.display()))
            .args(keys.iter().flat_map(|key| ["--override", *key]))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("the node tells where it listens");
        let bootstrap = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Node { bootstrap, process: Some((child, folder)) }
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn run(&self, tool: &str, options: &[&str]) -> Output {
        self.run_with(tool, options, "")
    }

    pub(crate) fn run_with(&self, tool: &str, options: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strom"))
            .arg(tool)
            .args(["--bootstrap-server", &self.bootstrap])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("the tool reads");
        drop(stdin);
        child.wait_with_output().expect("the tool ends")
    }

    /// A tool that is not told where the node is, but by its options.
    pub(crate) fn run_alone(&self, tool: &str, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strom"));
        command.arg(tool).args(options).output().expect("the binary starts")
    }

    /// What a tool prints when it succeeds.
    pub(crate) fn prints(&self, tool: &str, options: &[&str]) -> String {
        let output = self.run(tool, options);
        assert!(output.status.success(), "{tool} {options:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a tool says when it fails.
    pub(crate) fn refuses(&self, tool: &str, options: &[&str]) -> String {
        let output = self.run(tool, options);
        assert_eq!(output.status.code(), Some(1), "{tool} {options:?}: {output:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    /// A name that no other test of this cluster uses.
    pub(crate) fn name(&self, what: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        format!("{what}-{}-{count}", std::process::id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((child, _folder)) = &mut self.process {
            // The folder goes away with it: nothing has to be kept.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
