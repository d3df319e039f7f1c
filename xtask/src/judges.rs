//! Other people's clients against the real binary, each on a fresh node, measured by the list of
//! known failures: what fails must stand there, what stands there must fail.

mod known_failures;
mod node;
mod verdict;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use crate::stage::{Tally, root, target};
use known_failures::KnownFailures;
use node::Node;
use verdict::Verdict;

/// A script of `../shared/judges` and how its node is configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge {
    script: &'static str,
    /// A further argument of the script.
    suite: Option<&'static str>,
    partitions: u32,
    node_id: u32,
    /// The script is ended after this; seconds.
    limit_s: u32,
    /// Stands between the names of tests to skip.
    skip_separator: &'static str,
    /// It waits more than it works, so it runs beside the others.
    is_beside: bool,
}

impl Judge {
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        self.suite.unwrap_or(self.script)
    }

    fn stage(&self) -> String {
        format!("judge {}", self.name())
    }
}

const fn judge(script: &'static str) -> Judge {
    Judge {
        script,
        suite: None,
        partitions: 4,
        node_id: 0,
        limit_s: 600,
        skip_separator: " ",
        is_beside: false,
    }
}

/// The own tests of a crate, which is compiled first.
const fn crate_suite(name: &'static str) -> Judge {
    let judge = judge("crate-suite");
    Judge { suite: Some(name), partitions: 3, limit_s: 1200, ..judge }
}

/// Eight minutes, of which seven are its time limits for what is not served yet.
const CONFLUENT: Judge = Judge { limit_s: 900, is_beside: true, ..judge("confluent-client") };

/// pytest takes an expression.
const KAFKA_PYTHON: Judge = Judge { skip_separator: " or ", ..judge("kafka-python-suite") };

const JUDGES: [Judge; 7] = [
    CONFLUENT,
    judge("kcat-client"),
    judge("kafkajs-client"),
    judge("java-client"),
    KAFKA_PYTHON,
    crate_suite("rdkafka"),
    crate_suite("rskafka"),
];

/// Runs all of them, each as a stage.
pub(crate) fn run_all(tally: &mut Tally) {
    let beside = JUDGES.iter().filter(|judge| judge.is_beside && tally.wants(&judge.stage()));
    let beside: Vec<_> =
        beside.map(|judge| (judge.stage(), thread::spawn(|| run(*judge)))).collect();
    for judge in JUDGES.iter().filter(|judge| !judge.is_beside) {
        tally.stage(&judge.stage(), || run(*judge));
    }
    for (stage, thread) in beside {
        tally.stage(&stage, || thread.join().unwrap_or_else(|_| Err(anyhow!("it panicked"))));
    }
}

/// What the judges download and build. Outside of this checkout: below it, `cargo init` would make
/// their crates members of our workspace.
fn cache() -> std::path::PathBuf {
    std::env::temp_dir().join("strom-judges")
}

/// Runs one judge on a node of its own.
///
/// # Errors
/// When it did not run, fails where it should not, or passes where it is listed as failing.
fn run(judge: Judge) -> Result<()> {
    let script = root().join("../shared/judges").join(judge.script);
    ensure!(script.exists(), "{} is missing: the judges lie beside the project", script.display());
    let work = target().join("judges");
    fs::create_dir_all(&work)?;
    let started = Instant::now();
    let known = KnownFailures::of(judge.name())?;
    let node = Node::start(&work, judge.node_id, judge.partitions)?;
    let mut command = Command::new("timeout");
    command.arg(judge.limit_s.to_string()).arg(&script).arg(node.address());
    command.args(judge.suite).current_dir(&work);
    command.env("JUDGE_CACHE", cache()).env("JUDGE_SKIP", known.skipped(judge.skip_separator));
    let output = command.output().with_context(|| format!("running {}", script.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = work.join(format!("{}.log", judge.name()));
    fs::write(&log, [output.stdout.as_slice(), &output.stderr].concat())?;
    node.stop()?;
    let verdict = Verdict::read(&text);
    let see = format!("see {}", log.display());
    let (passed, failed) = verdict
        .closing
        .with_context(|| format!("it did not end within {} s; {see}", judge.limit_s))?;
    let seconds = started.elapsed().as_secs();
    println!("{}: {passed} passed, {failed} failed in {seconds} s", judge.name());
    ensure!(passed > 0, "it did not run; {see}");
    ensure!((failed == 0) == verdict.failures.is_empty(), "its failures are not told; {see}");
    known.compare(&verdict.failures)
}
