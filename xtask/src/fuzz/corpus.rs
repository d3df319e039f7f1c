//! Inputs: those that are kept in `fuzz/corpus`, those that once failed (`fuzz/mended`), those that runs
//! have found, those that fail.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::instrumented::Instrumented;
use crate::stage::{root, target};

/// Kept inputs are small: of one target, and each.
const KEPT_FILES_MAX: usize = 100;
const KEPT_BYTES_MAX: u64 = 200 << 10;

/// The names of all targets, in order.
pub(super) fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "rs") {
            names.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The inputs of a target that are kept.
pub(super) fn kept(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

/// The inputs of a target that failed until something was mended: they stay, whatever else reaches the same.
pub(super) fn mended(name: &str) -> PathBuf {
    root().join("fuzz/mended").join(name)
}

/// Where inputs go that reach something new.
pub(super) fn found(name: &str) -> PathBuf {
    target().join("fuzz-corpus").join(name)
}

/// Where inputs go that fail, and what the target said.
pub(super) fn findings() -> PathBuf {
    target().join("fuzz-findings")
}

/// Puts into the kept inputs what the runs have found beyond them, as far as there is room: the smallest
/// first, as the merge gives them.
///
/// # Errors
/// When inputs cannot be read or written.
pub(super) fn keep(name: &str) -> Result<()> {
    let merged = target().join("fuzz-merged").join(name);
    if merged.exists() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    fs::create_dir_all(kept(name))?;
    let status = Command::new(Instrumented::build()?.program(name))
        .args(["-merge=1", "-rss_limit_mb=2048"])
        .args([&merged, &kept(name), &found(name)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("merging the inputs of {name}"))?;
    ensure!(status.success(), "merging the inputs of {name} ended with {status}");
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&merged)? {
        let entry = entry?;
        let is_new = !kept(name).join(entry.file_name()).exists();
        inputs.push((is_new, entry.metadata()?.len(), entry.path()));
    }
    // What was kept stays, as long as it reaches anything that the others do not.
    inputs.sort();
    fs::remove_dir_all(kept(name))?;
    fs::create_dir_all(kept(name))?;
    let mut bytes = 0;
    for (_, length, path) in inputs.into_iter().take(KEPT_FILES_MAX) {
        bytes += length;
        if bytes > KEPT_BYTES_MAX {
            break;
        }
        if let Some(file) = path.file_name() {
            fs::copy(&path, kept(name).join(file))?;
        }
    }
    Ok(())
}
