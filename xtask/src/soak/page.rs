//! The ledger's sums, in `docs/reliability.md`.

use std::collections::BTreeSet;

use anyhow::Result;

use super::ledger::Ledger;
use super::work::Kind;
use crate::marks::Marks;

const MARKS: Marks = Marks {
    begin: "<!-- the ledger's sums: cargo xtask soak writes them -->",
    end: "<!-- end of the ledger's sums -->",
};

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
    MARKS.write("| | |\n|---|---|", &summary(ledger))
}
