//! A segment that was read whole, compared with its index files: what differs is written and
//! synced, what is as it should be is left alone.

use std::ops::Range;

use strom_base::{Planted, planted};

use super::segment_scan::{ScanEnd, SegmentScan};
use super::{Recovery, RecoveryError};
use crate::disk::{Disk, DiskPath, FileKind};
use crate::format::index_entry::IndexEntry;
use crate::index::{INDEX_TAIL_MAX, SegmentIndex};
use crate::segment::Segment;

/// More zeros at the end of a file than a log puts there ahead are cut off unread.
const FILLED_BYTES_MAX: u64 = 8 << 20;
const PIECE_LENGTH: usize = 256 << 10;

/// What a segment's file has behind the records that stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    Nothing,
    /// Zeros that were put there for records to come, in the last segment.
    Filled,
    /// Zeros in a closed segment that holds all up to the next one: the cut of its roll failed.
    Uncut,
    /// What is no batch: there the log ends.
    Damage,
}

impl Behind {
    /// Whether the log cannot go on in the next segment.
    pub(super) fn is_end(self) -> bool {
        matches!(self, Behind::Filled | Behind::Damage)
    }
}

impl Recovery {
    /// Whether only zeros lie behind the records, and what that means.
    pub(super) fn behind_records(
        &self,
        disk: &dyn Disk,
        index: usize,
        scan: &SegmentScan,
        end: ScanEnd,
    ) -> Result<Behind, RecoveryError> {
        if end != ScanEnd::Bad {
            return Ok(Behind::Nothing);
        }
        let is_closed = index + 1 < self.segments.len();
        // A torn record, and its offset with it, would be missing before the next segment.
        let is_complete = is_closed && self.base_offset(index + 1) == scan.end_offset;
        let file_length = self.segments.get(index).map_or(0, Segment::size);
        let size = scan.segment.size();
        let is_short = file_length.saturating_sub(size) <= FILLED_BYTES_MAX;
        // Who syncs all that is there has nothing put ahead: what it has behind its end is torn.
        let may_be_filled = !is_closed && is_short && !self.options.syncs_kept;
        let path = self.segment_file(scan.segment.base_offset, FileKind::Records);
        if (is_complete || may_be_filled) && is_zeros(disk, &path, size..file_length)? {
            return Ok(if is_closed { Behind::Uncut } else { Behind::Filled });
        }
        Ok(Behind::Damage)
    }

    /// Takes a scanned segment for what it is; cuts its file where something else follows.
    pub(super) fn keep_scanned(
        &mut self,
        disk: &mut dyn Disk,
        index: usize,
        scan: SegmentScan,
        behind: Behind,
    ) -> Result<(), RecoveryError> {
        let (mut segment, found) = (scan.segment, scan.found);
        segment.add_time_entry();
        let length = self.segments.get(index).map_or(0, Segment::size);
        if behind == Behind::Filled {
            segment.filled_to = u32::try_from(length).unwrap_or(u32::MAX);
        } else if behind != Behind::Nothing {
            // Synced at once: what lay behind the cut must not come back behind what is appended.
            let records = self.segment_file(segment.base_offset, FileKind::Records);
            let is_lost = behind == Behind::Damage;
            let cut = length.saturating_sub(segment.size());
            self.truncated_bytes += if is_lost { cut } else { 0 };
            disk.truncate(&records, segment.size())?;
            disk.sync(&records)?;
        }
        let base_offset = segment.base_offset;
        let offset_file = (base_offset, FileKind::OffsetIndex);
        let bytes = self.behind(offset_file, &segment.offsets);
        let offsets = found.offsets.join(&segment.offsets, bytes, |last, own| {
            own.relative_offset > last.relative_offset && own.position > last.position
        });
        let time_file = (base_offset, FileKind::TimeIndex);
        let bytes = self.behind(time_file, &segment.times);
        let times = found.times.join(&segment.times, bytes, |last, own| {
            own.relative_offset > last.relative_offset && own.timestamp > last.timestamp
        });
        let is_true = offsets.is_some() && times.is_some();
        let (offsets, times) = (offsets.unwrap_or(segment.offsets), times.unwrap_or(segment.times));
        // The active segment's indexes may lag behind in their files, as while the log runs. But not
        // below the recovery point: there the next start takes an offset's entry for a sign that the
        // times up to it are on file. So times go first.
        let is_active = behind.is_end() || index + 1 == self.segments.len();
        let synced = self.options.recovery_point.saturating_sub(base_offset);
        let is_behind = |relative_offset: u32| i64::from(relative_offset) >= synced;
        let most = if is_active { INDEX_TAIL_MAX } else { 0 };
        let may_lag =
            |behind: usize, all: usize| if behind == all { most } else { most.min(behind) };
        let offsets_behind = offsets.tail_count(|it| is_behind(it.relative_offset));
        let are_found = is_true && offsets_behind == offsets.tail_len();
        let times_behind = times.tail_count(|it| are_found || is_behind(it.relative_offset));
        let times_may_lag = may_lag(times_behind, times.tail_len());
        let offsets_may_lag = may_lag(offsets_behind, offsets.tail_len());
        if is_active {
            segment.times = self.keep_index(disk, time_file, times, times_may_lag)?;
            segment.offsets = self.keep_index(disk, offset_file, offsets, offsets_may_lag)?;
        } else {
            // Of a closed segment the one that is lost is made again last: it is the sign that the start
            // came so far.
            segment.offsets = self.keep_index(disk, offset_file, offsets, offsets_may_lag)?;
            segment.times = self.keep_index(disk, time_file, times, times_may_lag)?;
        }
        let file = (base_offset, FileKind::TransactionIndex);
        if segment.transactions.len() > 0 {
            segment.transactions = self.keep_index(disk, file, segment.transactions, 0)?;
        } else if self.index_lengths.contains_key(&file) {
            disk.remove_file(&self.segment_file(base_offset, FileKind::TransactionIndex))?;
            self.has_new_names = true;
        }
        if let Some(slot) = self.segments.get_mut(index) {
            *slot = segment;
        }
        Ok(())
    }

    /// Bytes that an index's file has behind the entries known to lie in it.
    fn behind<E: IndexEntry>(&self, file: (i64, FileKind), index: &SegmentIndex<E>) -> u64 {
        let length = self.index_lengths.get(&file).copied().unwrap_or(0);
        length.saturating_sub(u64::from(index.on_file()) * E::LENGTH as u64)
    }

    /// Makes an index's file hold what the index does, but for at most `may_lag` entries at the
    /// end, which stay in memory.
    fn keep_index<E: IndexEntry>(
        &mut self,
        disk: &mut dyn Disk,
        (base_offset, kind): (i64, FileKind),
        index: SegmentIndex<E>,
        may_lag: usize,
    ) -> Result<SegmentIndex<E>, RecoveryError> {
        let path = self.segment_file(base_offset, kind);
        let length = self.index_lengths.get(&(base_offset, kind)).copied();
        let (position, bytes) = (u64::from(index.on_file()) * E::LENGTH as u64, index.tail_bytes());
        let there = length.unwrap_or(0).saturating_sub(position);
        let mut sound = 0;
        let expected = usize::try_from(there).ok().and_then(|there| bytes.get(..there));
        if let Some(expected) = expected.filter(|it| !it.is_empty()) {
            let mut found = vec![0; expected.len()];
            let read = disk.read_at(&path, position, &mut found)?;
            let is_same = found == expected || planted(Planted::IndexKeptUnread);
            let is_sound = read == found.len() && is_same && read % E::LENGTH == 0;
            sound = if is_sound { read / E::LENGTH } else { 0 };
        }
        let is_sound = sound as u64 * E::LENGTH as u64 == there;
        let lag = bytes.len() / E::LENGTH - sound;
        let is_there = length.is_some() || (may_lag > 0 && position == 0);
        if is_sound && is_there && lag <= may_lag {
            let entries = index.on_file() + sound as u32;
            return Ok(index.found_on_file(entries, length.is_some()));
        }
        disk.write_at(&path, position, &bytes)?;
        disk.truncate(&path, position + bytes.len() as u64)?;
        disk.sync(&path)?;
        self.has_new_names |= length.is_none();
        Ok(SegmentIndex::from_file(index.len()))
    }
}

/// Whether a range of a file is there, and nothing but zeros.
fn is_zeros(disk: &dyn Disk, path: &DiskPath, range: Range<u64>) -> Result<bool, RecoveryError> {
    let length = range.end.saturating_sub(range.start);
    let mut bytes = vec![0; length.min(PIECE_LENGTH as u64) as usize];
    let mut at = range.start;
    while at < range.end {
        let length = (range.end - at).min(PIECE_LENGTH as u64) as usize;
        let piece = bytes.get_mut(..length).unwrap_or_default();
        let read = disk.read_at(path, at, piece)?;
        // All of the piece at once, not byte by byte until one is found: mostly there is none.
        if read != length || piece.iter().fold(0, |all, byte| all | byte) != 0 {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}
