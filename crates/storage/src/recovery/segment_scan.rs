//! Reading a segment whole: which batches stand, and the indexes they make.

use crc_fast::{CrcAlgorithm, Digest};
use strom_base::{Planted, planted};
use strom_protocol::records::{ATTRIBUTES_OFFSET, EndTransactionMarker};

use crate::disk::{Disk, DiskError, DiskPath};
use crate::entry::{BatchEntry, PARSE_LENGTH};
use crate::producers::marker_of;
use crate::segment::Segment;

use super::found_index::FoundIndexes;

const BUFFER_LENGTH: usize = 256 << 10;

/// A segment being read, up to `segment.size()`.
pub(super) struct SegmentScan {
    /// As its batches say; its indexes are in memory only.
    pub(super) segment: Segment,
    /// No later batch may begin below.
    pub(super) end_offset: i64,
    pub(super) scanned_bytes: u64,
    /// Entries on file behind those of the segment's indexes, as far as the batches have confirmed them.
    pub(super) found: FoundIndexes,
    buffer: Vec<u8>,
    buffer_position: u64,
}

/// What a scan works on.
pub(super) struct ScanTask<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) path: DiskPath,
    pub(super) file_length: u64,
    pub(super) index_interval_bytes: u32,
    pub(super) byte_budget: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanEnd {
    OutOfBudget,
    /// The file ends with a sound batch.
    Whole,
    /// Something that is no sound batch stands at the end of what was taken.
    Bad,
}

impl SegmentScan {
    pub(super) fn new(base_offset: i64) -> SegmentScan {
        SegmentScan {
            segment: Segment::new(base_offset, 0),
            end_offset: base_offset,
            scanned_bytes: 0,
            found: FoundIndexes::default(),
            buffer: Vec::new(),
            buffer_position: 0,
        }
    }

    /// Goes on until the budget is used up or the file ends. `on_batch` sees each sound batch and
    /// what its marker says, and may add to the segment's transaction index.
    pub(super) fn run(
        &mut self,
        task: &ScanTask<'_>,
        on_batch: &mut dyn FnMut(&BatchEntry, Option<EndTransactionMarker>, &mut Segment),
    ) -> Result<(u64, ScanEnd), DiskError> {
        let start = self.segment.size();
        loop {
            let position = self.segment.size();
            if position >= task.file_length {
                return Ok((position - start, ScanEnd::Whole));
            }
            if position - start >= task.byte_budget {
                return Ok((position - start, ScanEnd::OutOfBudget));
            }
            let Some((entry, marker)) = self.surely_sound_batch(task, position)? else {
                return Ok((position - start, ScanEnd::Bad));
            };
            self.segment.add(&entry, task.index_interval_bytes);
            self.found.compare(&entry, position, &self.segment);
            self.end_offset = entry.last_offset + 1;
            self.scanned_bytes += entry.size as u64;
            on_batch(&entry, marker, &mut self.segment);
        }
    }

    /// Nothing is cut off for bytes that came wrong from the disk once.
    fn surely_sound_batch(
        &mut self,
        task: &ScanTask<'_>,
        position: u64,
    ) -> Result<Option<(BatchEntry, Option<EndTransactionMarker>)>, DiskError> {
        let found = self.sound_batch(task, position)?;
        if found.is_some() || planted(Planted::WrongReadBelieved) {
            return Ok(found);
        }
        self.buffer.clear();

        self.sound_batch(task, position)
    }

    fn sound_batch(
        &mut self,
        task: &ScanTask<'_>,
        position: u64,
    ) -> Result<Option<(BatchEntry, Option<EndTransactionMarker>)>, DiskError> {
        let left = task.file_length - position;
        let header = self.bytes(task, position, left.min(PARSE_LENGTH as u64))?;
        let Ok(entry) = BatchEntry::parse(header) else { return Ok(None) };
        let relative = entry.last_offset.saturating_sub(self.segment.base_offset);
        let continues = entry.base_offset >= self.end_offset && relative <= i64::from(i32::MAX);
        if entry.size as u64 > left || !continues {
            return Ok(None);
        }
        if entry.size > BUFFER_LENGTH {
            let is_intact = is_large_batch_intact(task, position, &entry)?;
            return Ok(is_intact.then_some((entry, None)));
        }
        let batch = self.bytes(task, position, entry.size as u64)?;
        if !entry.is_intact(batch) && !planted(Planted::ChecksumUnread) {
            return Ok(None);
        }
        let control = entry.header.filter(|header| header.is_control());
        let marker = control.and_then(|header| marker_of(&header, batch));
        Ok(Some((entry, marker)))
    }

    /// At least `wanted` bytes at `position` unless the file is shorter than it was.
    fn bytes(
        &mut self,
        task: &ScanTask<'_>,
        position: u64,
        wanted: u64,
    ) -> Result<&[u8], DiskError> {
        let end = position + wanted;
        let held_end = self.buffer_position + self.buffer.len() as u64;
        if position < self.buffer_position || end > held_end {
            let length = (task.file_length - position).min(BUFFER_LENGTH as u64) as usize;
            self.buffer.resize(length, 0);
            let read = task.disk.read_at(&task.path, position, &mut self.buffer)?;
            self.buffer.truncate(read);
            self.buffer_position = position;
        }
        let start = (position - self.buffer_position) as usize;
        let end = (start + wanted as usize).min(self.buffer.len());
        Ok(self.buffer.get(start..end).unwrap_or_default())
    }
}

/// The checksum of a batch that is not held in memory: its length may be garbage.
fn is_large_batch_intact(
    task: &ScanTask<'_>,
    position: u64,
    entry: &BatchEntry,
) -> Result<bool, DiskError> {
    let Some(header) = entry.header else {
        // Old brokers wrote no messages of this size by default; read as a whole.
        let mut batch = vec![0; entry.size];
        let read = task.disk.read_at(&task.path, position, &mut batch)?;
        return Ok(entry.is_intact(batch.get(..read).unwrap_or_default()));
    };
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    let (mut at, end) = (position + ATTRIBUTES_OFFSET as u64, position + entry.size as u64);
    let mut chunk = vec![0; BUFFER_LENGTH];
    while at < end {
        let length = (end - at).min(BUFFER_LENGTH as u64) as usize;
        let piece = chunk.get_mut(..length).unwrap_or_default();
        let read = task.disk.read_at(&task.path, at, piece)?;
        if read == 0 {
            return Ok(false);
        }
        digest.update(piece.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(digest.finalize() as u32 == header.crc)
}
