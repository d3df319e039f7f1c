//! `cargo xtask soak`: worlds, kills, inputs and planted defects for as long as there is time, added up
//! in a ledger that is committed (`docs/reliability/ledger.tsv`) and in the page that tells of it.
//!
//! Each kind goes on where the ledger says that it has ended: nothing is run twice, and a soak that is
//! broken off has lost a round at most.

mod ledger;
mod page;
mod work;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use ledger::Ledger;
use work::Kind;

const USAGE: &str =
    "cargo xtask soak [--minutes N] [--only KIND,…]   kinds: worlds, kills, fuzz, plants";

/// # Errors
/// When something was found, with the command that repeats it, or cannot be run.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut minutes, mut kinds) = (10, Kind::ALL.to_vec());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().context(USAGE)?;
        match argument.as_str() {
            "--minutes" => minutes = value.parse::<u64>().context(USAGE)?,
            "--only" => {
                kinds =
                    value.split(',').map(Kind::from_name).collect::<Result<_>>().context(USAGE)?;
            }
            other => bail!("{other} is not known: {USAGE}"),
        }
    }
    let (end, mut ledger) = (Instant::now() + Duration::from_secs(60 * minutes), Ledger::read()?);
    ensure!(!kinds.is_empty(), USAGE);
    let mut findings = 0;
    // At least one of each.
    for round in 0_u64.. {
        for kind in &kinds {
            if round > 0 && Instant::now() >= end {
                return finish(&ledger, findings);
            }
            for entry in work::run(*kind, &ledger)? {
                println!("{entry}");
                findings += entry.findings;
                ledger.append(entry)?;
            }
            page::write(&ledger)?;
            if findings > 0 {
                return finish(&ledger, findings);
            }
        }
    }
    Ok(())
}

/// A soak ends with the first finding: it is told above, and is to be mended first.
fn finish(ledger: &Ledger, findings: u64) -> Result<()> {
    println!("{}", page::summary(ledger).join("\n"));
    ensure!(findings == 0, "{findings} finding(s)");
    Ok(())
}
