//! A clone of the project in which code is changed and tested, with a build folder of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::book::{Outcome, Verdict};
use super::mutant::Mutant;
use super::stages::{Stage, first_failed};
use crate::stage::{root, target};

/// A build on a machine that has much else to do.
const BUILD_MAX: Duration = Duration::from_mins(20);
/// Tests that take this many times as long as without the change do not end.
const TIMES_AS_LONG: u32 = 5;
const TESTS_MIN: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(50);

/// Where all of it is kept between runs.
pub(super) fn folder() -> PathBuf {
    target().join("mutants")
}

#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
    /// How long the tests of these packages take without a change.
    unchanged: BTreeMap<Vec<String>, Duration>,
}

impl Tree {
    /// With what is committed.
    ///
    /// # Errors
    /// When it cannot be cloned.
    pub(super) fn at_head() -> Result<Tree> {
        let path = folder().join("tree");
        fs::create_dir_all(folder())?;
        let root = root().display().to_string();
        if !path.exists() {
            git(&folder(), &["clone", "--quiet", "--no-checkout", &root, "tree"])?;
        }
        git(&path, &["fetch", "--quiet", &root, "HEAD"])?;
        // Files that stay the same keep their times, and so what was built of them.
        git(&path, &["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"])?;
        git(&path, &["clean", "--quiet", "--force", "-d"])?;
        Ok(Tree { path, unchanged: BTreeMap::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the code, tests it, and puts it back.
    ///
    /// # Errors
    /// When tests fail without the change, too, or nothing can be run.
    pub(super) fn judge(&mut self, mutant: &Mutant) -> Result<Verdict> {
        let of = &mutant.identity.of;
        for stage in Stage::ALL {
            let packages = stage.packages(of);
            let unchanged = self.unchanged(&packages)?;
            let outcome = self.changed(mutant, &packages, unchanged)?;
            if outcome.outcome != Outcome::Survived {
                let by = format!("{}: {}", stage.name(), outcome.by);
                let by = if outcome.outcome == Outcome::Unviable { "-".to_owned() } else { by };
                return Ok(Verdict { by, ..outcome });
            }
        }
        Ok(Verdict { outcome: Outcome::Survived, by: "-".to_owned() })
    }

    fn changed(
        &self,
        mutant: &Mutant,
        packages: &[String],
        unchanged: Duration,
    ) -> Result<Verdict> {
        let file = self.path.join(&mutant.identity.file);
        let source = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        fs::write(&file, mutant.of_source(&source)?)?;
        let verdict = self.tested(packages, TESTS_MIN.max(unchanged * TIMES_AS_LONG));
        fs::write(&file, source)?;
        verdict
    }

    fn tested(&self, packages: &[String], at_most: Duration) -> Result<Verdict> {
        let verdict = |outcome, by: &str| Ok(Verdict { outcome, by: by.to_owned() });
        match self.cargo(&["test", "--no-run"], packages, BUILD_MAX)? {
            Ended { status: None, .. } => bail!("a build does not end"),
            Ended { status: Some(status), .. } if !status.success() => {
                return verdict(Outcome::Unviable, "-");
            }
            Ended { .. } => {}
        }
        match self.cargo(&["test"], packages, at_most)? {
            Ended { status: None, .. } => verdict(Outcome::Timeout, "does not end"),
            Ended { status: Some(status), output } if !status.success() => {
                verdict(Outcome::Caught, first_failed(&output).unwrap_or("ends early"))
            }
            Ended { .. } => verdict(Outcome::Survived, "-"),
        }
    }

    /// A test that fails anyway would catch everything.
    fn unchanged(&mut self, packages: &[String]) -> Result<Duration> {
        if let Some(known) = self.unchanged.get(packages) {
            return Ok(*known);
        }
        println!("without a change: {}", packages.join(", "));
        let built = self.cargo(&["test", "--no-run"], packages, BUILD_MAX)?;
        ensure!(built.is_well(), "does not build:\n{}", built.output);
        let begin = Instant::now();
        let tested = self.cargo(&["test"], packages, BUILD_MAX)?;
        ensure!(tested.is_well(), "fails without a change:\n{}", tested.output);
        let took = begin.elapsed();
        self.unchanged.insert(packages.to_vec(), took);
        Ok(took)
    }

    fn cargo(&self, command: &[&str], packages: &[String], at_most: Duration) -> Result<Ended> {
        let file = folder().join("output");
        let output = File::create(&file)?;
        let mut child = Command::new("cargo")
            .args(command)
            .arg("--quiet")
            .args(packages.iter().flat_map(|name| ["--package", name]))
            .current_dir(&self.path)
            .env("CARGO_TARGET_DIR", folder().join("build"))
            // Nobody looks at lines of a backtrace here; linking is most of a build.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never")
            // What one mutant fails on would be tried on all that follow.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .stdout(output.try_clone()?)
            .stderr(output)
            // What tests start ends with them.
            .process_group(0)
            .spawn()
            .context("running cargo")?;
        let end = Instant::now() + at_most;
        let mut status = child.try_wait()?;
        while status.is_none() && Instant::now() < end {
            std::thread::sleep(POLL);
            status = child.try_wait()?;
        }
        if status.is_none() {
            let group = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
            child.wait()?;
        }
        let output = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        Ok(Ended { status, output })
    }
}

/// A command that has ended by itself, or was ended where it has no status.
#[derive(Debug)]
struct Ended {
    status: Option<ExitStatus>,
    output: String,
}

impl Ended {
    fn is_well(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("git").args(arguments).current_dir(folder).status()?;
    ensure!(status.success(), "git {} ended with {status}", arguments.join(" "));
    Ok(())
}
