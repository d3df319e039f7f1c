//! All mutants there are, as `cargo mutants` lists them, and which of them are drawn from.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::mutant::{Identity, Mutant};

const VERSION: &str = "27.1.0";

/// What decides: the crates without IO, from the bottom up, and the client's core. The simulator is not
/// among them: it is what tests.
pub(super) const CRATES: [&str; 10] = [
    "base",
    "protocol",
    "storage",
    "raft",
    "replica",
    "metadata",
    "coordinator",
    "broker",
    "intake",
    "client",
];

/// What stands in those crates and is not what a node or a client runs: the switch of planted defects,
/// random messages for tests, and the generator's parser, which the latter read as a module of theirs.
const LEFT_OUT: [&str; 3] =
    ["crates/base/src/planted", "crates/protocol/src/sample", "crates/protocol/src/../build/"];
/// Of the client only this part is pure.
const CLIENT: (&str, &str) = ("crates/client/", "crates/client/src/core");

/// Installs the tool that lists mutants, where it is missing.
///
/// # Errors
/// When it cannot be installed.
pub(super) fn install() -> Result<()> {
    let known = Command::new("cargo").args(["mutants", "--version"]).output();
    if known.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    crate::stage::command("cargo", &["install", "cargo-mutants", "--locked", "--version", VERSION])
}

/// Those of a tree's pure crates, in the order of files and lines.
///
/// # Errors
/// When the tool fails, or says what is not understood.
pub(super) fn list(tree: &Path) -> Result<Vec<Mutant>> {
    let packages = CRATES.iter().flat_map(|name| ["--package".to_owned(), format!("strom-{name}")]);
    let output = Command::new("cargo")
        .args(["mutants", "--list", "--json"])
        .args(packages)
        .current_dir(tree)
        .output()
        .context("running cargo mutants")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&String::from_utf8(output.stdout)?)
}

fn parse(text: &str) -> Result<Vec<Mutant>> {
    let listed: Vec<Value> = serde_json::from_str(text).context("the list of mutants")?;
    let mut mutants: Vec<(String, Mutant)> = Vec::new();
    for entry in &listed {
        let parsed = one(entry).with_context(|| format!("the mutant {entry}"))?;
        if is_drawn_from(&parsed.1.identity.file) {
            mutants.push(parsed);
        }
    }
    mutants.sort_by(|left, right| {
        let by = |(name, it): &(String, Mutant)| (it.identity.file.clone(), it.begin, name.clone());
        by(left).cmp(&by(right))
    });
    // The same change at several places of a function: they are told apart by their number.
    let mut times = BTreeMap::new();
    for (_, mutant) in &mut mutants {
        let seen = times.entry(mutant.identity.clone()).or_insert(0);
        *seen += 1;
        mutant.identity.number = *seen;
    }
    Ok(mutants.into_iter().map(|(_, mutant)| mutant).collect())
}

fn is_drawn_from(file: &str) -> bool {
    let (client, core) = CLIENT;
    !LEFT_OUT.iter().any(|prefix| file.starts_with(prefix))
        && (!file.starts_with(client) || file.starts_with(core))
}

/// A mutant, with its whole name.
fn one(entry: &Value) -> Result<(String, Mutant)> {
    let text = |value: &Value, key: &str| {
        value[key].as_str().map(str::to_owned).with_context(|| format!("{key} is missing"))
    };
    let place = |end: &str| -> Result<(usize, usize)> {
        let number = |key: &str| {
            let number = entry["span"][end][key].as_u64();
            number.map(|number| number as usize).with_context(|| format!("no {key} of its {end}"))
        };
        Ok((number("line")?, number("column")?))
    };
    let name = text(entry, "name")?;
    let (_, mutation) = name.split_once(": ").context("its name says no change")?;
    let package = text(entry, "package")?;
    let identity = Identity {
        of: package.strip_prefix("strom-").context("not a crate of ours")?.to_owned(),
        file: text(entry, "file")?,
        // A constant has none.
        function: entry["function"]["function_name"].as_str().unwrap_or("-").to_owned(),
        mutation: mutation.to_owned(),
        number: 0,
    };
    let replacement = text(entry, "replacement")?;
    let mutant = Mutant { identity, replacement, begin: place("start")?, end: place("end")? };
    Ok((name, mutant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, column: usize) -> String {
        format!(
            r#"{{"file": "{file}", "package": "strom-base", "replacement": "-",
                "name": "{file}:3:{column}: replace + with - in next",
                "function": {{"function_name": "next"}}, "genre": "BinaryOperator",
                "span": {{"start": {{"line": 3, "column": {column}}},
                          "end": {{"line": 3, "column": {}}}}}}}"#,
            column + 1
        )
    }

    #[test]
    fn equal_changes_of_one_function_are_told_apart_by_their_order() {
        let file = "crates/base/src/id.rs";
        let mutants = parse(&format!("[{}, {}]", entry(file, 20), entry(file, 9))).unwrap();
        let told: Vec<_> = mutants.iter().map(|it| (it.begin, it.identity.number)).collect();
        assert_eq!(told, [((3, 9), 1), ((3, 20), 2)]);
        let Identity { of, function, mutation, .. } = &mutants[0].identity;
        assert_eq!((of.as_str(), function.as_str()), ("base", "next"));
        assert_eq!(mutation, "replace + with - in next");
    }

    #[test]
    fn only_what_nodes_and_clients_run_is_drawn_from() {
        let files = [
            "crates/base/src/planted.rs",
            "crates/client/src/driver/link.rs",
            "crates/protocol/src/../build/schema.rs",
            "crates/client/src/core/cluster.rs",
        ];
        let entries = files.map(|file| entry(file, 1)).join(",");
        let mutants = parse(&format!("[{entries}]")).unwrap();
        let left: Vec<&str> = mutants.iter().map(|it| it.identity.file.as_str()).collect();
        assert_eq!(left, ["crates/client/src/core/cluster.rs"]);
    }

    #[test]
    fn a_list_that_is_not_understood_is_an_error() {
        assert!(parse("{}").is_err());
        assert!(parse(r#"[{"name": "x"}]"#).is_err());
    }
}
