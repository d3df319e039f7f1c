//! What a data folder holds, found by reading all of it with a parser of its own, and whether
//! everything that is derived from the records says the same: indexes, leader epochs, producer
//! snapshots, checkpoints.
//!
//! A folder is as it has to be after a clean stop; after anything else derived files may lag behind.

mod derived;
mod metadata;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use strom_base::Uuid;
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath, FileKind};
use strom_storage::format::directory_name::{self, DirectoryName};
use strom_storage::format::file_name::{self, FileState};
use strom_storage::format::offset_checkpoint::{
    self, LOG_START_OFFSET, RECOVERY_POINT, REPLICATION_OFFSET,
};
use strom_storage::format::partition_metadata;

pub use metadata::check_image;
use records::Scanned;

/// Files that are read whole are smaller.
const FILE_MAX: u64 = 1 << 30;

type Partition = (String, i32);

/// What the records themselves do not say.
#[derive(Clone, Debug)]
pub struct Told {
    /// Topics that a cleaner has been at: offsets may be missing in their logs.
    pub compacted: BTreeSet<String>,
    /// Who has written nothing since may be forgotten.
    pub producers_expired_before_ms: i64,
    /// The topics that there are: a folder of another is on its way out, and nobody closed it. `None`:
    /// every folder counts.
    pub served: Option<BTreeMap<String, Uuid>>,
}

impl Default for Told {
    fn default() -> Self {
        Self { compacted: BTreeSet::new(), producers_expired_before_ms: i64::MIN, served: None }
    }
}

/// Reads a log directory after a clean stop; nothing in it was compacted, and no producer forgotten.
///
/// # Errors
/// The first thing that does not fit, with the folder it is in.
pub fn scan_clean(disk: &dyn Disk, directory: DirectoryId) -> Result<(), String> {
    scan_with(disk, directory, &Told::default())
}

/// Reads a log directory after a clean stop.
///
/// # Errors
/// The first thing that does not fit, with the folder it is in.
pub fn scan_with(disk: &dyn Disk, directory: DirectoryId, told: &Told) -> Result<(), String> {
    let root = crate::disk::root(directory);
    let checkpoint = |name: &str| read_checkpoint(disk, &root, name);
    let starts = checkpoint(LOG_START_OFFSET)?;
    let mut ends = BTreeMap::new();
    for entry in disk.list(&root).map_err(|error| error.to_string())? {
        let Some(DirectoryName::Partition { topic, partition }) =
            directory_name::parse(&entry.name).filter(|_| entry.is_directory)
        else {
            continue;
        };
        // The metadata log has no checkpoints, and its indexes and snapshots are its own matter.
        if topic == "__cluster_metadata" {
            continue;
        }
        let folder = DiskPath { directory, path: entry.name };
        if let Some(served) = &told.served
            && let Some(id) = topic_id(disk, &folder)?
            && served.get(&topic) != Some(&id)
        {
            continue;
        }
        let partition = (topic, partition);
        let start = starts.get(&partition).copied();
        let has_holes = told.compacted.contains(&partition.0);
        let scanned = Scanned::new(has_holes, told.producers_expired_before_ms);
        let end = scan_log(disk, &folder, start, scanned)
            .map_err(|reason| format!("{}: {reason}", folder.path))?;
        ends.insert(partition, end);
    }
    for name in [RECOVERY_POINT, REPLICATION_OFFSET] {
        for (partition, offset) in checkpoint(name)? {
            // A folder may have been removed since.
            let Some(end) = ends.get(&partition) else { continue };
            if offset > *end {
                return Err(format!("{name} says {offset} of {partition:?}, which ends at {end}"));
            }
        }
    }
    Ok(())
}

/// Whose folder it is; `None`: it does not say.
fn topic_id(disk: &dyn Disk, folder: &DiskPath) -> Result<Option<Uuid>, String> {
    let path = format!("{}/{}", folder.path, partition_metadata::FILE_NAME);
    let path = DiskPath { directory: folder.directory, path };
    match disk.read_file(&path, FILE_MAX) {
        // A damaged one is nobody's.
        Ok(bytes) => Ok(Some(partition_metadata::parse(&bytes).unwrap_or_default())),
        Err(DiskError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn read_checkpoint(
    disk: &dyn Disk,
    root: &DiskPath,
    name: &str,
) -> Result<BTreeMap<Partition, i64>, String> {
    let path = DiskPath { directory: root.directory, path: name.to_owned() };
    let bytes = match disk.read_file(&path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(DiskError::NotFound(_)) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    let entries = offset_checkpoint::parse(&bytes).map_err(|error| format!("{name}: {error}"))?;
    Ok(entries.into_iter().map(|it| ((it.topic, it.partition), it.offset)).collect())
}

/// Reads one log whole; where it ends.
fn scan_log(
    disk: &dyn Disk,
    folder: &DiskPath,
    start: Option<i64>,
    mut scanned: Scanned,
) -> Result<i64, String> {
    let mut files: BTreeMap<(i64, &str), DiskPath> = BTreeMap::new();
    for entry in disk.list(folder).map_err(|error| error.to_string())? {
        let parsed = file_name::parse(&entry.name).filter(|it| it.state == FileState::Live);
        if let Some(file) = parsed {
            files.insert(
                (file.base_offset, file_name::suffix(file.kind)),
                folder.below(&entry.name),
            );
        }
    }
    let read = |base_offset: i64, kind: FileKind| match files
        .get(&(base_offset, file_name::suffix(kind)))
    {
        Some(path) => disk.read_file(path, FILE_MAX).map(Some).map_err(|error| error.to_string()),
        None => Ok(None),
    };
    let bases: Vec<i64> = files
        .keys()
        .filter(|(_, suffix)| *suffix == file_name::suffix(FileKind::Records))
        .map(|(base_offset, _)| *base_offset)
        .collect();
    for (index, base_offset) in bases.iter().enumerate() {
        let bytes = read(*base_offset, FileKind::Records)?.unwrap_or_default();
        let batches = scanned
            .segment(*base_offset, bases.get(index + 1).copied(), &bytes)
            .map_err(|reason| format!("segment {base_offset}: {reason}"))?;
        if let Some(bytes) = read(*base_offset, FileKind::OffsetIndex)? {
            derived::check_offset_index(*base_offset, &batches, &bytes)?;
        }
        if let Some(bytes) = read(*base_offset, FileKind::TimeIndex)? {
            derived::check_time_index(*base_offset, &batches, &bytes)?;
        }
        if let Some(bytes) = read(*base_offset, FileKind::ProducerSnapshot)?
            && *base_offset > bases.first().copied().unwrap_or(0)
        {
            derived::check_producers(&scanned.producers_before(*base_offset), &bytes)
                .map_err(|reason| format!("snapshot {base_offset}: {reason}"))?;
        }
    }
    let end = scanned.end_offset.unwrap_or(0);
    if start.is_some_and(|start| start > end) {
        return Err(format!("it starts at {start:?} and ends at {end}"));
    }
    let epochs = disk.read_file(&folder.below("leader-epoch-checkpoint"), FILE_MAX);
    if let Ok(bytes) = epochs {
        derived::check_epochs(&scanned.epochs, start.unwrap_or(0), &bytes)?;
    }
    if let Some(bytes) = read(end, FileKind::ProducerSnapshot)? {
        derived::check_producers(&scanned.producers_before(end), &bytes)
            .map_err(|reason| format!("the last snapshot, {end}: {reason}"))?;
    }
    Ok(end)
}
