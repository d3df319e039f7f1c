//! The metadata folder, replayed: what the cluster is by its records, from whichever snapshot one begins.

use strom_metadata::Image;
use strom_metadata::controller::replay_bytes;
use strom_metadata::image::Delta;
use strom_protocol::compression::Codecs;
use strom_protocol::records::{batches, body_of, verify_crc};
use strom_storage::disk::{DirectoryId, Disk, DiskPath, FileKind};
use strom_storage::format::file_name::{self, FileState};

use super::FILE_MAX;

const FOLDER: &str = "__cluster_metadata-0";
const SNAPSHOT: &str = ".checkpoint";

/// Holds a node's image against each way to come by it: every snapshot that is kept, and the log behind
/// it; the log alone if it begins at offset 0.
///
/// # Errors
/// When one of them makes another image, or cannot be read.
pub fn check_image(disk: &dyn Disk, directory: DirectoryId, image: &Image) -> Result<(), String> {
    let folder = DiskPath { directory, path: FOLDER.to_owned() };
    let mut segments: Vec<(i64, DiskPath)> = Vec::new();
    let mut snapshots: Vec<(i64, DiskPath)> = Vec::new();
    for entry in disk.list(&folder).map_err(|error| error.to_string())? {
        let path = folder.below(&entry.name);
        if let Some(end_offset) = snapshot_end(&entry.name) {
            snapshots.push((end_offset, path));
        } else if let Some(file) = file_name::parse(&entry.name)
            && file.state == FileState::Live
            && file.kind == FileKind::Records
        {
            segments.push((file.base_offset, path));
        }
    }
    segments.sort_by_key(|(base_offset, _)| *base_offset);
    let log_start = segments.first().map_or(0, |(base_offset, _)| *base_offset);
    let mut begins: Vec<(i64, Option<&DiskPath>)> =
        snapshots.iter().map(|(end_offset, path)| (*end_offset, Some(path))).collect();
    if log_start == 0 {
        begins.push((0, None));
    }
    for (begin, snapshot) in begins {
        if begin < log_start {
            // What lies between was let go: a newer snapshot stands for it.
            continue;
        }
        let mut replayed = Image::default();
        if let Some(path) = snapshot {
            replay(disk, path, |_| Some(begin - 1), &mut replayed)?;
        }
        for (_, path) in &segments {
            replay(disk, path, |offset| (offset >= begin).then_some(offset), &mut replayed)?;
        }
        if replayed != *image {
            return Err(format!(
                "replayed from {begin} the metadata are not the node's: {}",
                difference(&replayed, image)
            ));
        }
    }
    Ok(())
}

fn snapshot_end(name: &str) -> Option<i64> {
    name.strip_suffix(SNAPSHOT)?.split_once('-')?.0.parse().ok()
}

/// Applies the records of a file, each at the offset that `offset_of` makes of its own, or not at all.
fn replay(
    disk: &dyn Disk,
    path: &DiskPath,
    offset_of: impl Fn(i64) -> Option<i64>,
    image: &mut Image,
) -> Result<(), String> {
    let failed = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.path);
    let bytes = disk.read_file(path, FILE_MAX).map_err(|error| failed(&error))?;
    for batch in batches(&bytes) {
        let batch = batch.map_err(|error| failed(&error))?;
        if !verify_crc(batch.bytes) {
            return Err(failed(&"a checksum is wrong"));
        }
        if batch.header.is_control() {
            continue;
        }
        let body = body_of(&batch.header, batch.bytes, &mut Codecs::new(), FILE_MAX as usize)
            .map_err(|error| failed(&error))?;
        for record in batch.header.records(&body) {
            let record = record.map_err(|error| failed(&error))?;
            let Some(offset) = offset_of(batch.header.offset_of(&record)) else { continue };
            let value = record.value.unwrap_or_default();
            replay_bytes(image, offset, value, &mut Delta::default())
                .map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

/// The part of two images in which they differ, of each the first characters from there on.
fn difference(one: &Image, other: &Image) -> String {
    let (one, other) = (format!("{one:?}"), format!("{other:?}"));
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| {
        let tail = text.as_bytes().get(same.saturating_sub(80)..).unwrap_or_default();
        String::from_utf8_lossy(tail.get(..240).unwrap_or(tail)).into_owned()
    };
    format!("…{}… and …{}…", from(&one), from(&other))
}
