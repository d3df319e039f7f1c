//! The list of known failures, which a judge's failures are measured by.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::stage::root;

const FILE: &str = "known-failures.txt";
/// In front of a check that a suite is told to leave out.
const SKIP: &str = "skip ";

/// What is known of one judge.
#[derive(Debug, Default)]
pub(super) struct KnownFailures {
    /// Ends of the failures' names.
    failing: Vec<String>,
    skipped: Vec<String>,
}

impl KnownFailures {
    /// # Errors
    /// When the file cannot be read or a line of it has another form.
    pub(super) fn of(judge: &str) -> Result<Self> {
        Self::read(&fs::read_to_string(root().join(FILE)).context(FILE)?, judge)
    }

    /// Lines `judge: check  # reason` and `judge: skip check  # reason`.
    fn read(text: &str, judge: &str) -> Result<Self> {
        let mut known = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (entry, reason) = line.split_once('#').unwrap_or((line, ""));
            ensure!(!reason.trim().is_empty(), "{FILE}: '{line}' has no reason");
            let (name, check) = entry.split_once(": ").context("judge: check # reason")?;
            let check = check.trim();
            if name.trim() != judge {
                continue;
            }
            match check.strip_prefix(SKIP) {
                Some(check) => known.skipped.push(check.to_owned()),
                None => known.failing.push(check.to_owned()),
            }
        }
        Ok(known)
    }

    /// The checks to leave out, as one text.
    #[must_use]
    pub(super) fn skipped(&self, separator: &str) -> String {
        self.skipped.join(separator)
    }

    /// # Errors
    /// When something fails that is not listed or the other way round.
    pub(super) fn compare(&self, failures: &BTreeSet<String>) -> Result<()> {
        let is_known =
            |failure: &&String| self.failing.iter().any(|check| failure.ends_with(check.as_str()));
        let is_stale = |check: &&String| !failures.iter().any(|it| it.ends_with(check.as_str()));
        let unexpected: Vec<_> = failures.iter().filter(|it| !is_known(it)).collect();
        let stale: Vec<_> = self.failing.iter().filter(is_stale).collect();
        ensure!(
            unexpected.is_empty() && stale.is_empty(),
            "not expected to fail: {unexpected:#?}; listed in {FILE}, but not failing: {stale:#?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\n\none: a check  # why\none: skip b  # why\n\
                        one: skip d  # why\ntwo: c  # why\n";

    #[test]
    fn what_fails_must_be_listed_and_what_is_listed_must_fail() {
        let known = KnownFailures::read(TEXT, "one").expect("reads");
        assert_eq!(known.skipped(" or "), "b or d");
        let compare = |failures: &[&str]| {
            known.compare(&failures.iter().map(|it| (*it).to_owned()).collect()).is_ok()
        };
        assert!(compare(&["Error: no luck: a check"]));
        assert!(!compare(&[]));
        assert!(!compare(&["a check", "another one"]));
    }

    #[test]
    fn an_entry_needs_a_reason() {
        assert!(KnownFailures::read("one: a check\n", "one").is_err());
    }
}
