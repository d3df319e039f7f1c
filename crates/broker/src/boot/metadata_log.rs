//! What of the metadata quorum lies on the disk: its promises and its log.

use std::sync::Arc;

use bytes::Bytes;
use strom_protocol::records::entry_size;
use strom_storage::disk::{DirectoryId, Disk, DiskPath};
use strom_storage::recovery::{RecoveredLog, RecoveryOptions, recover_log};

use super::{BootError, BootOptions, read_small};

/// The partition's folder in the metadata directory.
pub const FOLDER: &str = "__cluster_metadata-0";
pub const TOPIC: &str = "__cluster_metadata";
const READ_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub struct BootedMetadata {
    /// Where the folder is.
    pub directory: DirectoryId,
    /// `None` on an empty folder.
    pub recovered: Option<RecoveredLog>,
    /// The file's text, `None` when there is none.
    pub quorum_state: Option<String>,
    /// All batches of the log in order.
    pub batches: Vec<Bytes>,
}

impl BootedMetadata {
    /// What an empty folder holds.
    #[must_use]
    pub fn empty(directory: DirectoryId) -> Self {
        Self { directory, recovered: None, quorum_state: None, batches: Vec::new() }
    }
}

/// The metadata log is always recovered whole, clean stop or not, as Apache Kafka does.
pub(super) fn read(
    disk: &mut dyn Disk,
    options: &BootOptions,
) -> Result<BootedMetadata, BootError> {
    let folder = DiskPath { directory: options.metadata_directory, path: FOLDER.to_owned() };
    let state_path = below(&folder, strom_raft::quorum_state::FILE_NAME);
    let quorum_state =
        read_small(disk, &state_path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let entries = match disk.list(&folder) {
        Ok(entries) => entries,
        Err(strom_storage::disk::DiskError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut segments: Vec<_> =
        entries.iter().filter(|entry| entry.name.ends_with(".log")).map(|e| &e.name).collect();
    if segments.is_empty() {
        return Ok(BootedMetadata { quorum_state, ..BootedMetadata::empty(folder.directory) });
    }
    let recovery = RecoveryOptions {
        config: Arc::clone(&options.log_config),
        recovery_point: 0,
        log_start_offset: None,
        clean: false,
        now_ms: options.now_ms,
    };
    let recovered = recover_log(disk, &folder, recovery)
        .map_err(|error| BootError::of("the metadata log", &error))?;
    segments.sort();
    let mut batches = Vec::new();
    for segment in segments {
        read_segment(disk, &below(&folder, segment), &mut batches)?;
    }
    let directory = folder.directory;
    Ok(BootedMetadata { directory, recovered: Some(recovered), quorum_state, batches })
}

fn below(folder: &DiskPath, name: &str) -> DiskPath {
    DiskPath { directory: folder.directory, path: format!("{}/{name}", folder.path) }
}

/// Reads whole batches piece by piece; recovery has already cut what is not whole.
fn read_segment(
    disk: &dyn Disk,
    path: &DiskPath,
    batches: &mut Vec<Bytes>,
) -> Result<(), BootError> {
    let mut position = 0;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = disk.read_at(path, position, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        let mut taken = 0;
        while let Some(Ok(size)) = entry_size(rest) {
            let Some((batch, behind)) = rest.split_at_checked(size) else {
                if taken == 0 && size > buffer.len() {
                    buffer.resize(size, 0);
                }
                break;
            };
            batches.push(Bytes::copy_from_slice(batch));
            (rest, taken) = (behind, taken + size);
        }
        if taken == 0 && count < buffer.len() {
            return Ok(());
        }
        position += taken as u64;
    }
}
