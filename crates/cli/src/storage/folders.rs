//! The log directories as they are: `strom storage info`.

use std::io::Write;

use strom_broker::boot::identity;
use strom_storage::format::meta_properties::MetaProperties;

use super::node::Node;
use crate::failure::{Failure, Outcome};

pub(super) fn info(output: &mut impl Write, node: &Node) -> Outcome {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut first: Option<MetaProperties> = None;
    let disk = node.disk();
    for (directory, folder) in node.directories() {
        let name = folder.display();
        if !folder.is_dir() {
            let what = if folder.exists() { "is not a directory" } else { "does not exist" };
            problems.push(format!("{name} {what}"));
            continue;
        }
        found.push(name.to_string());
        match identity::read_one(&disk, directory)? {
            None => problems.push(format!("{name} is not formatted.")),
            Some(identity) => match &first {
                None => first = Some(identity),
                Some(other) if same_node(other, &identity) => {}
                Some(other) => problems.push(format!(
                    "Metadata for {name} was {}, but other directories featured {}",
                    text(&identity),
                    text(other)
                )),
            },
        }
    }
    list(output, "log director", ("y", "ies"), &found)?;
    if let Some(identity) = &first {
        writeln!(output, "Found metadata: {}\n", text(identity))?;
    }
    list(output, "problem", ("", "s"), &problems)?;
    if problems.is_empty() { Ok(()) } else { Err(Failure::Silent(1)) }
}

/// Every folder has an id of its own.
fn same_node(left: &MetaProperties, right: &MetaProperties) -> bool {
    left.cluster_id == right.cluster_id && left.node_id == right.node_id
}

fn list(
    output: &mut impl Write,
    noun: &str,
    endings: (&str, &str),
    lines: &[String],
) -> std::io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let ending = if lines.len() == 1 { endings.0 } else { endings.1 };
    writeln!(output, "Found {noun}{ending}:")?;
    for line in lines {
        writeln!(output, "  {line}")?;
    }
    writeln!(output)
}

fn text(identity: &MetaProperties) -> String {
    let mut entries = Vec::new();
    if let Some(cluster_id) = &identity.cluster_id {
        entries.push(format!("cluster.id={cluster_id}"));
    }
    if let Some(directory_id) = identity.directory_id {
        entries.push(format!("directory.id={directory_id}"));
    }
    if let Some(node_id) = identity.node_id {
        entries.push(format!("node.id={node_id}"));
    }
    entries.push(format!("version={}", identity.version));
    format!("{{{}}}", entries.join(", "))
}
