//! Who this node is: `meta.properties` of every log directory, read or written for the first time.

use std::collections::BTreeMap;

use strom_base::{Random, Uuid};
use strom_raft::SnapshotId;
use strom_storage::disk::{DirectoryEntry, DirectoryId, Disk, DiskError, DiskPath};
use strom_storage::format::meta_properties::{self, MetaProperties};

use super::format::{by_default, write_identity};
use super::metadata_log::{BOOTSTRAP_FILE, FOLDER};
use super::{BootError, BootOptions, FailedDirectory, Failures, read_small, root};

/// One log directory's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryIdentity {
    pub directory: DirectoryId,
    pub id: Uuid,
}

/// The node's and its cluster's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster_id: String,
    pub node_id: i32,
    /// In the order of `log.dirs`.
    pub directories: Vec<DirectoryIdentity>,
}

/// Looks at the identities of all folders without changing anything. Those whose disk has failed, and
/// that the node can do without.
///
/// # Errors
/// One sentence: folders of another node, of several clusters, or with data but without identity.
pub fn check(disk: &dyn Disk, options: &BootOptions) -> Result<Vec<FailedDirectory>, BootError> {
    let mut failures = Failures::of(options);
    read(disk, options, &mut failures)?;
    Ok(failures.failed)
}

/// Reads the identity, writing what is missing: all of it on empty folders, a directory id that an
/// older Kafka did not know.
pub(super) fn read_or_format(
    disk: &mut dyn Disk,
    options: &BootOptions,
    random: &mut Random,
    failures: &mut Failures,
) -> Result<Identity, BootError> {
    let (found, cluster_id) = read(disk, options, failures)?;
    let cluster_id = cluster_id.unwrap_or_else(|| random.uuid().to_string());
    let mut directories = Vec::new();
    for (directory, properties) in found {
        let is_empty = properties.is_none();
        let known = properties.and_then(|properties| properties.directory_id);
        let id = known.unwrap_or_else(|| random.uuid());
        let written = if is_empty {
            by_default(disk, options, directory, (&cluster_id, id))
        } else if known.is_none() {
            write_identity(disk, directory, (&cluster_id, options.node_id, id))
        } else {
            Ok(())
        };
        if failures.set_aside(directory, written)?.is_some() {
            directories.push(DirectoryIdentity { directory, id });
        }
    }
    Ok(Identity { cluster_id, node_id: options.node_id, directories })
}

/// What each folder that can be read says of itself, `None` for an empty one.
type Found = Vec<(DirectoryId, Option<MetaProperties>)>;

fn read(
    disk: &dyn Disk,
    options: &BootOptions,
    failures: &mut Failures,
) -> Result<(Found, Option<String>), BootError> {
    let mut found = Found::new();
    for directory in (0..options.directories).map(DirectoryId) {
        if !failures.contains(directory)
            && let Some(properties) = failures.set_aside(directory, read_one(disk, directory))?
        {
            found.push((directory, properties));
        }
    }
    let cluster_id = agree(disk, &found, options)?;
    refuse_copies(disk, &found)?;
    for (directory, properties) in &found {
        if properties.is_none() {
            failures.set_aside(*directory, check_empty(disk, *directory))?;
        }
    }
    found.retain(|(directory, _)| !failures.contains(*directory));
    Ok((found, cluster_id))
}

/// The controller would refuse them later, after the start has begun to change them.
fn refuse_copies(
    disk: &dyn Disk,
    found: &[(DirectoryId, Option<MetaProperties>)],
) -> Result<(), BootError> {
    let mut seen = BTreeMap::new();
    for (directory, properties) in found {
        let directory = *directory;
        let Some(id) = properties.as_ref().and_then(|properties| properties.directory_id) else {
            continue;
        };
        if let Some(other) = seen.insert(id, directory) {
            return Err(BootError::new(format!(
                "{} and {} have the same directory.id {id}, one is a copy of the other: remove one \
                 of them from log.dirs",
                name(disk, other),
                name(disk, directory)
            )));
        }
    }
    Ok(())
}

fn name(disk: &dyn Disk, directory: DirectoryId) -> String {
    disk.describe(&root(directory, ""))
}

/// What `meta.properties` of a log directory says; `None` when the folder is not formatted.
///
/// # Errors
/// One sentence: it cannot be read, or is damaged.
pub fn read_one(
    disk: &dyn Disk,
    directory: DirectoryId,
) -> Result<Option<MetaProperties>, BootError> {
    let path = root(directory, meta_properties::FILE_NAME);
    let Some(bytes) = read_small(disk, &path)? else { return Ok(None) };
    let properties = meta_properties::parse(&bytes).map_err(|error| {
        BootError::new(format!(
            "{} is damaged ({error}): restore it, or name another folder in log.dirs",
            disk.describe(&path)
        ))
    })?;
    Ok(Some(properties))
}

/// The cluster id that all folders agree on, `None` when all are empty.
fn agree(
    disk: &dyn Disk,
    found: &[(DirectoryId, Option<MetaProperties>)],
    options: &BootOptions,
) -> Result<Option<String>, BootError> {
    let mut agreed: Option<(&str, DirectoryId)> = None;
    for (directory, properties) in found {
        let Some(properties) = properties else { continue };
        let directory = *directory;
        if let Some(node_id) = properties.node_id.filter(|node_id| *node_id != options.node_id) {
            return Err(BootError::new(format!(
                "the data folder {} belongs to node {node_id}, but node.id is {}: name this \
                 node's own folder in log.dirs, or set node.id={node_id}",
                name(disk, directory),
                options.node_id
            )));
        }
        let Some(id) = properties.cluster_id.as_deref() else { continue };
        if let Some((other, first)) = agreed.filter(|(other, _)| *other != id) {
            return Err(BootError::new(format!(
                "the data folder {} belongs to cluster {id}, but {} to cluster {other}: name \
                 folders of one cluster only in log.dirs",
                name(disk, directory),
                name(disk, first)
            )));
        }
        agreed.get_or_insert((id, directory));
    }
    let metadata = found.iter().find(|(directory, _)| *directory == options.metadata_directory);
    match agreed {
        // Formatting it anew would forget the cluster that the other folders belong to.
        Some((id, _)) if metadata.is_some_and(|(_, it)| it.is_none()) => {
            Err(BootError::new(format!(
                "the folder of the metadata log is empty ({}), but others of log.dirs belong to cluster \
             {id}: name the folder with __cluster_metadata-0 first in log.dirs or in \
             metadata.log.dir, or restore it",
                name(disk, options.metadata_directory)
            )))
        }
        Some((id, _)) => Ok(Some(id.to_owned())),
        None if options.format_empty => Ok(None),
        None => Err(BootError::new(
            "no meta.properties in log.dirs: format the folders with `strom storage format`",
        )),
    }
}

/// Only an empty folder is formatted, or one whose formatting was cut short: in any other, data
/// would lose the identity that it belongs to.
fn check_empty(disk: &dyn Disk, directory: DirectoryId) -> Result<(), BootError> {
    let formatting = [BOOTSTRAP_FILE, meta_properties::FILE_NAME];
    let snapshot = SnapshotId::default().file_name();
    let foreign = |names: &[&str], entry: &str| {
        // More than one: `meta.properties` is put in place twice (`NewFolder::format`).
        let entry = entry.trim_end_matches(".tmp");
        !entry.starts_with('.') && entry != "lost+found" && !names.contains(&entry)
    };
    for entry in list(disk, &root(directory, ""))? {
        let found = if entry.name == FOLDER {
            let below = list(disk, &root(directory, FOLDER))?;
            below.into_iter().map(|it| it.name).find(|it| foreign(&[&snapshot], it))
        } else {
            Some(entry.name).filter(|it| foreign(&formatting, it))
        };
        if let Some(found) = found {
            return Err(BootError::new(format!(
                "the data folder {} holds {found} but no meta.properties: restore that file, or \
                 name an empty folder in log.dirs",
                name(disk, directory)
            )));
        }
    }
    Ok(())
}

fn list(disk: &dyn Disk, path: &DiskPath) -> Result<Vec<DirectoryEntry>, BootError> {
    match disk.list(path) {
        Err(DiskError::NotFound(_)) => Ok(Vec::new()),
        other => Ok(other?),
    }
}
