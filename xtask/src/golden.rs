//! Data folders that are kept, and folders that go from one broker to the other.
//!
//! Both begin alike: a broker in an empty folder is filled with something of everything by Apache Kafka's
//! own client (`golden/GoldenClient.java`), which then tells all that it reads there.

mod broker;
mod client;
mod dump;
mod exchange;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{command, target};
use broker::{Broker, Writer};

const USAGE: &str = "cargo xtask golden --writer kafka|strom --to DIR";

/// A folder needs no more: it is read in every test run, and kept for ever.
const BYTES_MAX: u64 = 300 * 1024;

/// Writes a golden folder: `DIR/data` and `DIR/expected.tsv`.
///
/// # Errors
/// When a broker does not do what is asked, or there is such a folder already.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut writer, mut to) = (None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().context(USAGE)?;
        match argument.as_str() {
            "--writer" => writer = Some(Writer::from_name(value).context(USAGE)?),
            "--to" => to = Some(PathBuf::from(value)),
            other => bail!("{other} is not known: {USAGE}"),
        }
    }
    let (writer, to) = (writer.context(USAGE)?, to.context(USAGE)?);
    ensure!(!to.exists(), "{} is there already, and golden folders are kept", to.display());
    build()?;
    let folder = fresh(writer.name())?;
    let broker = Broker::start(writer, &folder)?;
    let told = client::write(&broker)?;
    broker.stop()?;
    fs::create_dir_all(&to)?;
    let bytes = copy(&broker::data(&folder), &to.join("data"))?;
    fs::write(to.join("expected.tsv"), told.join("\n") + "\n")?;
    fs::remove_dir_all(&folder)?;
    println!("{}: {} lines are told of {bytes} bytes", to.display(), told.len());
    ensure!(bytes <= BYTES_MAX, "a golden folder has {BYTES_MAX} bytes at most");
    Ok(())
}

/// A folder that one broker wrote is read whole by the other, fills further there, and comes back.
///
/// # Errors
/// When anything is read differently, or a file is not as it should be.
pub(crate) fn exchange() -> Result<()> {
    build()?;
    for (writer, reader) in [(Writer::Strom, Writer::Kafka), (Writer::Kafka, Writer::Strom)] {
        let names = format!("a folder of {} with {}", writer.name(), reader.name());
        let folder = fresh(&format!("{}-{}", writer.name(), reader.name()))?;
        let records = exchange::run(writer, reader, &folder).context(names.clone())?;
        println!("{names}: {records} records, read whole, filled further and brought back");
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn build() -> Result<()> {
    command("cargo", &["build", "--quiet", "--release", "--package", "strom-cli"])
}

/// An empty folder that no other run uses.
fn fresh(name: &str) -> Result<PathBuf> {
    let folder = target().join("golden").join(format!("{name}-{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Copies all but locks; how many bytes that were.
fn copy(from: &Path, to: &Path) -> Result<u64> {
    fs::create_dir_all(to)?;
    let mut bytes = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            bytes += copy(&entry.path(), &target)?;
        } else if entry.file_name() != ".lock" {
            bytes += fs::copy(entry.path(), target)?;
        }
    }
    Ok(bytes)
}
