//! Scanning the segments that are not trusted, and making the log consistent as a whole.

use strom_base::{Planted, planted};
use strom_protocol::records::EndTransactionMarker;

use super::found_index::FoundIndex;
use super::keep::Behind;
use super::segment_scan::{ScanEnd, ScanTask, SegmentScan};
use super::{Recovery, RecoveryError, Stage, below};
use crate::disk::{Disk, DiskError, FileKind};
use crate::entry::BatchEntry;
use crate::format::index_entry::TransactionEntry;
use crate::format::{file_name, leader_epoch_checkpoint};
use crate::index::SegmentIndex;
use crate::producers::ProducerStates;
use crate::segment::Segment;

const SEGMENT_KINDS: [FileKind; 4] =
    [FileKind::Records, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];

impl Recovery {
    pub(super) fn begin_scan(
        &mut self,
        disk: &dyn Disk,
        index: usize,
    ) -> Result<(), RecoveryError> {
        if index >= self.segments.len() {
            self.stage = Stage::Finish;
            return Ok(());
        }
        let base_offset = self.base_offset(index);
        if index == self.scan_from {
            self.log_end_offset = base_offset;
        }
        let mut scan = Box::new(SegmentScan::new(base_offset));
        scan.found.offsets = FoundIndex::new(self.offset_entries(disk, base_offset)?);
        scan.found.times = FoundIndex::new(self.time_entries(disk, base_offset)?);
        self.stage = Stage::Scan { index, scan };
        Ok(())
    }

    pub(super) fn scan(
        &mut self,
        disk: &mut dyn Disk,
        index: usize,
        mut scan: Box<SegmentScan>,
        byte_budget: u64,
    ) -> Result<u64, RecoveryError> {
        let base_offset = scan.segment.base_offset;
        // A hole is where compaction let records go, or where a power failure took the end of the
        // segment before: then the roll's sync was not done, nor the snapshot behind it, and no recovery point
        // reaches so far.
        let is_torn_off = base_offset > self.log_end_offset.max(self.options.recovery_point)
            && self.snapshots.binary_search(&base_offset).is_err()
            && !planted(Planted::TornOffSegmentKept);
        if base_offset < self.log_end_offset || is_torn_off {
            // Where it overlaps the one before, what it holds was given out anew.
            self.drop_segments(disk, index)?;
            self.stage = Stage::Finish;
            return Ok(1);
        }
        let task = self.scan_task(disk, index, byte_budget);
        let (producers, epochs) = (&mut self.producers, &mut self.epochs);
        let mut on_batch =
            |entry: &BatchEntry, marker: Option<EndTransactionMarker>, segment: &mut Segment| {
                let Some(header) = entry.header else { return };
                let epoch = header.partition_leader_epoch;
                let is_skipped = epoch == 0 && planted(Planted::EpochZeroSkipped);
                if !is_skipped {
                    epochs.learn(epoch, header.base_offset);
                }
                if header.has_producer_id() {
                    note_producer(producers, entry, marker, segment);
                }
            };
        let (used, end) = scan.run(&task, &mut on_batch)?;
        if end == ScanEnd::OutOfBudget {
            self.stage = Stage::Scan { index, scan };
            return Ok(used);
        }
        self.log_end_offset = scan.end_offset;
        self.scanned_bytes += scan.scanned_bytes;
        let behind = self.behind_records(disk, index, &scan, end)?;
        self.keep_scanned(disk, index, *scan, behind)?;
        if behind.is_end() {
            self.lost_synced_records |= self.log_end_offset < self.options.recovery_point;
            self.drop_segments(disk, index + 1)?;
            self.stage = Stage::Finish;
        } else {
            self.begin_scan(disk, index + 1)?;
        }
        Ok(used)
    }

    /// Rebuilds offset and time index of a trusted segment; its records are left alone.
    pub(super) fn reindex(
        &mut self,
        disk: &mut dyn Disk,
        index: usize,
        mut scan: Box<SegmentScan>,
        byte_budget: u64,
    ) -> Result<u64, RecoveryError> {
        let task = self.scan_task(disk, index, byte_budget);
        let (used, end) = scan.run(&task, &mut |_, _, _| {})?;
        if end == ScanEnd::OutOfBudget {
            self.stage = Stage::Reindex { index, scan };
            return Ok(used);
        }
        let (size, transactions) = match self.segments.get(index) {
            Some(segment) => (segment.state.size, segment.transactions.clone()),
            None => (0, SegmentIndex::default()),
        };
        scan.segment.transactions = transactions;
        self.keep_scanned(disk, index, *scan, Behind::Nothing)?;
        if let Some(segment) = self.segments.get_mut(index) {
            segment.state.size = size;
        }
        self.stage = Stage::Load { next: index + 1 };
        Ok(used)
    }

    fn scan_task<'a>(&self, disk: &'a dyn Disk, index: usize, byte_budget: u64) -> ScanTask<'a> {
        ScanTask {
            disk,
            path: self.segment_file(self.base_offset(index), FileKind::Records),
            file_length: self.segments.get(index).map_or(0, Segment::size),
            index_interval_bytes: self.options.config.index_interval_bytes,
            byte_budget,
        }
    }

    /// Removes the files of all segments from `index` on.
    fn drop_segments(&mut self, disk: &mut dyn Disk, index: usize) -> Result<(), RecoveryError> {
        let kept = index.min(self.segments.len());
        for segment in self.segments.split_off(kept) {
            self.truncated_bytes += segment.size();
            self.has_new_names = true;
            for kind in SEGMENT_KINDS {
                remove_if_there(disk, &self.segment_file(segment.base_offset, kind))?;
            }
        }
        Ok(())
    }

    /// Forgets all producers of a log that begins anew, before its first file stands: a start that finds
    /// this one and a snapshot takes what that says for true.
    fn drop_snapshots(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        self.producers = ProducerStates::default();
        for offset in self.snapshots.drain(..).chain(self.damaged_snapshots.drain(..)) {
            let path = below(&self.path, &file_name::format(offset, FileKind::ProducerSnapshot));
            remove_if_there(disk, &path)?;
        }
        Ok(())
    }

    pub(super) fn complete(&mut self, disk: &mut dyn Disk) -> Result<u64, RecoveryError> {
        let first = self.segments.first().map_or(0, |segment| segment.base_offset);
        let log_start_offset = self.options.log_start_offset.unwrap_or(0).max(first);
        if self.segments.is_empty() || self.log_end_offset < log_start_offset {
            self.drop_segments(disk, 0)?;
            self.drop_snapshots(disk)?;
            let segment = Segment::new(log_start_offset, 0);
            let path = self.segment_file(log_start_offset, FileKind::Records);
            disk.write_at(&path, 0, &[])?;
            self.has_new_names = true;
            self.segments.push(segment);
            self.log_end_offset = log_start_offset;
        }
        self.log_start_offset = log_start_offset;
        self.producers.on_log_start(log_start_offset);
        self.settle_epochs(disk)?;
        self.settle_snapshots(disk)?;
        self.settle_synced(disk)?;
        self.stage = Stage::Done;
        Ok(1)
    }

    /// Names that are new or gone are synced before anything is written under them.
    fn settle_synced(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        let synced_offset =
            if self.is_all_trusted() { i64::MAX } else { self.options.recovery_point };
        self.synced_offset = synced_offset.clamp(0, self.log_end_offset);
        if self.options.syncs_kept {
            for segment in self.segments.get(self.scan_from..).unwrap_or_default() {
                for kind in SEGMENT_KINDS.into_iter().filter(|kind| segment.has_file(*kind)) {
                    disk.sync(&self.segment_file(segment.base_offset, kind))?;
                }
            }
            self.synced_offset = self.log_end_offset;
        }
        if self.is_doubtful {
            self.settle_doubt(disk)?;
        }
        let is_left_out = planted(Planted::RecoveredNamesUnsynced);
        if (self.has_new_names || self.options.syncs_kept) && !is_left_out {
            disk.sync_directory(&self.path)?;
        }
        Ok(())
    }

    fn settle_epochs(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        // A leadership without a record yet survives: whoever leads next begins where it did.
        self.epochs.truncate_from_end(self.log_end_offset.saturating_add(1));
        self.epochs.truncate_from_start(self.log_start_offset);
        if self.epochs != self.epochs_on_disk {
            let bytes = leader_epoch_checkpoint::format(self.epochs.entries());
            disk.replace(&self.file(leader_epoch_checkpoint::FILE_NAME), &bytes)?;
        }
        Ok(())
    }

    /// Snapshots behind the log's end go, and damaged ones. The others tell the truth: the log lets go of
    /// old ones. After a clean stop one comes in the place of the last: should this start not come to its
    /// end, the next one takes a log without any for one without producers.
    fn settle_snapshots(&mut self, disk: &mut dyn Disk) -> Result<(), RecoveryError> {
        let end = self.log_end_offset;
        let kept = self.snapshots.partition_point(|offset| *offset <= end);
        let mut gone = self.snapshots.split_off(kept);
        gone.append(&mut self.damaged_snapshots);
        if gone.is_empty() {
            return Ok(());
        }
        self.has_new_names = true;
        if self.options.clean && self.snapshots.is_empty() {
            let path = self.segment_file(end, FileKind::ProducerSnapshot);
            disk.replace(&path, &self.producers.snapshot())?;
            self.snapshots.push(end);
        }
        for offset in gone.into_iter().filter(|offset| !self.snapshots.contains(offset)) {
            remove_if_there(disk, &self.segment_file(offset, FileKind::ProducerSnapshot))?;
        }
        Ok(())
    }
}

fn note_producer(
    producers: &mut ProducerStates,
    entry: &BatchEntry,
    marker: Option<EndTransactionMarker>,
    segment: &mut Segment,
) {
    let Some(header) = &entry.header else { return };
    let (_, completed) = producers.apply(header, marker);
    if let Some(completed) = completed.filter(|completed| completed.is_aborted) {
        segment.transactions.push(TransactionEntry {
            producer_id: completed.producer_id,
            first_offset: completed.first_offset,
            last_offset: completed.last_offset,
            last_stable_offset: completed.last_stable_offset,
        });
    }
}

fn remove_if_there(disk: &mut dyn Disk, path: &crate::disk::DiskPath) -> Result<(), DiskError> {
    match disk.remove_file(path) {
        Err(DiskError::NotFound(_)) => Ok(()),
        result => result,
    }
}
