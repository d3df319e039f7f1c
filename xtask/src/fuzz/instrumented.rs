//! The targets, built so that they count the edges they pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stage::{host, root, target};

/// What a fuzzer has to see of a program: each edge, and what is compared with what.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Tables of edges in several units of one crate confuse the linker.
    "-Ccodegen-units=1",
    "--cfg",
    "fuzzing",
];

/// Where the built targets are.
#[derive(Debug)]
pub(super) struct Instrumented {
    folder: PathBuf,
}

impl Instrumented {
    /// Builds all of them.
    ///
    /// # Errors
    /// When they cannot be built.
    pub(super) fn build() -> Result<Self> {
        cargo(&["build", "--bins"], &[])?;
        Ok(Self { folder: folder().join(host()?).join("release") })
    }

    /// Looks at their sources as clippy does at all others.
    ///
    /// # Errors
    /// When it finds anything.
    pub(super) fn lint() -> Result<()> {
        cargo(&["clippy", "--all-targets"], &["--", "-D", "warnings"])
    }

    /// The program of a target.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Does one input again, with the output on ours.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn repeat(&self, name: &str, input: &Path) -> Result<()> {
        ensure!(input.is_file(), "{} is no file", input.display());
        let status = Command::new(self.program(name))
            .arg(input)
            .current_dir(root())
            .env("RUST_BACKTRACE", "1")
            .status()
            .with_context(|| format!("running the target {name}"))?;
        ensure!(status.success(), "{name} fails on {}: {status}", input.display());
        Ok(())
    }
}

/// Not where the product is built: the flags are others.
fn folder() -> PathBuf {
    target().join("fuzz")
}

fn cargo(command: &[&str], behind: &[&str]) -> Result<()> {
    let status = Command::new("cargo")
        .args(command)
        // With a target named the flags are not those of build scripts.
        .args(["--quiet", "--release", "--target", &host()?])
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .args(behind)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", folder())
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .env_remove("RUSTFLAGS")
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "cargo {} of the fuzz targets: {status}", command.join(" "));
    Ok(())
}
