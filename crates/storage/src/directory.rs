//! What lies in a log directory: found once at the start, before any log is opened.

use strom_base::Uuid;

use crate::disk::{DirectoryId, Disk, DiskError, DiskPath};
use crate::format::directory_name::{self, DirectoryName};
use crate::format::partition_metadata;

/// `partition.metadata` is two short lines.
const METADATA_BYTES_MAX: u64 = 4096;
/// The metadata quorum's log is opened by its own machine.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// The folders of a log directory, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryScan {
    /// Partitions to be compared with the metadata and recovered.
    pub partitions: Vec<FoundPartition>,
    /// `-future` replicas.
    pub futures: Vec<FoundPartition>,
    /// `-delete` folders: deletions to be finished.
    pub deleted: Vec<DiskPath>,
    /// `-stray` folders: left alone.
    pub stray: Vec<DiskPath>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    pub path: DiskPath,
    pub topic: String,
    pub partition: i32,
    /// `None`: without a readable `partition.metadata` the folder is a stray.
    pub topic_id: Option<Uuid>,
}

/// Lists the partitions of a log directory; `__cluster_metadata` and files are left out.
///
/// # Errors
/// The directory cannot be read.
pub fn scan_directory(disk: &dyn Disk, directory: DirectoryId) -> Result<DirectoryScan, DiskError> {
    let mut scan = DirectoryScan::default();
    let root = DiskPath { directory, path: String::new() };
    for entry in disk.list(&root)? {
        let path = DiskPath { directory, path: entry.name };
        if !entry.is_directory {
            continue;
        }
        match directory_name::parse(&path.path) {
            Some(DirectoryName::Partition { topic, .. }) if topic == CLUSTER_METADATA_TOPIC => {}
            Some(DirectoryName::Partition { topic, partition }) => {
                scan.partitions.push(found(disk, path, topic, partition)?);
            }
            Some(DirectoryName::Future { topic, partition }) => {
                scan.futures.push(found(disk, path, topic, partition)?);
            }
            Some(DirectoryName::Delete) => scan.deleted.push(path),
            Some(DirectoryName::Stray) => scan.stray.push(path),
            None => {}
        }
    }
    Ok(scan)
}

fn found(
    disk: &dyn Disk,
    path: DiskPath,
    topic: String,
    partition: i32,
) -> Result<FoundPartition, DiskError> {
    let name = format!("{}/{}", path.path, partition_metadata::FILE_NAME);
    let file = DiskPath { directory: path.directory, path: name };
    let topic_id = match disk.read_file(&file, METADATA_BYTES_MAX) {
        Ok(bytes) => partition_metadata::parse(&bytes).ok(),
        Err(DiskError::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(FoundPartition { path, topic, partition, topic_id })
}
