//! Producer state up to where scanning begins: the newest sound snapshot, then batch headers.

use std::ops::Range;

use strom_base::{Planted, planted};

use super::load::DiskRecords;
use super::resume::Resume;
use super::{Recovery, RecoveryError, Stage, below};
use crate::disk::{Disk, DiskError, DiskPath, FileId, FileKind, LogId, ReadFiles};
use crate::format::index_entry::OffsetEntry;
use crate::format::{file_name, producer_snapshot};
use crate::index::IndexFile;
use crate::log::ReadError;
use crate::producers::{ProducerStates, marker_of};
use crate::scan::{HeaderScan, read_batch};

/// A producer snapshot above this is damaged: it would hold twenty million producers.
const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;

pub(super) struct Replay {
    pub(super) next_offset: i64,
    pub(super) end_offset: i64,
    /// Where scanning begins inside of a segment, if it does.
    pub(super) resume: Option<Resume>,
}

/// The files of the folder by their ids, for index look-ups.
struct FolderFiles<'a> {
    disk: &'a dyn Disk,
    folder: &'a DiskPath,
}

impl ReadFiles for FolderFiles<'_> {
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let path = below(self.folder, &file_name::format(file.segment, file.kind));
        self.disk.read_at(&path, position, buffer)
    }
}

impl Recovery {
    /// Loads the newest sound snapshot at or below `end`; damaged ones are left for the end of the
    /// recovery. Returns the offset from which batches are to be replayed.
    pub(super) fn load_snapshot(
        &mut self,
        disk: &mut dyn Disk,
        end: i64,
    ) -> Result<i64, RecoveryError> {
        loop {
            let count = self.snapshots.partition_point(|offset| *offset <= end);
            let Some(index) = count.checked_sub(1) else { break };
            let Some(offset) = self.snapshots.get(index).copied() else { break };
            let path = self.segment_file(offset, FileKind::ProducerSnapshot);
            let bytes = disk.read_file(&path, SNAPSHOT_BYTES_MAX)?;
            if let Ok(mut entries) = producer_snapshot::parse(&bytes) {
                if planted(Planted::SnapshotForgotten) {
                    entries.clear();
                }
                self.producers = ProducerStates::from_snapshot(&entries);
                self.recall(disk, offset)?;
                return Ok(offset);
            }
            self.damaged_snapshots.push(self.snapshots.remove(index));
        }
        Ok(self.base_offset(0))
    }

    /// One segment a step.
    pub(super) fn replay(
        &mut self,
        disk: &mut dyn Disk,
        replay: Replay,
    ) -> Result<u64, RecoveryError> {
        let Replay { next_offset, end_offset, resume } = replay;
        let after = self.segments.partition_point(|segment| segment.base_offset <= next_offset);
        let index = after.saturating_sub(1);
        let ends_at = self.scan_from + usize::from(resume.is_some());
        if next_offset >= end_offset || index >= ends_at {
            match resume {
                Some(Resume { scan, .. }) => {
                    let index = self.scan_from;
                    self.log_end_offset = self.base_offset(index);
                    self.stage = Stage::Scan { index, scan };
                }
                None => self.begin_scan(disk, self.scan_from)?,
            }
            return Ok(1);
        }
        let used = self.replay_segment(disk, index, next_offset..end_offset)?;
        let next_offset = match self.segments.get(index + 1) {
            Some(next) => next.base_offset,
            None => end_offset,
        };
        self.stage = Stage::Replay(Box::new(Replay { next_offset, end_offset, resume }));
        Ok(used)
    }

    fn replay_segment(
        &mut self,
        disk: &dyn Disk,
        index: usize,
        offsets: Range<i64>,
    ) -> Result<u64, RecoveryError> {
        let Some(segment) = self.segments.get(index) else { return Ok(0) };
        let (base_offset, size) = (segment.base_offset, segment.size());
        let path = self.segment_file(base_offset, FileKind::Records);
        let source = DiskRecords { disk, path: path.clone(), segment: base_offset };
        let start = self.position_of(disk, index, offsets.start).unwrap_or(0);
        let mut scan = HeaderScan::new(&source, start, size);
        loop {
            let located = match scan.next() {
                Ok(Some(located)) => located,
                // What is damaged below the recovery point is not ours to judge here.
                Ok(None) | Err(ReadError::Corrupt { .. }) => break,
                Err(error) => return Err(RecoveryError::from_read(error, &path)),
            };
            if located.entry.base_offset >= offsets.end {
                return Ok(located.position - start.min(located.position));
            }
            let header = located.entry.header.filter(|header| header.has_producer_id());
            let header = header.filter(|header| header.base_offset >= offsets.start);
            let Some(header) = header else { continue };
            let marker = match header.is_control() {
                true => {
                    read_batch(&source, &located).ok().and_then(|batch| marker_of(&header, &batch))
                }
                false => None,
            };
            self.producers.apply(&header, marker);
        }
        Ok(size - start.min(size))
    }

    /// A position at or before the batch of `offset`, by the offset index.
    fn position_of(&self, disk: &dyn Disk, index: usize, offset: i64) -> Option<u64> {
        let relative = offset - self.base_offset(index);
        self.last_position(disk, index, |entry| i64::from(entry.relative_offset) <= relative)
    }

    /// Where a batch begins, at or before a position of a segment, by the offset index.
    pub(super) fn position_before(
        &self,
        disk: &dyn Disk,
        index: usize,
        position: u64,
    ) -> Option<u64> {
        self.last_position(disk, index, |entry| u64::from(entry.position) <= position)
    }

    /// The position of the last index entry for which `holds`, which is true up to some entry.
    fn last_position(
        &self,
        disk: &dyn Disk,
        index: usize,
        holds: impl Fn(&OffsetEntry) -> bool,
    ) -> Option<u64> {
        let segment = self.segments.get(index)?;
        let files = FolderFiles { disk, folder: &self.path };
        let file = segment.file(LogId(0), FileKind::OffsetIndex);
        let source = IndexFile { files: &files, file };
        let count = segment.offsets.partition_point(source, holds).ok()?;
        let entry = segment.offsets.get(count.checked_sub(1)?, source).ok()??;
        Some(u64::from(entry.position))
    }
}
