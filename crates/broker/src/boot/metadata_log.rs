//! What of the metadata quorum lies on the disk: its promises, its snapshots and its log.

use std::sync::Arc;

use bytes::Bytes;
use strom_protocol::records::{BatchHeader, entry_size};
use strom_raft::snapshot::is_leftover;
use strom_raft::{Snapshot, SnapshotId};
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath};
use strom_storage::recovery::{RecoveredLog, RecoveryOptions, recover_log};

use super::{BootError, BootOptions, read_small, root};

/// The partition's folder in the metadata directory.
pub const FOLDER: &str = "__cluster_metadata-0";
pub const TOPIC: &str = "__cluster_metadata";
/// What a new cluster begins with, as it was formatted.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";
const READ_BYTES: usize = 1 << 20;
/// A snapshot above this is damaged.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

#[derive(Debug)]
pub struct BootedMetadata {
    /// Where the folder is.
    pub directory: DirectoryId,
    /// `None` on an empty folder.
    pub recovered: Option<RecoveredLog>,
    /// The file's text, `None` when there is none.
    pub quorum_state: Option<String>,
    /// Records of `bootstrap.checkpoint`; none without the file.
    pub bootstrap: Vec<Vec<u8>>,
    /// Whole snapshots, the oldest first.
    pub snapshots: Vec<SnapshotId>,
    /// What the newest one says.
    pub snapshot: Snapshot,
    /// The batches behind it in order.
    pub batches: Vec<Bytes>,
}

impl BootedMetadata {
    /// What an empty folder holds.
    #[must_use]
    pub fn empty(directory: DirectoryId) -> Self {
        Self {
            directory,
            recovered: None,
            quorum_state: None,
            bootstrap: Vec::new(),
            snapshots: Vec::new(),
            snapshot: Snapshot::default(),
            batches: Vec::new(),
        }
    }

    /// Of the last batch, or of the snapshot when no batch is behind it.
    #[must_use]
    pub fn last_epoch(&self) -> i32 {
        let last = self.batches.last().and_then(|batch| BatchHeader::parse(batch).ok());
        let of_snapshot = self.snapshots.last().map_or(0, |id| id.epoch);
        last.map_or(of_snapshot, |header| header.partition_leader_epoch)
    }
}

/// The metadata log is always recovered whole, clean stop or not, as Apache Kafka does.
pub(super) fn read(
    disk: &mut dyn Disk,
    options: &BootOptions,
    notes: &mut Vec<String>,
) -> Result<BootedMetadata, BootError> {
    let folder = DiskPath { directory: options.metadata_directory, path: FOLDER.to_owned() };
    let mut found = BootedMetadata::empty(folder.directory);
    let state_path = below(&folder, strom_raft::quorum_state::FILE_NAME);
    found.quorum_state =
        read_small(disk, &state_path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    found.bootstrap = read_bootstrap(disk, options.metadata_directory)?;
    let entries = match disk.list(&folder) {
        Ok(entries) => entries,
        Err(DiskError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for entry in entries.iter().filter(|entry| is_leftover(&entry.name)) {
        disk.remove_file(&below(&folder, &entry.name))?;
    }
    let ids = entries.iter().filter_map(|entry| SnapshotId::from_file_name(&entry.name));
    read_newest(disk, &folder, ids.collect(), (&mut found, notes))?;
    let mut segments: Vec<_> =
        entries.iter().filter(|entry| entry.name.ends_with(".log")).map(|e| &e.name).collect();
    if !segments.is_empty() {
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
        let first_offset = found.snapshots.last().map_or(0, |id| id.end_offset);
        for segment in segments {
            let path = below(&folder, segment);
            read_segment(disk, &path, first_offset, &mut found.batches)?;
        }
        found.recovered = Some(recovered);
    }
    check_reach(&found)?;
    Ok(found)
}

/// The snapshot reaches from the begin to where the log has to go on.
fn check_reach(found: &BootedMetadata) -> Result<(), BootError> {
    let snapshot_end = found.snapshots.last().map_or(0, |id| id.end_offset);
    let log = found.recovered.as_ref();
    let (start, end) = log.map_or((0, 0), |log| (log.log_start_offset, log.log_end_offset));
    if snapshot_end < start {
        return Err(BootError(format!(
            "the metadata log begins at offset {start}, and no whole snapshot reaches there: \
             restore the .checkpoint files of {FOLDER}"
        )));
    }
    if snapshot_end > end {
        return Err(BootError(format!(
            "the metadata log ends at offset {end}, before its newest snapshot at {snapshot_end}: \
             restore the .log files of {FOLDER}"
        )));
    }
    Ok(())
}

fn read_bootstrap(disk: &dyn Disk, directory: DirectoryId) -> Result<Vec<Vec<u8>>, BootError> {
    let Some(bytes) = read_small(disk, &root(directory, BOOTSTRAP_FILE))? else {
        return Ok(Vec::new());
    };
    let read = Snapshot::read(&bytes).map_err(|error| BootError::of(BOOTSTRAP_FILE, &error));
    read.map(|snapshot| snapshot.records)
}

/// The newest snapshot that is whole; a damaged one is passed over.
fn read_newest(
    disk: &dyn Disk,
    folder: &DiskPath,
    mut ids: Vec<SnapshotId>,
    (found, notes): (&mut BootedMetadata, &mut Vec<String>),
) -> Result<(), BootError> {
    ids.sort_unstable();
    while let Some(newest) = ids.last() {
        let bytes = disk.read_file(&below(folder, &newest.file_name()), SNAPSHOT_BYTES_MAX)?;
        match Snapshot::read(&bytes) {
            Ok(snapshot) => {
                found.snapshot = snapshot;
                break;
            }
            Err(error) => {
                notes.push(format!("the metadata snapshot {newest} is passed over: {error}"));
                ids.pop();
            }
        }
    }
    found.snapshots = ids;
    Ok(())
}

fn below(folder: &DiskPath, name: &str) -> DiskPath {
    DiskPath { directory: folder.directory, path: format!("{}/{name}", folder.path) }
}

/// Reads whole batches from an offset on, piece by piece; recovery has already cut what is not whole.
fn read_segment(
    disk: &dyn Disk,
    path: &DiskPath,
    first_offset: i64,
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
            if BatchHeader::parse(batch).is_ok_and(|header| header.base_offset >= first_offset) {
                batches.push(Bytes::copy_from_slice(batch));
            }
            (rest, taken) = (behind, taken + size);
        }
        if taken == 0 && count < buffer.len() {
            return Ok(());
        }
        position += taken as u64;
    }
}
