//! The ledger's sums, in `docs/reliability.md`.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use super::ledger::Ledger;
use super::work::Kind;
use crate::stage::root;

const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- the ledger's sums: cargo xtask soak writes them -->";
const END: &str = "<!-- end of the ledger's sums -->";

/// The lines of the table.
#[must_use]
pub(crate) fn summary(ledger: &Ledger) -> Vec<String> {
    let sum = |kind| ledger.of(kind).map(|entry| entry.count).sum::<u64>();
    let seconds: u64 = ledger.of(Kind::Worlds).map(|entry| entry.simulated_s).sum();
    let faults: u64 = ledger.of(Kind::Worlds).map(|entry| entry.faults).sum();
    let found: BTreeSet<&str> =
        ledger.of(Kind::Plants).filter(|it| it.findings == 0).map(|it| it.of.as_str()).collect();
    let findings: u64 = ledger.entries.iter().map(|entry| entry.findings).sum();
    let targets: BTreeSet<&str> = ledger.of(Kind::Fuzz).map(|entry| entry.of.as_str()).collect();
    let row = |what: &str, count: String| format!("| {what} | {count} |");
    vec![
        row("simulated worlds (a seed each)", sum(Kind::Worlds).to_string()),
        row("simulated node-hours", (seconds / 3600).to_string()),
        row("faults in them", faults.to_string()),
        row("kills of the real binary", sum(Kind::Kills).to_string()),
        row(&format!("executions of {} fuzz targets", targets.len()), sum(Kind::Fuzz).to_string()),
        row("planted defects that a soak has found again", found.len().to_string()),
        row("runs that ended with a finding, mended since", findings.to_string()),
    ]
}

/// # Errors
/// When the page lacks its place, or cannot be written.
pub(crate) fn write(ledger: &Ledger) -> Result<()> {
    let path = root().join(PAGE);
    let text = fs::read_to_string(&path).context(PAGE)?;
    let text = replaced(&text, &summary(ledger)).context("the page has no place for the ledger")?;
    Ok(fs::write(path, text)?)
}

fn replaced(text: &str, lines: &[String]) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n| | |\n|---|---|\n{}\n\n{END}{after}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replaced(&text, &["| x | 1 |".to_owned()]).unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n\n| | |\n|---|---|\n| x | 1 |\n\n{END}\nb\n"));
        assert_eq!(replaced("no marks", &[]), None);
    }
}
