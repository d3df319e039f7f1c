//! Other people's clients against the real binary, each on a fresh node, measured by the list of
//! known failures: what fails must stand there, what stands there must fail.

mod node;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{root, target};
use node::Node;

const KNOWN_FAILURES: &str = "known-failures.txt";

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
}

impl Judge {
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        self.suite.unwrap_or(self.script)
    }
}

const fn judge(script: &'static str) -> Judge {
    Judge { script, suite: None, partitions: 4, node_id: 0, limit_s: 600 }
}

/// The own tests of a crate, which is compiled first.
const fn crate_suite(name: &'static str) -> Judge {
    Judge { script: "crate-suite", suite: Some(name), partitions: 3, node_id: 0, limit_s: 1200 }
}

pub(crate) const JUDGES: [Judge; 7] = [
    judge("kcat-client"),
    judge("kafkajs-client"),
    judge("java-client"),
    judge("confluent-client"),
    judge("kafka-python-suite"),
    crate_suite("rdkafka"),
    crate_suite("rskafka"),
];

/// Runs one judge on a node of its own.
///
/// # Errors
/// When it did not run, fails where it should not, or passes where it is listed as failing.
pub(crate) fn run(judge: Judge) -> Result<()> {
    let script = root().join("../shared/judges").join(judge.script);
    ensure!(script.exists(), "{} is missing: the judges lie beside the project", script.display());
    let work = target().join("judges");
    fs::create_dir_all(&work)?;
    let node = Node::start(&work, judge.node_id, judge.partitions)?;
    let mut command = Command::new("timeout");
    command.arg(judge.limit_s.to_string()).arg(&script).arg(node.address());
    command.args(judge.suite).env("JUDGE_CACHE", work.join("cache")).current_dir(&work);
    let output = command.output().with_context(|| format!("running {}", script.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = work.join(format!("{}.log", judge.name()));
    fs::write(&log, [output.stdout.as_slice(), &output.stderr].concat())?;
    node.stop()?;
    let verdict = Verdict::read(&text);
    ensure!(verdict.passed > 0, "it did not run; see {}", log.display());
    ensure!(
        verdict.closing_line,
        "it did not end within {} s; see {}",
        judge.limit_s,
        log.display()
    );
    println!("{} passed, {} failed", verdict.passed, verdict.failures.len());
    compare(judge.name(), &verdict)
}

/// What a judge's output says.
#[derive(Debug, Default)]
struct Verdict {
    passed: usize,
    failures: BTreeSet<String>,
    closing_line: bool,
}

impl Verdict {
    /// Reads the three forms: `ok NAME` and `FAIL …NAME`, pytest's, and cargo test's.
    fn read(text: &str) -> Self {
        let mut verdict = Self::default();
        for line in text.lines() {
            if let Some((passed, _)) = closing(line) {
                verdict.passed = passed;
                verdict.closing_line = true;
            } else if let Some(name) = failure(line) {
                verdict.failures.insert(name);
            }
        }
        verdict
    }
}

/// `N passed, M failed`
fn closing(line: &str) -> Option<(usize, usize)> {
    let (passed, rest) = line.split_once(" passed, ")?;
    let (failed, _) = rest.split_once(" failed")?;
    Some((passed.trim().parse().ok()?, failed.trim().parse().ok()?))
}

fn failure(line: &str) -> Option<String> {
    // cargo test: `test module::name ... FAILED`
    if let Some(name) = line.strip_prefix("test ").and_then(|it| it.strip_suffix(" ... FAILED")) {
        return Some(name.trim().to_owned());
    }
    // pytest: `FAILED path::name - reason`, `ERROR path::name`
    if let Some(rest) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) {
        let name = rest.split(" - ").next().unwrap_or(rest);
        return Some(name.rsplit("::").next().unwrap_or(name).trim().to_owned());
    }
    let rest = line.strip_prefix("FAIL ")?;
    // The scripts with a duration end with the name: `FAIL Kind: message name [1.2s]`.
    if let Some((before, _)) = rest.rsplit_once(" [").filter(|(_, tail)| tail.ends_with("s]")) {
        return Some(before.to_owned());
    }
    // kcat: `FAIL name: wanted <…> got <…>`
    Some(rest.split(": wanted <").next().unwrap_or(rest).to_owned())
}

/// Lines `judge: check  # reason`; a failure matches when it ends with the check's name.
fn known_failures(judge: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join(KNOWN_FAILURES))?;
    let mut known = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (entry, reason) = line.split_once('#').unwrap_or((line, ""));
        ensure!(!reason.trim().is_empty(), "{KNOWN_FAILURES}: '{line}' has no reason");
        let (name, check) = entry.split_once(": ").context("judge: check # reason")?;
        if name.trim() == judge {
            known.push(check.trim().to_owned());
        }
    }
    Ok(known)
}

fn compare(judge: &str, verdict: &Verdict) -> Result<()> {
    let known = known_failures(judge)?;
    let is_known = |failure: &String| known.iter().any(|check| failure.ends_with(check.as_str()));
    let unexpected: Vec<_> = verdict.failures.iter().filter(|it| !is_known(it)).collect();
    let stale: Vec<_> = known
        .iter()
        .filter(|check| !verdict.failures.iter().any(|it| it.ends_with(check.as_str())))
        .collect();
    for failure in &unexpected {
        println!("not expected to fail: {failure}");
    }
    for check in &stale {
        println!("listed in {KNOWN_FAILURES}, but does not fail: {check}");
    }
    if !unexpected.is_empty() || !stale.is_empty() {
        bail!("{} unexpected failure(s), {} stale entry(ies)", unexpected.len(), stale.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_failure_are_read() {
        let text = "ok one\nFAIL two words: wanted <1> got <2>\nFAIL Error: no luck: x three [1.2s]\n\
                    FAILED test/a.py::test_four[x] - boom\ntest consumer::five ... FAILED\n3 passed, 4 failed\n";
        let verdict = Verdict::read(text);
        let names: Vec<&str> = verdict.failures.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            ["Error: no luck: x three", "consumer::five", "test_four[x]", "two words"]
        );
        assert_eq!(verdict.passed, 3);
        assert!(verdict.closing_line);
    }
}
