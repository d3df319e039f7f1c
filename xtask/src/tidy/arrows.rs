//! Who may import whom, read from the manifests.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use crate::stage::root;

/// Each crate with the crates of ours that it may name. A crate that is not here is a break.
const ALLOWED: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("protocol", &["base"]),
    ("storage", &["base", "protocol"]),
    ("raft", &["base", "protocol"]),
    ("metadata", &["base", "protocol"]),
    ("coordinator", &["base", "protocol"]),
    ("replica", &["base", "protocol", "storage"]),
    ("broker", &["base", "protocol", "storage", "raft", "metadata", "replica", "coordinator"]),
    ("intake", &["base", "broker"]),
    ("tls", &[]),
    ("host", &["base", "protocol", "storage", "broker", "intake", "tls"]),
    ("client", &["base", "protocol", "tls"]),
    ("cli", &["base", "protocol", "storage", "raft", "metadata", "broker", "host", "client"]),
    ("sim", &["base", "protocol", "storage", "metadata", "broker", "intake", "client"]),
    ("sim-cli", &["base", "sim"]),
];

/// Crates that may depend on a runtime, sockets and the like, by the packages that bring them.
const SHELLS: [&str; 4] = ["host", "client", "cli", "sim-cli"];
const SHELL_PACKAGES: [&str; 6] =
    ["tokio", "tokio-util", "rustix", "mimalloc", "tracing", "socket2"];

pub(super) fn check() -> Result<Vec<String>> {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut breaks = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(root().join("crates"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    folders.sort();
    for name in folders {
        let manifest = format!("crates/{name}/Cargo.toml");
        let text = fs::read_to_string(root().join(&manifest)).context(manifest.clone())?;
        let Some(may) = allowed.get(name.as_str()) else {
            breaks.push(format!("{manifest}: the crate has no line in xtask's list of arrows"));
            continue;
        };
        for dependency in dependencies(&text) {
            if let Some(ours) = dependency.strip_prefix("strom-")
                && !may.contains(&ours)
            {
                breaks.push(format!("{manifest}: {name} may not import {ours}"));
            }
            if SHELL_PACKAGES.contains(&dependency) && !SHELLS.contains(&name.as_str()) {
                breaks.push(format!("{manifest}: {name} is pure and may not use {dependency}"));
            }
        }
    }
    Ok(breaks)
}

/// Names in `[dependencies]`; tests may use what they like.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
            return None;
        }
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        (inside && !name.is_empty() && !name.starts_with('#')).then_some(name)
    })
}
