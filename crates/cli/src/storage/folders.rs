//! The log directories as they are: `strom storage info`.

use super::node::Node;
use crate::failure::{Failure, Outcome};
use std::io::{ErrorKind, Write};
use std::path::Path;
use strom_storage::format::meta_properties::{self, MetaProperties};

/// What `meta.properties` of a folder says; `None` when the folder is not formatted.
pub(super) fn identity(folder: &Path) -> Outcome<Option<MetaProperties>> {
    let path = folder.join(meta_properties::FILE_NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::said(format!("{} cannot be read: {error}", path.display())));
        }
    };
    let found = meta_properties::parse(&bytes)
        .map_err(|error| Failure::said(format!("{} is damaged: {error}", path.display())))?;
    Ok(Some(found))
}

pub(super) fn info(output: &mut impl Write, node: &Node) -> Outcome {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut first: Option<MetaProperties> = None;
    for folder in &node.log_directories {
        let name = folder.display();
        if !folder.is_dir() {
            let what = if folder.exists() { "is not a directory" } else { "does not exist" };
            problems.push(format!("{name} {what}"));
            continue;
        }
        found.push(name.to_string());
        match identity(folder)? {
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
