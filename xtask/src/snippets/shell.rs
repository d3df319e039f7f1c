//! Runs commands as a reader of the README would, with the release binary on the path.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::stage::root;

pub(super) struct Shell {
    /// What stands before the path that this process has: where cargo put the binary.
    before_path: String,
}

impl Shell {
    #[must_use]
    pub(super) fn new() -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| root().join("target"));
        let release = root().join(target).join("release");
        Self { before_path: format!("{}:", release.display()) }
    }

    /// A shell that does not find the binary by its name.
    #[must_use]
    pub(super) fn without_path(&self) -> Self {
        Self { before_path: String::new() }
    }

    /// Runs a script until its end or its first command that fails; gives what it said.
    ///
    /// # Errors
    /// When a command fails or the limit is over, with what was said until then.
    pub(super) fn run(&self, folder: &Path, script: &str, limit: Duration) -> Result<String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("timeout")
            .args([&limit.as_secs().to_string(), "sh", "-e", "-c", script])
            .current_dir(folder)
            .env("PATH", format!("{}{path}", self.before_path))
            .env("CARGO_TERM_COLOR", "never")
            // The project's own target folder is no place for a reader's programs.
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {script}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{} ended with {}:\n{said}{}",
            script.trim(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// Runs the command line with these options.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn strom(&self, folder: &Path, options: &str) -> Result<String> {
        self.run(folder, &format!("strom {options}"), Duration::from_secs(30))
    }
}
