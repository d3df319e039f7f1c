//! Stages of a test run: named, timed, counted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// The project's root folder.
#[must_use]
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo puts what it builds.
#[must_use]
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a command in the root folder with its output on ours.
///
/// # Errors
/// When it cannot be run or ends with a failure.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .env("CARGO_TERM_COLOR", "never")
        .status()
        .with_context(|| format!("running {program}"))?;
    ensure!(status.success(), "{program} {} ended with {status}", arguments.join(" "));
    Ok(())
}

/// What a command says in the root folder, without the end of its last line.
///
/// # Errors
/// When it cannot be run or ends with a failure.
pub(crate) fn said(program: &mut Command) -> Result<String> {
    let output = program.current_dir(root()).output()?;
    ensure!(output.status.success(), "{program:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The triple of this machine, as the compiler names it.
///
/// # Errors
/// When there is no compiler.
pub(crate) fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("running rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

/// What the run has come to so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub passed: usize,
    pub failed: usize,
    only: Option<String>,
}

impl Tally {
    #[must_use]
    pub(crate) fn new(only: Option<String>) -> Self {
        Self { only, ..Self::default() }
    }

    /// Whether this stage is to run.
    #[must_use]
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }

    /// Runs a stage, unless another one is the only one wanted. A failure does not end the run.
    pub(crate) fn stage(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        if !self.wants(name) {
            return;
        }
        println!("== {name}");
        let started = Instant::now();
        let result = run();
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("== {name}: ok in {seconds:.1} s");
            }
            Err(error) => {
                self.failed += 1;
                println!("== {name}: FAILED in {seconds:.1} s: {error:#}");
            }
        }
    }

    /// Prints the closing line.
    ///
    /// # Errors
    /// When a stage failed or none ran.
    pub(crate) fn finish(self) -> Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed);
        ensure!(self.failed == 0, "{} stage(s) failed", self.failed);
        ensure!(self.passed > 0, "no stage has run");
        Ok(())
    }
}
