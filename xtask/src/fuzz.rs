//! `cargo xtask fuzz`: what strangers may send and leave on a disk, by coverage (`fuzz/`).
//!
//! Built by the ordinary compiler: the passes that count edges are flags of its code generation. What a
//! run finds of new inputs goes below the build folder, unless they are to be kept; inputs that make a
//! target fail are left in `fuzz-findings` there, and the one command that repeats each is printed.

mod corpus;
mod instrumented;
mod one_target;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

use crate::stage::command;
use instrumented::Instrumented;

const USAGE: &str = "cargo xtask fuzz [--seconds N] [--only TARGET] [--jobs N] [--keep]\n\
                     cargo xtask fuzz --only TARGET --input FILE    does one input again";
const SECONDS_EACH: u64 = 60;
const JOBS: usize = 2;

/// What became of one target in a campaign.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub target: String,
    pub executions: u64,
    /// Edges of the code that its inputs reach.
    pub edges: u64,
    pub seconds: f64,
    /// The inputs that failed.
    pub findings: Vec<PathBuf>,
}

/// # Errors
/// When a target fails on an input, or cannot be built or run.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut seconds_each, mut jobs, mut only, mut input) = (SECONDS_EACH, JOBS, None, None);
    let mut keeps = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--seconds" => seconds_each = value()?.parse().context("--seconds takes a number")?,
            "--jobs" => jobs = value()?.parse().context("--jobs takes a number")?,
            "--only" => only = Some(value()?.clone()),
            "--input" => input = Some(PathBuf::from(value()?)),
            "--keep" => keeps = true,
            other => bail!("{other} is not known\n{USAGE}"),
        }
    }
    if let Some(input) = input {
        let name = only.context("--input belongs to one target: name it by --only")?;
        return Instrumented::build()?.repeat(&name, &input);
    }
    let outcomes = campaign_of(seconds_each, only.as_deref(), jobs)?;
    if keeps {
        for outcome in &outcomes {
            corpus::keep(&outcome.target)?;
        }
    }
    judge(&outcomes)
}

/// The stage of a test run: every target for a short while, after all inputs that are kept.
///
/// # Errors
/// As [`run`].
pub(crate) fn stage() -> Result<()> {
    const STAGE_SECONDS_EACH: u64 = 10;
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    command("cargo", &[&["fmt"], manifest.as_slice(), &["--", "--check"]].concat())?;
    Instrumented::lint()?;
    judge(&campaign(STAGE_SECONDS_EACH, None)?)
}

/// Fuzzes every target, or the one that is named, for so many seconds each, two at a time. A finding is
/// no error: it stands in the outcome.
///
/// # Errors
/// When the targets cannot be built or run, or none has the name.
pub(crate) fn campaign(seconds_each: u64, only: Option<&str>) -> Result<Vec<Outcome>> {
    campaign_of(seconds_each, only, JOBS)
}

fn campaign_of(seconds_each: u64, only: Option<&str>, jobs: usize) -> Result<Vec<Outcome>> {
    ensure!(seconds_each > 0 && jobs > 0, "nothing is done in no time, and by nobody");
    let mut names = corpus::targets()?;
    names.retain(|name| only.is_none_or(|only| name == only));
    ensure!(!names.is_empty(), "no target has this name: {}", corpus::targets()?.join(", "));
    let built = Instrumented::build()?;
    let (waiting, done) = (Mutex::new(VecDeque::from(names)), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok().and_then(|mut names| names.pop_front());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let outcome = one_target::fuzz(&built, &name, seconds_each);
                    let outcome = outcome.with_context(|| format!("the target {name}"));
                    tell(&outcome);
                    if let Ok(mut done) = done.lock() {
                        done.push(outcome);
                    }
                }
            });
        }
    });
    let done = done.into_inner().map_err(|_| anyhow::anyhow!("a thread has ended early"))?;
    let mut outcomes = done.into_iter().collect::<Result<Vec<Outcome>>>()?;
    outcomes.sort_by(|left, right| left.target.cmp(&right.target));
    Ok(outcomes)
}

fn tell(outcome: &Result<Outcome>) {
    let Ok(Outcome { target, executions, edges, seconds, findings }) = outcome else { return };
    println!("{target:12} {executions:9} executions, {edges:6} edges, {seconds:.0} s");
    for finding in findings {
        println!("  again: cargo xtask fuzz --only {target} --input {}", finding.display());
    }
}

fn judge(outcomes: &[Outcome]) -> Result<()> {
    let executions: u64 = outcomes.iter().map(|outcome| outcome.executions).sum();
    println!("{executions} executions of {} targets", outcomes.len());
    // A target that does nothing finds nothing.
    let idle = outcomes.iter().find(|outcome| outcome.executions == 0 || outcome.edges == 0);
    if let Some(Outcome { target, findings, .. }) = idle {
        ensure!(!findings.is_empty(), "{target} has not run");
    }
    let findings: usize = outcomes.iter().map(|outcome| outcome.findings.len()).sum();
    ensure!(findings == 0, "{findings} input(s) fail");
    Ok(())
}
