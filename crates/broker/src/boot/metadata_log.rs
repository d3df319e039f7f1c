//! What of the metadata quorum lies on the disk: its promises, its snapshots and its log.

mod snapshots;

use std::sync::Arc;

use bytes::Bytes;
use strom_protocol::records::{BatchHeader, entry_size};
use strom_raft::{Snapshot, StoredSnapshot};
use strom_storage::disk::{DirectoryEntry, DirectoryId, Disk, DiskError, DiskPath, FileKind};
use strom_storage::format::{file_name, leader_epoch_checkpoint};
use strom_storage::recovery::{RecoveredLog, RecoveryOptions, recover_log};

use super::{BootError, BootOptions, read_small, root};

/// The partition's folder in the metadata directory.
pub const FOLDER: &str = "__cluster_metadata-0";
pub const TOPIC: &str = "__cluster_metadata";
/// What a new cluster begins with, as it was formatted.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";
const READ_BYTES: usize = 1 << 20;

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
    pub snapshots: Vec<StoredSnapshot>,
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
        let of_snapshot = self.snapshots.last().map_or(0, |it| it.id.epoch);
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
        Err(DiskError::NotFound(_)) => return Ok(found),
        Err(error) => return Err(error.into()),
    };
    (found.snapshots, found.snapshot) = snapshots::read(disk, &folder, &entries, notes)?;
    read_log(disk, &folder, options, (&mut found, notes))?;
    check_reach(&found)?;
    Ok(found)
}

fn read_log(
    disk: &mut dyn Disk,
    folder: &DiskPath,
    options: &BootOptions,
    (found, notes): (&mut BootedMetadata, &mut Vec<String>),
) -> Result<(), BootError> {
    let snapshot = found.snapshots.last().map(|it| it.id).unwrap_or_default();
    if segments(disk, folder)?.is_empty() && snapshot.end_offset == 0 {
        return Ok(());
    }
    let mut recovered = recover(disk, folder, options)?;
    if recovered.truncated_bytes > 0 {
        notes.push(format!(
            "the metadata log: cut {} bytes behind offset {} that were not written whole",
            recovered.truncated_bytes, recovered.log_end_offset
        ));
    }
    let log_end = recovered.log_end_offset;
    if log_end >= snapshot.end_offset {
        read_batches(disk, folder, snapshot.end_offset, &mut found.batches)?;
    }
    let is_older = |batch: &Bytes| {
        BatchHeader::parse(batch).is_ok_and(|it| it.partition_leader_epoch < snapshot.epoch)
    };
    if log_end < snapshot.end_offset || found.batches.first().is_some_and(is_older) {
        // The snapshot stands for more than the log has: a fetched one whose log was not yet cut,
        // or a log that was damaged. It goes on behind the snapshot.
        notes.push(format!(
            "the metadata log ended at offset {log_end} and goes on from its snapshot {snapshot}"
        ));
        found.batches.clear();
        begin_at(disk, folder, snapshot.end_offset)?;
        recovered = recover(disk, folder, options)?;
    }
    found.recovered = Some(recovered);
    Ok(())
}

fn recover(
    disk: &mut dyn Disk,
    folder: &DiskPath,
    options: &BootOptions,
) -> Result<RecoveredLog, BootError> {
    let recovery = RecoveryOptions {
        config: Arc::clone(&options.log_config),
        recovery_point: 0,
        log_start_offset: None,
        clean: false,
        syncs_kept: true,
    };
    recover_log(disk, folder, recovery).map_err(|error| BootError::of("the metadata log", &error))
}

/// Replaces the log by an empty one that begins at the offset. Interrupted, it is begun again.
fn begin_at(disk: &mut dyn Disk, folder: &DiskPath, offset: i64) -> Result<(), BootError> {
    for entry in disk.list(folder)? {
        let is_log = file_name::parse(&entry.name).is_some();
        if is_log || entry.name == leader_epoch_checkpoint::FILE_NAME {
            disk.remove_file(&below(folder, &entry.name))?;
        }
    }
    let first = below(folder, &file_name::format(offset, FileKind::Records));
    disk.truncate(&first, 0)?;
    disk.sync(&first)?;
    Ok(disk.sync_directory(folder)?)
}

/// Snapshot and log leave no gap.
fn check_reach(found: &BootedMetadata) -> Result<(), BootError> {
    let snapshot_end = found.snapshots.last().map_or(0, |it| it.id.end_offset);
    let log = found.recovered.as_ref();
    let (start, end) = log.map_or((0, 0), |log| (log.log_start_offset, log.log_end_offset));
    if snapshot_end < start {
        return Err(BootError::new(format!(
            "the metadata log begins at offset {start}, and no whole snapshot reaches there: \
             restore the .checkpoint files of {FOLDER}"
        )));
    }
    let first = found.batches.first().and_then(|batch| BatchHeader::parse(batch).ok());
    let next = first.map_or(end, |header| header.base_offset);
    if next != snapshot_end {
        return Err(BootError::new(format!(
            "the metadata log has no batch at offset {snapshot_end}, where its newest snapshot \
             ends: restore the .checkpoint files of {FOLDER}"
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

fn below(folder: &DiskPath, name: &str) -> DiskPath {
    DiskPath { directory: folder.directory, path: format!("{}/{name}", folder.path) }
}

/// The records files, in the order of their offsets.
fn segments(disk: &dyn Disk, folder: &DiskPath) -> Result<Vec<DirectoryEntry>, BootError> {
    // The listing is in the order of the names, which have as many digits each.
    let entries = disk.list(folder)?.into_iter();
    Ok(entries.filter(|entry| entry.name.ends_with(".log")).collect())
}

/// Reads the batches from an offset on; recovery has already cut what is not whole.
fn read_batches(
    disk: &dyn Disk,
    folder: &DiskPath,
    first_offset: i64,
    batches: &mut Vec<Bytes>,
) -> Result<(), BootError> {
    for segment in segments(disk, folder)? {
        let most = READ_BYTES.min(usize::try_from(segment.length).unwrap_or(READ_BYTES));
        read_segment(disk, &below(folder, &segment.name), most, first_offset, batches)?;
    }
    Ok(())
}

/// Whole batches of one file, so many bytes at a time, and more where a batch is larger.
fn read_segment(
    disk: &dyn Disk,
    path: &DiskPath,
    most: usize,
    first_offset: i64,
    batches: &mut Vec<Bytes>,
) -> Result<(), BootError> {
    let mut position = 0;
    let mut buffer = vec![0; most];
    loop {
        let count = disk.read_at(path, position, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        let is_full = count == buffer.len();
        let (mut taken, mut has_grown) = (0, false);
        while let Some(Ok(size)) = entry_size(rest) {
            let Some((batch, behind)) = rest.split_at_checked(size) else {
                if taken == 0 && size > buffer.len() {
                    buffer.resize(size, 0);
                    has_grown = true;
                }
                break;
            };
            if BatchHeader::parse(batch).is_ok_and(|header| header.base_offset >= first_offset) {
                batches.push(Bytes::copy_from_slice(batch));
            }
            (rest, taken) = (behind, taken + size);
        }
        // Nothing whole in a buffer that a batch would fit into, or behind which there is nothing: the end.
        if taken == 0 && !(is_full && has_grown) {
            return Ok(());
        }
        position += taken as u64;
    }
}
