//! Who this node is: `meta.properties` of every log directory, read or written for the first time.

use strom_base::{Random, Uuid};
use strom_storage::disk::{DirectoryId, Disk};
use strom_storage::format::meta_properties::{self, MetaProperties};

use super::format::{format, write_identity};
use super::{BootError, BootOptions, read_small, root};

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

/// Reads the identity, writing what is missing: all of it on empty folders, a directory id that an
/// older Kafka did not know.
pub(super) fn read_or_format(
    disk: &mut dyn Disk,
    options: &BootOptions,
    random: &mut Random,
) -> Result<Identity, BootError> {
    let found = (0..options.directories)
        .map(|index| read_one(disk, DirectoryId(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let cluster_id = agree(&found, options, random)?;
    let mut directories = Vec::new();
    for (index, properties) in found.into_iter().enumerate() {
        let directory = DirectoryId(index as u16);
        let is_empty = properties.is_none();
        let known = properties.and_then(|properties| properties.directory_id);
        let id = known.unwrap_or_else(|| random.uuid());
        if is_empty {
            format(disk, options, directory, (&cluster_id, id))?;
        } else if known.is_none() {
            write_identity(disk, directory, (&cluster_id, options.node_id, id))?;
        }
        directories.push(DirectoryIdentity { directory, id });
    }
    Ok(Identity { cluster_id, node_id: options.node_id, directories })
}

fn read_one(disk: &dyn Disk, directory: DirectoryId) -> Result<Option<MetaProperties>, BootError> {
    let path = root(directory, meta_properties::FILE_NAME);
    let Some(bytes) = read_small(disk, &path)? else { return Ok(None) };
    let properties = meta_properties::parse(&bytes).map_err(|error| {
        BootError(format!("meta.properties of log directory {} is damaged: {error}", directory.0))
    })?;
    Ok(Some(properties))
}

/// The cluster id that all folders agree on, or a new one when all are empty.
fn agree(
    found: &[Option<MetaProperties>],
    options: &BootOptions,
    random: &mut Random,
) -> Result<String, BootError> {
    let mut cluster_id: Option<&str> = None;
    for (index, properties) in found.iter().enumerate() {
        let Some(properties) = properties else { continue };
        if let Some(node_id) = properties.node_id.filter(|node_id| *node_id != options.node_id) {
            return Err(BootError(format!(
                "log directory {index} belongs to node {node_id}, but node.id is {}: name this \
                 node's own folder in log.dirs, or set node.id={node_id}",
                options.node_id
            )));
        }
        let Some(id) = properties.cluster_id.as_deref() else { continue };
        if let Some(other) = cluster_id.filter(|other| *other != id) {
            return Err(BootError(format!(
                "log directory {index} belongs to cluster {id}, another one of log.dirs to cluster \
                 {other}: name folders of one cluster only"
            )));
        }
        cluster_id = Some(id);
    }
    let metadata = found.get(usize::from(options.metadata_directory.0));
    match cluster_id {
        // Formatting it anew would forget the cluster that the other folders belong to.
        Some(id) if metadata.is_some_and(Option::is_none) => Err(BootError(format!(
            "the folder of the metadata log is empty, but others of log.dirs belong to cluster \
             {id}: name the folder with __cluster_metadata-0 first in log.dirs or in \
             metadata.log.dir, or restore it"
        ))),
        Some(id) => Ok(id.to_owned()),
        None if options.format_empty => Ok(random.uuid().to_string()),
        None => Err(BootError(
            "no meta.properties in log.dirs: format the folders with `strom storage format`".into(),
        )),
    }
}
