//! `cargo xtask tidy`: the rules of structure that a machine can check.

mod arrows;
mod dependencies;
mod sources;

use anyhow::{Result, ensure};

/// # Errors
/// When a rule is broken; each break is printed.
pub(crate) fn run() -> Result<()> {
    let exceptions = sources::exceptions()?;
    let mut breaks = arrows::check()?;
    breaks.extend(dependencies::check()?);
    breaks.extend(sources::check(&exceptions)?);
    for line in &breaks {
        println!("{line}");
    }
    ensure!(breaks.is_empty(), "{} rule(s) broken", breaks.len());
    Ok(())
}
