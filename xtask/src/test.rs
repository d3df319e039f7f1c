//! `cargo xtask test`: all that must hold. CI calls nothing else.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{Tally, command, root};
use crate::{costs, crash, fuzz, golden, judges, sanitizers, snippets, tidy};

/// What judges and clients need beside the toolchain: a program to look for, and the Debian packages
/// that bring it.
const SYSTEM_PACKAGES: [(&str, &[&str]); 8] = [
    ("valgrind", &["valgrind"]),
    ("strace", &["strace"]),
    ("mkfs.ext4", &["e2fsprogs"]),
    ("kcat", &["kcat"]),
    ("g++", &["g++", "zlib1g-dev"]),
    ("python3", &["python3", "python3-venv"]),
    ("java", &["default-jdk-headless"]),
    ("mvn", &["maven"]),
];

/// # Errors
/// When anything that must hold does not.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut quick, mut only) = (false, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--only" => only = Some(rest.next().context("--only takes a stage's name")?.clone()),
            other => bail!("{other} is not known: --quick, --only STAGE"),
        }
    }
    let mut tally = Tally::new(only);
    tally.stage("format", || command("cargo", &["fmt", "--all", "--", "--check"]));
    tally.stage("tidy", tidy::run);
    tally.stage("clippy", || {
        command(
            "cargo",
            &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"],
        )
    });
    tally.stage("tests", || command("cargo", &["test", "--quiet", "--workspace"]));
    if !quick {
        tally.stage("release build", || {
            command("cargo", &["build", "--quiet", "--release", "--package", "strom-cli"])
        });
        tally.stage("simulated worlds", simulated_worlds);
        tally.stage("floods", || {
            let only = ["--package", "strom-cli", "--test", "floods"];
            command("cargo", &[&["test", "--quiet", "--release"], only.as_slice()].concat())
        });
        tally.stage("system packages", install_packages);
        tally.stage("sanitizers", sanitizers::run);
        tally.stage("fuzzing", fuzz::stage);
        tally.stage("crashes", crashes);
        tally.stage("exchange", golden::exchange);
        tally.stage("costs", || costs::run(&[]));
        tally.stage("readme", snippets::run);
        judges::run_all(&mut tally);
    }
    tally.finish()
}

/// Many seeds, and every crash point of a node's scripted life: at the speed of a release build.
fn simulated_worlds() -> Result<()> {
    let run = ["run", "--quiet", "--release", "--package", "strom-sim-cli", "--"];
    command("cargo", &[run.as_slice(), &["swarm", "--count", "4000"]].concat())?;
    command("cargo", &[run.as_slice(), &["crash-points"]].concat())
}

/// The real binary under real clients: at least 50 kills, and every kind of fault. Of the lives from the
/// third seed on the first has a small volume and the sixth loses its power.
fn crashes() -> Result<()> {
    crash::run(&["--kills", "50", "--seed", "3"].map(str::to_owned))
}

/// Installs by package name what is missing.
fn install_packages() -> Result<()> {
    let is_missing = |program: &str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        !found.is_ok_and(|output| output.status.success())
    };
    let mut missing: Vec<&str> = SYSTEM_PACKAGES
        .iter()
        .filter(|(program, _)| is_missing(program))
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect();
    if is_missing("node") {
        missing.extend(["nodejs", "npm"]);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| -> Result<()> {
        let status = Command::new("apt-get").args(arguments).current_dir(root()).status()?;
        ensure!(status.success(), "apt-get {} ended with {status}", arguments.join(" "));
        Ok(())
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq"], missing.as_slice()].concat())
}
