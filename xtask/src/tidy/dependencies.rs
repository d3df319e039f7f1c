//! Every dependency earns its place: docs/dependencies.md says why, and a crate uses it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::stage::root;

const DOCUMENT: &str = "docs/dependencies.md";

pub(super) fn check() -> Result<Vec<String>> {
    let read = |file: &str| fs::read_to_string(root().join(file)).context(file.to_owned());
    let mut used = BTreeSet::new();
    for manifest in manifests()? {
        used.extend(in_tables(&read(&manifest)?, is_of_crate));
    }
    let declared = in_tables(&read("Cargo.toml")?, |table| table == "workspace.dependencies");
    Ok(compare(&declared, &used, &listed(&read(DOCUMENT)?)))
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

/// Names in the tables of a manifest that are wanted, without crates of ours.
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
        if inside && is_name && !name.starts_with("strom-") {
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
        assert_eq!(in_tables(manifest, is_of_crate), names(&["bytes", "tempfile"]));
        let document = "| dependency | why |\n|---|---|\n| bytes | shared |\n";
        assert_eq!(listed(document), names(&["bytes"]));
    }

    #[test]
    fn what_is_unlisted_unused_or_gone_is_a_break() {
        let (declared, used) = (names(&["a", "b"]), names(&["a"]));
        assert_eq!(compare(&declared, &used, &names(&["a", "b", "c"])).len(), 2);
        assert_eq!(compare(&used, &used, &names(&[])).len(), 1);
        assert!(compare(&used, &used, &names(&["a"])).is_empty());
    }
}
