//! The snapshots in the folder of the metadata log: which are whole, and what the newest one says.

use strom_raft::snapshot::{is_leftover, last_timestamp_ms};
use strom_raft::{Snapshot, SnapshotId, StoredSnapshot};
use strom_storage::disk::{DirectoryEntry, Disk, DiskPath};

use super::below;
use crate::boot::BootError;

/// A snapshot above this is damaged.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;
/// Its header stands within this.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Neither ours nor Apache Kafka's: such a file is looked at by people only.
const DAMAGED: &str = ".damaged";

/// The whole snapshots, the oldest first, and the content of the newest one. What was not finished
/// is removed; what is damaged is set aside, for Apache Kafka would not start on it.
pub(super) fn read(
    disk: &mut dyn Disk,
    folder: &DiskPath,
    entries: &[DirectoryEntry],
    notes: &mut Vec<String>,
) -> Result<(Vec<StoredSnapshot>, Snapshot), BootError> {
    for entry in entries.iter().filter(|entry| is_leftover(&entry.name)) {
        disk.remove_file(&below(folder, &entry.name))?;
    }
    let known = entries.iter().filter_map(|entry| {
        let id = SnapshotId::from_file_name(&entry.name)?;
        Some(StoredSnapshot { id, bytes: entry.length, last_timestamp_ms: -1 })
    });
    let mut known: Vec<_> = known.collect();
    known.sort_unstable_by_key(|stored| stored.id);
    let mut newest = None;
    let mut whole = Vec::new();
    for mut stored in known.into_iter().rev() {
        let path = below(folder, &stored.id.file_name());
        let read = match newest {
            None => read_whole(disk, &path)?.map(|snapshot| {
                stored.last_timestamp_ms = snapshot.last_timestamp_ms;
                newest = Some(snapshot);
            }),
            Some(_) => read_header(disk, &path)?.map(|time_ms| stored.last_timestamp_ms = time_ms),
        };
        match read {
            Ok(()) => whole.push(stored),
            Err(reason) => {
                let name = format!("{}{DAMAGED}", stored.id.file_name());
                disk.rename(&path, &below(folder, &name))?;
                let id = stored.id;
                notes.push(format!(
                    "the metadata snapshot {id} is damaged and set aside as {name}: {reason}"
                ));
            }
        }
    }
    whole.reverse();
    Ok((whole, newest.unwrap_or_default()))
}

fn read_whole(disk: &dyn Disk, path: &DiskPath) -> Result<Result<Snapshot, String>, BootError> {
    let bytes = disk.read_file(path, SNAPSHOT_BYTES_MAX)?;
    Ok(Snapshot::read(&bytes).map_err(|error| error.to_string()))
}

/// Older snapshots are needed only when the newest one is lost: their headers are enough.
fn read_header(disk: &dyn Disk, path: &DiskPath) -> Result<Result<i64, String>, BootError> {
    let mut buffer = vec![0; HEADER_BYTES_MAX];
    let count = disk.read_at(path, 0, &mut buffer)?;
    let read = last_timestamp_ms(buffer.get(..count).unwrap_or_default());
    Ok(read.map_err(|error| error.to_string()))
}
