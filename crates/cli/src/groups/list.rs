//! --list: the groups, with state and type when asked.

use super::Arguments;
use crate::failure::{Failure, Outcome};
use std::io::Write;
use strom_client::Cluster;
use strom_client::driver::admin::groups::ListedGroup;

const STATES: &[&str] = &[
    "CompletingRebalance",
    "PreparingRebalance",
    "Reconciling",
    "Dead",
    "Stable",
    "Empty",
    "Assigning",
];
const TYPES: &[&str] = &["Classic", "Consumer"];

/// Groups of consumers, and groups that only hold offsets.
pub(super) fn is_consumer_group(group: &ListedGroup) -> bool {
    let foreign = matches!(group.group_type.as_str(), "share" | "streams");
    !foreign && matches!(group.protocol_type.as_str(), "consumer" | "")
}

pub(super) async fn perform(cluster: &mut Cluster, arguments: &Arguments) -> Outcome {
    let states = wanted(arguments.state.as_deref(), STATES, "state")?;
    let types = wanted(arguments.group_type.as_deref(), TYPES, "types")?;
    let mut groups = cluster.list_groups().await?;
    groups.retain(is_consumer_group);
    groups.retain(|group| among(&states, &group.state) && among(&types, &group.group_type));
    let mut output = std::io::stdout().lock();
    let with_type = arguments.group_type.is_some();
    let with_state = arguments.state.is_some();
    if !with_type && !with_state {
        for group in &groups {
            writeln!(output, "{}", group.group_id)?;
        }
        return Ok(());
    }
    let longest = groups.iter().map(|group| group.group_id.len()).max().unwrap_or(0);
    let width = longest.max(15) + 10;
    let mut row = |group: &str, group_type: &str, state: &str| {
        write!(output, "{group:width$}")?;
        if with_type {
            write!(output, " {group_type:20}")?;
        }
        if with_state {
            write!(output, " {state:20}")?;
        }
        writeln!(output)
    };
    row("GROUP", "TYPE", "STATE")?;
    for group in &groups {
        row(&group.group_id, &capitalized(&group.group_type), &group.state)?;
    }
    Ok(())
}

/// The values that a filter names; none for all.
fn wanted(filter: Option<&str>, known: &[&str], what: &str) -> Outcome<Vec<String>> {
    let Some(filter) = filter else { return Ok(Vec::new()) };
    let names = filter.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let plain = name.replace('_', "");
            match known.iter().find(|known| known.eq_ignore_ascii_case(&plain)) {
                Some(known) => Ok((*known).to_owned()),
                None => Err(Failure::said(format!(
                    "Invalid {what} list '{filter}'. Valid {} are: {}",
                    if what == "types" { what } else { "states" },
                    known.join(", ")
                ))),
            }
        })
        .collect()
}

fn among(wanted: &[String], value: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_whatever_their_case() {
        assert_eq!(wanted(Some("stable,EMPTY"), STATES, "state").unwrap(), ["Stable", "Empty"]);
        assert!(wanted(Some(""), STATES, "state").unwrap().is_empty());
        assert!(wanted(Some("Foo"), STATES, "state").is_err());
    }
}
