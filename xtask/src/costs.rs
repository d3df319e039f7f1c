//! `cargo xtask costs`: how many instructions the node takes for a request, by callgrind, beside the
//! figures that are kept. The clock of the machine and whatever else runs on it do not matter.
//!
//! Each script runs on a node of its own; what a node without the script takes (its start, its stop,
//! the same warm-up) is taken off. A change that costs more has to raise the figure in its own commit,
//! and say why.

mod kept;
mod script;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::load::system::{Kind, Row, Start, System, build, built};
use crate::stage::target;
use kept::Kept;
use script::{SCRIPTS, Script};

/// Runs differ by less than one in a hundred.
const TOLERANCE: f64 = 0.03;
/// Not what is shipped, which takes minutes to build: one function more or less shows in both.
const PROFILE: &str = "release";
/// Where another compiler made the code than that of the kept figures.
const TOLERANCE_ACROSS_COMPILERS: f64 = 0.1;

/// # Errors
/// When a figure is further from the kept one than the tolerance, in either direction: one that is
/// too high hides the next change.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let is_update = match arguments {
        [] => false,
        [one] if one == "--update" => true,
        _ => anyhow::bail!("cargo xtask costs [--update]"),
    };
    build(&[row()], PROFILE)?;
    let mut kept = Kept::read()?;
    let tolerance =
        if kept.is_of_this_compiler()? { TOLERANCE } else { TOLERANCE_ACROSS_COMPILERS };
    let mut wrong = Vec::new();
    for script in &SCRIPTS {
        let figure = instructions_per_request(script)
            .with_context(|| format!("the script {}", script.name))?;
        let before = kept.figure(script.name);
        let change = before.map(|before| figure / before - 1.0);
        println!(
            "{:16} {figure:9.0} instructions a request, kept {}, {}",
            script.name,
            before.map_or_else(|| "none".into(), |before| format!("{before:.0}")),
            change.map_or_else(String::new, |change| format!("{:+.1} %", change * 100.0)),
        );
        if change.is_none_or(|change| change.abs() > tolerance) {
            wrong.push(script.name);
        }
        kept.set(script.name, figure);
    }
    if is_update {
        return kept.write();
    }
    ensure!(
        wrong.is_empty(),
        "{} changed by more than {:.0} %: find out why, then `cargo xtask costs --update`",
        wrong.join(", "),
        tolerance * 100.0
    );
    Ok(())
}

fn instructions_per_request(script: &Script) -> Result<f64> {
    let without = instructions(script, script.warm_up)?;
    let with = instructions(script, script.warm_up + script.requests)?;
    Ok((with as f64 - without as f64) / script.requests as f64)
}

/// Of a whole life of a node that served so many requests.
fn instructions(script: &Script, requests: usize) -> Result<u64> {
    let file = target().join("bench").join(format!("callgrind-{}", script.name));
    let wrapper = vec![
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", file.display()),
    ];
    let mut system = System::start(&row(), &Start { wrapper, ..Start::default() })?;
    (script.run)(&system, requests)?;
    system.stop()?;
    collected(&file)
}

fn row() -> Row {
    Row { binary: Some(built(PROFILE)), ..Row::plain(Kind::Strom) }
}

/// The sum in a file that callgrind wrote.
fn collected(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")))
        .context("a file of callgrind without its sum")?;
    fs::remove_file(file)?;
    line.trim().parse().context("callgrind's sum")
}
