//! Rules about source files and documents: sizes, names, purity, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stage::root;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// rustfmt keeps code at 100; comments and long texts get a little more.
const LINE_COLUMNS_MAX: usize = 120;
const LIB_LINES_MAX: usize = 80;
const EXCEPTIONS: &str = "xtask/tidy-exceptions.txt";

const FORBIDDEN_NAMES: [&str; 9] =
    ["utils", "util", "common", "manager", "helper", "helpers", "misc", "impl", "mod"];
const PURE_CRATES: [&str; 10] = [
    "base",
    "protocol",
    "storage",
    "raft",
    "metadata",
    "replica",
    "coordinator",
    "broker",
    "intake",
    "sim",
];
/// The part of the client that decides; its other half is a shell.
const PURE_CLIENT: &str = "crates/client/src/core";
/// What a pure crate's sources may not say outside of tests.
const IMPURE: [&str; 10] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "async fn",
    "thread_local!",
];
const LOOSE_ENDS: [&str; 4] = ["TODO", "FIXME", "XXX", "#[ignore"];

/// Lines `rule path  # reason`.
pub(super) fn exceptions() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(root().join(EXCEPTIONS)).context(EXCEPTIONS)?;
    let mut entries = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (entry, reason) = line.split_once('#').unwrap_or((line, ""));
        ensure!(!reason.trim().is_empty(), "{EXCEPTIONS}: '{line}' has no reason");
        entries.insert(entry.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(entries)
}

pub(super) fn check(exceptions: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut breaks = Vec::new();
    for file in tracked_files()? {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        let mut found = Vec::new();
        if file.ends_with(".rs") {
            check_source(&file, &text, &mut found);
        } else if file.ends_with(".md") {
            check_links(&file, &text, &mut found);
        }
        breaks.extend(
            found
                .into_iter()
                .filter(|(rule, _)| !exceptions.contains(&format!("{rule} {file}")))
                .map(|(rule, what)| format!("{file}: {what} ({rule})")),
        );
    }
    Ok(breaks)
}

fn tracked_files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "git ls-files ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

type Breaks = Vec<(&'static str, String)>;

fn check_source(file: &str, text: &str, breaks: &mut Breaks) {
    let lines: Vec<&str> = text.lines().collect();
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    if lines.len() > FILE_LINES_MAX {
        breaks
            .push(("file-length", format!("{} lines, {FILE_LINES_MAX} are allowed", lines.len())));
    }
    if FORBIDDEN_NAMES.contains(&stem.as_ref()) {
        breaks.push(("name", format!("'{stem}' explains nothing")));
    }
    for (index, line) in lines.iter().enumerate() {
        if line.chars().count() > LINE_COLUMNS_MAX {
            breaks.push(("line-length", format!("line {} is too long", index + 1)));
        }
        if !file.starts_with("xtask/") && LOOSE_ENDS.iter().any(|it| line.contains(it)) {
            breaks.push(("loose-end", format!("line {}: {}", index + 1, line.trim())));
        }
    }
    if !file.contains("/tests/") {
        long_functions(&lines, breaks);
    }
    if stem == "lib" {
        check_lib(file, text, lines.len(), breaks);
    }
    let name = file.strip_prefix("crates/").and_then(|rest| rest.split('/').next());
    let is_pure = name.is_some_and(|name| PURE_CRATES.contains(&name)) && file.contains("/src/");
    if is_pure || file.starts_with(PURE_CLIENT) {
        check_purity(text, breaks);
    }
}

/// A function runs from its `fn` line to the closing brace at the same indentation.
fn long_functions(lines: &[&str], breaks: &mut Breaks) {
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn "]
                .iter()
                .any(|prefix| trimmed.starts_with(prefix));
        if !is_function || trimmed.ends_with(';') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let end = lines
            .iter()
            .enumerate()
            .skip(start)
            .find(|(_, it)| it.trim_end() == format!("{}}}", " ".repeat(indent)));
        if let Some((end, _)) = end
            && end - start + 1 > FUNCTION_LINES_MAX
        {
            let what = format!("the function at line {} has {} lines", start + 1, end - start + 1);
            breaks.push(("function-length", what));
        }
    }
}

fn check_lib(file: &str, text: &str, lines: usize, breaks: &mut Breaks) {
    if lines > LIB_LINES_MAX {
        breaks.push(("lib-length", format!("{lines} lines, {LIB_LINES_MAX} are allowed")));
    }
    for heading in ["Owns:", "Never does:", "Start at", "Invariants:"] {
        if !text.contains(heading) {
            breaks.push(("lib-heading", format!("'{heading}' is missing from its head")));
        }
    }
    let name = file.split('/').nth(1).unwrap_or_default();
    if PURE_CRATES.contains(&name) && !text.contains("#![forbid(unsafe_code)]") {
        breaks.push(("unsafe", "a pure crate forbids unsafe code".into()));
    }
}

fn check_purity(text: &str, breaks: &mut Breaks) {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    for (index, line) in lines {
        if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
            breaks.push(("purity", format!("line {} says {word}", index + 1)));
        }
    }
}

/// Relative links of a document must lead somewhere.
fn check_links(file: &str, text: &str, breaks: &mut Breaks) {
    let folder = root().join(Path::new(file).parent().unwrap_or(Path::new("")));
    for (_, rest) in text.match_indices("](").map(|(at, it)| (at, &text[at + it.len()..])) {
        let Some(target) = rest.split(')').next() else { continue };
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() || path.contains("://") || path.contains(char::is_whitespace) {
            continue;
        }
        if !folder.join(path).exists() {
            breaks.push(("link", format!("{target} leads nowhere")));
        }
    }
}
