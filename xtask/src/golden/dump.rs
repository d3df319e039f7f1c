//! What kafka-dump-log says of the files of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::load::system::peer_command;

/// Reads every batch of every log, and compares every index with its log.
///
/// # Errors
/// When a checksum is wrong, bytes are left over, or an index does not fit.
pub(super) fn check(data: &Path) -> Result<usize> {
    let logs = files(data, "log")?;
    let said = dump(&logs, &["--deep-iteration"])?;
    let bad = said.lines().find(|line| line.contains("isvalid: false") || line.contains("invalid"));
    ensure!(bad.is_none(), "{}", bad.unwrap_or_default());
    let dumped = said.lines().filter(|line| line.starts_with("Dumping ")).count();
    ensure!(dumped == logs.len(), "{dumped} of {} logs are dumped", logs.len());
    let batches = said.lines().filter(|line| line.contains("isvalid: true")).count();
    let indexes = [files(data, "index")?, files(data, "timeindex")?].concat();
    // Each is compared with the log beside it.
    let said = dump(&indexes, &[])?;
    let bad = ["Mismatches in", "Found timestamp mismatch", "out of order timestamp", "Exception"];
    let bad = said.lines().find(|line| bad.iter().any(|it| line.contains(it)));
    ensure!(bad.is_none(), "{}", bad.unwrap_or_default());
    Ok(batches)
}

fn dump(files: &[PathBuf], options: &[&str]) -> Result<String> {
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let mut command = peer_command();
    command.args(["run", "kafka-dump-log.sh", "--files", &names.join(",")]).args(options);
    let output = command.output().context("kafka-dump-log")?;
    // What does not fit is told there.
    let (said, doubts) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "kafka-dump-log ended with {}: {doubts}", output.status);
    Ok(format!("{}\n{doubts}", String::from_utf8_lossy(said)))
}

/// Of all partitions, those with bytes in them.
fn files(data: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(data)? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let file = file?;
            let is_wanted = file.path().extension().is_some_and(|it| it == extension);
            if is_wanted && file.metadata()?.len() > 0 {
                found.push(file.path());
            }
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "there is no .{extension} in {}", data.display());
    Ok(found)
}
