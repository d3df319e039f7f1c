//! Formatting: what makes an empty folder a node's. A node does it by itself in the default mode,
//! `strom storage format` with arguments.

use bytes::Bytes;
use strom_base::Uuid;
use strom_metadata::bootstrap::BootstrapLevels;
use strom_raft::snapshot::{bootstrap_checkpoint, formatting_snapshot};
use strom_raft::{SnapshotId, Voter, VoterSet};
use strom_storage::disk::{DirectoryId, Disk, DiskPath, replace_each};
use strom_storage::format::meta_properties::{self, MetaProperties};

use super::metadata_log::{BOOTSTRAP_FILE, FOLDER};
use super::{BootError, BootOptions, root};

/// A log directory that is to be formatted.
#[derive(Clone, Copy, Debug)]
pub struct NewFolder<'a> {
    pub directory: DirectoryId,
    pub cluster_id: &'a str,
    pub node_id: i32,
    pub directory_id: Uuid,
    /// What the cluster begins with.
    pub levels: &'a BootstrapLevels,
    /// The first voters of a dynamic quorum; `None` where they stand in the configuration, and in
    /// folders that do not hold the metadata log.
    pub voters: Option<&'a VoterSet>,
    pub now_ms: i64,
}

impl NewFolder<'_> {
    /// Writes the files. `meta.properties` comes last: a folder that has it is formatted whole.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn format(&self, disk: &mut dyn Disk) -> Result<(), BootError> {
        let directory = self.directory;
        let bootstrap = bootstrap_checkpoint(self.levels.records(), self.now_ms)
            .map_err(|error| BootError::of(BOOTSTRAP_FILE, &error))?;
        disk.create_directory(&root(directory, ""))?;
        let mut files = vec![(root(directory, BOOTSTRAP_FILE), Bytes::from(bootstrap))];
        if let Some(voters) = self.voters {
            let snapshot = formatting_snapshot(voters.clone(), self.now_ms)
                .map_err(|error| BootError::of("the voters of the quorum", &error))?;
            disk.create_directory(&root(directory, FOLDER))?;
            let path = format!("{FOLDER}/{}", SnapshotId::default().file_name());
            files.push((DiskPath { directory, path }, Bytes::from(snapshot)));
        }
        // Its bytes are synced along with the others, and it gets its name when they have theirs.
        let (path, bytes) = identity(directory, self.cluster_id, self.node_id, self.directory_id);
        files.push((path.temporary(), Bytes::from(bytes)));
        replace_each(disk, &files).into_iter().collect::<Result<(), _>>()?;
        disk.rename(&path.temporary(), &path)?;
        Ok(disk.sync_directory(&path.parent())?)
    }
}

/// Formats an empty folder in the default mode.
pub(super) fn by_default(
    disk: &mut dyn Disk,
    options: &BootOptions,
    directory: DirectoryId,
    (cluster_id, directory_id): (&str, Uuid),
) -> Result<(), BootError> {
    let is_metadata = directory == options.metadata_directory;
    let voters = voters(options, directory_id).filter(|_| is_metadata);
    let folder = NewFolder {
        directory,
        cluster_id,
        node_id: options.node_id,
        directory_id,
        levels: &BootstrapLevels::default(),
        voters: voters.as_ref(),
        now_ms: options.now_ms,
    };
    folder.format(disk)
}

/// Writes `meta.properties`: the ids of cluster, node and directory.
pub(super) fn write_identity(
    disk: &mut dyn Disk,
    directory: DirectoryId,
    (cluster_id, node_id, directory_id): (&str, i32, Uuid),
) -> Result<(), BootError> {
    let (path, bytes) = identity(directory, cluster_id, node_id, directory_id);
    Ok(disk.replace(&path, &bytes)?)
}

/// `meta.properties`, and what is to be in it.
fn identity(
    directory: DirectoryId,
    cluster_id: &str,
    node_id: i32,
    directory_id: Uuid,
) -> (DiskPath, Vec<u8>) {
    let properties = MetaProperties {
        version: 1,
        cluster_id: Some(cluster_id.to_owned()),
        node_id: Some(node_id),
        directory_id: Some(directory_id),
    };
    (root(directory, meta_properties::FILE_NAME), meta_properties::format(&properties))
}

/// A node whose controller listens, but whose voters nobody named, is a dynamic quorum of its own,
/// as `--standalone` makes one. Else the voters stand in the configuration.
fn voters(options: &BootOptions, directory_id: Uuid) -> Option<VoterSet> {
    let quorum = &options.quorum;
    if !quorum.voters.is_empty() || quorum.endpoints.is_empty() {
        return None;
    }
    let endpoints = quorum.endpoints.clone();
    Some(VoterSet(vec![Voter { directory_id, endpoints, ..Voter::by_id(options.node_id) }]))
}
