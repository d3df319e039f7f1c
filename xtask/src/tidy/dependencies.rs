//! Every dependency earns its place: docs/dependencies.md says why, and a crate uses it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::stage::root;

const DOCUMENT: &str = "docs/dependencies.md";

pub(super) fn check() -> Result<Vec<String>> {
    let read = |file: &str| fs::read_to_string(root().join(file)).context(file.to_owned());
    let (mut used, mut breaks) = (BTreeSet::new(), Vec::new());
    for manifest in manifests()? {
        let names = in_tables(&read(&manifest)?, is_of_crate);
        let folder = root().join(manifest.trim_end_matches("Cargo.toml"));
        let sources = sources_of(&folder)?;
        let idle = names.iter().filter(|name| !is_named(&sources, name));
        breaks.extend(idle.map(|name| format!("{manifest}: no source of the crate names {name}")));
        used.extend(names.into_iter().filter(|name| !is_ours(name)));
    }
    let declared = in_tables(&read("Cargo.toml")?, |table| table == "workspace.dependencies");
    let declared = declared.into_iter().filter(|name| !is_ours(name)).collect();
    breaks.extend(compare(&declared, &used, &listed(&read(DOCUMENT)?)));
    Ok(breaks)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("strom-")
}

/// Whether a path in the sources begins with the crate.
fn is_named(sources: &str, name: &str) -> bool {
    let start = format!("{}::", name.replace('-', "_"));
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    sources.match_indices(&start).any(|(at, _)| !sources[..at].ends_with(is_of_name))
}

/// All Rust sources in a folder and below it.
fn sources_of(folder: &Path) -> Result<String> {
    let mut sources = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources.push_str(&sources_of(&path)?);
        } else if path.extension().is_some_and(|it| it == "rs") {
            sources.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(sources)
}

fn manifests() -> Result<Vec<String>> {
    let mut manifests = vec!["xtask/Cargo.toml".to_owned()];
    for entry in fs::read_dir(root().join("crates"))? {
        manifests.push(format!("crates/{}/Cargo.toml", entry?.file_name().to_string_lossy()));
    }
    Ok(manifests)
}

fn compare(
    declared: &BTreeSet<String>,
    used: &BTreeSet<String>,
    listed: &BTreeSet<String>,
) -> Vec<String> {
    let mut breaks = Vec::new();
    for name in declared.union(used).filter(|name| !listed.contains(*name)) {
        breaks.push(format!("{DOCUMENT}: {name} is missing, with why it earns its place"));
    }
    for name in declared.difference(used) {
        breaks.push(format!("Cargo.toml: no crate uses {name}"));
    }
    for name in listed.difference(declared).filter(|name| !used.contains(*name)) {
        breaks.push(format!("{DOCUMENT}: {name} is no dependency"));
    }
    breaks
}

fn is_of_crate(table: &str) -> bool {
    table == "dependencies" || table.ends_with("-dependencies") || table.ends_with(".dependencies")
}

/// Names in the tables of a manifest that are wanted.
fn in_tables(manifest: &str, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = is_wanted(table.trim_end().trim_end_matches(']'));
            continue;
        }
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        let is_name = line.contains('=') && !name.is_empty() && !name.starts_with('#');
        if inside && is_name {
            names.insert(name.to_owned());
        }
    }
    names
}

/// The first cells of the document's tables.
fn listed(document: &str) -> BTreeSet<String> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|cell| *cell != "dependency")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_are_read_from_manifests_and_tables() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nstrom-base.workspace = true\n\
                        bytes.workspace = true\n# why\n[dev-dependencies]\ntempfile = \"3\"\n";
        let found = names(&["bytes", "strom-base", "tempfile"]);
        assert_eq!(in_tables(manifest, is_of_crate), found);
        let document = "| dependency | why |\n|---|---|\n| bytes | shared |\n";
        assert_eq!(listed(document), names(&["bytes"]));
    }

    #[test]
    fn a_crate_is_named_by_a_path_that_begins_with_it() {
        let sources = "use crc_fast::x;\nlet bytes = my_bytes::y + strom_base::bytes::z;\n";
        let found = ["crc-fast", "strom-base", "bytes"].map(|name| is_named(sources, name));
        assert_eq!(found, [true, true, false]);
    }

    #[test]
    fn what_is_unlisted_unused_or_gone_is_a_break() {
        let (declared, used) = (names(&["a", "b"]), names(&["a"]));
        assert_eq!(compare(&declared, &used, &names(&["a", "b", "c"])).len(), 2);
        assert_eq!(compare(&used, &used, &names(&[])).len(), 1);
        assert!(compare(&used, &used, &names(&["a"])).is_empty());
    }
}
