//! What a crash left half done in a partition's folder, put in order before anything is read.

use std::collections::BTreeMap;

use super::below;
use crate::disk::{Disk, DiskError, DiskPath, FileKind};
use crate::format::file_name::{self, FileState, SWAP, SegmentFile};
use crate::segment::Segment;

pub(super) struct Found {
    /// Ascending; their sizes are the files'.
    pub(super) segments: Vec<Segment>,
    pub(super) snapshots: Vec<i64>,
    /// Bytes of the index files.
    pub(super) index_lengths: BTreeMap<(i64, FileKind), u64>,
    /// Of the log's own small files those that are there.
    pub(super) small_files: Vec<FileKind>,
    /// Something was removed or renamed.
    pub(super) has_new_names: bool,
    /// A sync has failed in an earlier life.
    pub(super) is_doubtful: bool,
}

struct Listing {
    files: Vec<NamedFile>,
    small_files: Vec<FileKind>,
    is_doubtful: bool,
}

struct NamedFile {
    name: String,
    file: SegmentFile,
    length: u64,
}

/// Removes `.deleted`, `.cleaned` and `.tmp` files, finishes or drops swaps, removes indexes without
/// records, and lists what remains.
pub(super) fn clean_up(disk: &mut dyn Disk, folder: &DiskPath) -> Result<Found, DiskError> {
    let listing = list(disk, folder)?;
    let files = &listing.files;
    let with = |state: FileState| files.iter().filter(move |named| named.file.state == state);
    let first_cleaned = with(FileState::Cleaned).map(|named| named.file.base_offset).min();
    let gone = [FileState::Deleted, FileState::Cleaned, FileState::Temporary];
    for named in gone.into_iter().flat_map(with) {
        disk.remove_file(&below(folder, &named.name))?;
    }
    let mut swaps = Vec::new();
    for named in with(FileState::Swap) {
        // A swap at or above an unfinished compaction's output belongs to the same compaction.
        if first_cleaned.is_some_and(|offset| named.file.base_offset >= offset) {
            disk.remove_file(&below(folder, &named.name))?;
        } else {
            swaps.push(named);
        }
    }
    let live: Vec<&NamedFile> = with(FileState::Live).collect();
    if !swaps.is_empty() {
        finish_swaps(disk, folder, &live, &swaps)?;
        disk.sync_directory(folder)?;
    }
    if files.iter().all(|named| named.file.state == FileState::Live) {
        return remove_orphans(disk, folder, listing);
    }
    let listing = list(disk, folder)?;
    Ok(Found { has_new_names: true, ..remove_orphans(disk, folder, listing)? })
}

fn list(disk: &dyn Disk, folder: &DiskPath) -> Result<Listing, DiskError> {
    let entries = disk.list_with_lengths_of(folder, &|name| {
        file_name::parse(name).is_some_and(|file| file.kind != FileKind::ProducerSnapshot)
    })?;
    let is_there = |kind: &FileKind| {
        let name = file_name::format(0, *kind);
        entries.binary_search_by(|entry| entry.name.cmp(&name)).is_ok()
    };
    let is_doubtful = is_there(&FileKind::FailedSync);
    let small_files = [FileKind::PartitionMetadata, FileKind::LeaderEpochs];
    let small_files = small_files.into_iter().filter(is_there).collect();
    let named = |entry: crate::disk::DirectoryEntry| {
        let file = file_name::parse(&entry.name)?;
        (!entry.is_directory).then_some(NamedFile { name: entry.name, file, length: entry.length })
    };
    let files = entries.into_iter().filter_map(named).collect();
    Ok(Listing { files, small_files, is_doubtful })
}

/// The segments that finished compactions replace go, then the swaps take their names.
fn finish_swaps(
    disk: &mut dyn Disk,
    folder: &DiskPath,
    live: &[&NamedFile],
    swaps: &[&NamedFile],
) -> Result<(), DiskError> {
    for swap in swaps.iter().filter(|swap| swap.file.kind == FileKind::Records) {
        let first = swap.file.base_offset;
        let end = end_offset(disk, &below(folder, &swap.name), swap.length)?.max(first + 1);
        for named in live {
            let offset = named.file.base_offset;
            let is_replaced = named.file.kind != FileKind::ProducerSnapshot;
            if is_replaced && (first..end).contains(&offset) {
                disk.remove_file(&below(folder, &named.name))?;
            }
        }
    }
    for swap in swaps {
        let name = swap.name.strip_suffix(SWAP).unwrap_or(&swap.name);
        disk.rename(&below(folder, &swap.name), &below(folder, name))?;
    }
    Ok(())
}

/// The offset after the last readable batch of a records file.
fn end_offset(disk: &dyn Disk, path: &DiskPath, length: u64) -> Result<i64, DiskError> {
    let source = super::load::DiskRecords { disk, path: path.clone(), segment: 0 };
    let mut scan = crate::scan::HeaderScan::new(&source, 0, length);
    let mut end = 0;
    loop {
        match scan.next() {
            Ok(Some(located)) => end = located.entry.last_offset.saturating_add(1),
            Err(crate::log::ReadError::Disk(error)) => return Err(error),
            Ok(None) | Err(_) => return Ok(end),
        }
    }
}

fn remove_orphans(
    disk: &mut dyn Disk,
    folder: &DiskPath,
    Listing { files, small_files, is_doubtful }: Listing,
) -> Result<Found, DiskError> {
    let records = files.iter().filter(|named| named.file.kind == FileKind::Records);
    let mut segments: Vec<Segment> = records
        .map(|named| {
            let mut segment = Segment::new(named.file.base_offset, 0);
            segment.state.size = u32::try_from(named.length).unwrap_or(u32::MAX);
            segment
        })
        .collect();
    segments.sort_by_key(|segment| segment.base_offset);
    let (mut snapshots, mut index_lengths) = (Vec::new(), BTreeMap::new());
    let mut has_new_names = false;
    for named in &files {
        let offset = named.file.base_offset;
        match named.file.kind {
            FileKind::ProducerSnapshot => snapshots.push(offset),
            FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TransactionIndex => {
                if segments.binary_search_by_key(&offset, |segment| segment.base_offset).is_err() {
                    disk.remove_file(&below(folder, &named.name))?;
                    has_new_names = true;
                } else {
                    index_lengths.insert((offset, named.file.kind), named.length);
                }
            }
            FileKind::Records
            | FileKind::PartitionMetadata
            | FileKind::LeaderEpochs
            | FileKind::FailedSync => {}
        }
    }
    snapshots.sort_unstable();
    Ok(Found { segments, snapshots, index_lengths, small_files, has_new_names, is_doubtful })
}
