//! One folder, two brokers in turn.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::broker::{Broker, Writer, data};
use super::{client, dump};

/// Lines of a difference that are shown.
const SHOWN: usize = 12;

/// How many records there were in the end.
///
/// # Errors
/// When the same is not read everywhere.
pub(super) fn run(writer: Writer, reader: Writer, folder: &Path) -> Result<usize> {
    let broker = Broker::start(writer, folder)?;
    let written = client::write(&broker)?;
    broker.stop()?;
    let batches = dump::check(&data(folder)).context("as it was written")?;
    ensure!(batches > 50, "kafka-dump-log has seen {batches} batches");
    let broker = Broker::start(reader, folder)?;
    let read = client::read(&broker)?;
    same(&written, &read).context("read by the other")?;
    client::check_console(&broker, &read)?;
    let more = client::write_more(&broker)?;
    ensure!(more.len() > written.len() + 200, "there is no more than before");
    broker.stop()?;
    dump::check(&data(folder)).context("as the other left it")?;
    let broker = Broker::start(writer, folder)?;
    let back = client::read(&broker)?;
    same(&more, &back).context("brought back")?;
    client::check_console(&broker, &back)?;
    broker.stop()?;
    dump::check(&data(folder)).context("brought back")?;
    Ok(back.iter().filter(|line| line.starts_with("record\t")).count())
}

fn same(expected: &[String], found: &[String]) -> Result<()> {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) =
        (expected.iter().collect(), found.iter().collect());
    let missing = one.difference(&other).map(|line| format!("- {line}"));
    let added = other.difference(&one).map(|line| format!("+ {line}"));
    let lines: Vec<String> = missing.chain(added).collect();
    let count = lines.len();
    let shown = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    ensure!(lines.is_empty() && expected.len() == found.len(), "{count} lines differ:\n{shown}");
    Ok(())
}
