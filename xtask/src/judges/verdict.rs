//! What a judge's output says.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) failures: BTreeSet<String>,
    /// How many passed and failed by its last line; missing when it did not come to its end.
    pub(super) closing: Option<(usize, usize)>,
}

impl Verdict {
    /// Reads the three forms: `ok NAME` and `FAIL …NAME`, pytest's, and cargo test's.
    pub(super) fn read(text: &str) -> Self {
        let mut verdict = Self::default();
        for line in text.lines() {
            if let Some(counts) = closing(line) {
                verdict.closing = Some(counts);
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
        assert_eq!(verdict.closing, Some((3, 4)));
    }
}
