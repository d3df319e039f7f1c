//! The kinds of work: one piece of each, and what it came to.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::ledger::{Entry, Ledger};
use crate::stage::{command, root, said, target};
use crate::{crash, fuzz};

/// Of processor time.
const WORLD_SECONDS: u64 = 120;
/// A piece without a finding has these at most.
const WORLDS_MAX: u64 = 1_000_000;
const KILLS: u64 = 40;
const FUZZ_SECONDS: u64 = 20;
/// Seeds in which a planted defect is found, or the oracles are too weak.
const PLANT_SEEDS: u64 = 4000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Simulated, each from a seed.
    Worlds,
    /// Of the real binary.
    Kills,
    Fuzz,
    /// A defect that is planted: a soak that finds nothing is one that could have.
    Plants,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Plants, Kind::Worlds, Kind::Kills, Kind::Fuzz];

    fn name(self) -> &'static str {
        match self {
            Kind::Worlds => "worlds",
            Kind::Kills => "kills",
            Kind::Fuzz => "fuzz",
            Kind::Plants => "plants",
        }
    }

    /// # Errors
    /// When there is none of the name.
    pub(crate) fn from_name(name: &str) -> Result<Kind> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.with_context(|| format!("{name} is no kind of work"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A piece of work of this kind, and what is to be written down of it.
///
/// # Errors
/// When it cannot be run. A finding is told, and stands in the entry.
pub(crate) fn run(kind: Kind, ledger: &Ledger) -> Result<Vec<Entry>> {
    let empty = Entry {
        date: said(Command::new("date").arg("+%F"))?,
        commit: said(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?,
        kind,
        of: "-".to_owned(),
        first: ledger.next_seed(kind),
        count: 0,
        simulated_s: 0,
        faults: 0,
        findings: 0,
    };
    match kind {
        Kind::Worlds => Ok(vec![worlds(empty)?]),
        Kind::Kills => Ok(vec![kills(empty)?]),
        Kind::Fuzz => fuzzed(&empty),
        Kind::Plants => Ok(vec![planted(empty, ledger)?]),
    }
}

fn worlds(empty: Entry) -> Result<Entry> {
    let counts = target().join("soak-counts");
    let built = ["build", "--quiet", "--release", "--package", "strom-sim-cli"];
    command("cargo", &built)?;
    let (first, seconds) = (empty.first.to_string(), WORLD_SECONDS.to_string());
    let (most, file) = (WORLDS_MAX.to_string(), counts.display().to_string());
    let run = ["swarm", "--first", &first, "--count", &most, "--seconds", &seconds];
    let is_well =
        is_well(&target().join("release/strom-sim"), &[&run[..], &["--counts", &file]].concat())?;
    let counts = read_counts(&counts)?;
    let of = |name: &str| counts.get(name).copied().with_context(|| format!("no count of {name}"));
    let broken = of("broken")?;
    ensure!(is_well == (broken == 0), "the worlds ended in an unexpected way");
    Ok(Entry {
        count: of("worlds")? + broken,
        simulated_s: of("simulated_ms")? / 1000,
        faults: of("faults")?,
        findings: broken,
        ..empty
    })
}

/// Seeds are numbers of lives here: those that were lived are told, too.
fn kills(empty: Entry) -> Result<Entry> {
    let counts = target().join("soak-counts");
    // Of the last campaign nothing must be left.
    let _ = fs::remove_file(&counts);
    let first = empty.first.max(1);
    let arguments = ["--kills", &KILLS.to_string(), "--seed", &first.to_string(), "--counts"];
    let arguments = arguments.into_iter().map(str::to_owned).chain([counts.display().to_string()]);
    let outcome = crash::run(&arguments.collect::<Vec<_>>());
    if let Err(error) = &outcome {
        println!("{error:#}");
    }
    let counts = if counts.exists() { read_counts(&counts)? } else { BTreeMap::new() };
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    Ok(Entry {
        first,
        count: of("kills"),
        faults: of("lives"),
        findings: u64::from(outcome.is_err()),
        ..empty
    })
}

fn fuzzed(empty: &Entry) -> Result<Vec<Entry>> {
    let outcomes = fuzz::campaign(FUZZ_SECONDS, None)?;
    let entry = |outcome: fuzz::Outcome| Entry {
        of: outcome.target,
        first: 0,
        count: outcome.executions,
        findings: outcome.findings.len() as u64,
        ..empty.clone()
    };
    Ok(outcomes.into_iter().map(entry).collect())
}

/// The defect that was not looked for the longest.
fn planted(empty: Entry, ledger: &Ledger) -> Result<Entry> {
    let folder = target().join("planted");
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--package", "strom-sim-cli"])
        .args(["--features", "planted"])
        .env("CARGO_TARGET_DIR", &folder)
        .current_dir(root())
        .status()?;
    ensure!(status.success(), "the build with planted defects ended with {status}");
    let program = folder.join("release/strom-sim");
    let names = said(Command::new(&program).args(["plants", "--list"]))?;
    let looked_for = |name: &&str| ledger.of(Kind::Plants).filter(|it| it.of == **name).count();
    let name = names.lines().min_by_key(looked_for).context("there are no planted defects")?;
    let (first, budget) = (empty.first.to_string(), PLANT_SEEDS.to_string());
    let arguments =
        ["plants", "--only", name, "--searches", "1", "--first", &first, "--budget", &budget];
    let is_found = is_well(&program, &arguments)?;
    Ok(Entry { of: name.to_owned(), count: PLANT_SEEDS, findings: u64::from(!is_found), ..empty })
}

fn is_well(program: &Path, arguments: &[&str]) -> Result<bool> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .status()
        .with_context(|| format!("running {}", program.display()))?;
    Ok(status.success())
}

/// Lines `name=number`.
fn read_counts(path: &Path) -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let Some((name, number)) = line.split_once('=') else { bail!("{line} is no count") };
        counts.insert(name.to_owned(), number.parse()?);
    }
    Ok(counts)
}
