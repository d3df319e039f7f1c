//! Opening a log that lies on disk: a job over [`Disk`], in steps.
//!
//! After a clean stop indexes and the newest producer snapshot are trusted. After a crash all from
//! shortly before the recovery point on is read: checksums, offsets, indexes, epochs and producers;
//! the log is cut at the first batch that does not stand, as Apache Kafka cuts it.
//!
//! What recovery changes it syncs, what it finds in order it leaves alone: the recovery point stays
//! where it was until the log itself has synced what is behind it.

mod finish;
mod found_index;
mod indexed_end;
mod keep;
mod leftovers;
mod load;
mod recall;
mod replay;
mod resume;
mod segment_scan;
mod write_anew;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::LogConfig;
use crate::disk::{Disk, DiskError, DiskPath, FileKind};
use crate::epochs::LeaderEpochs;
use crate::format::{file_name, leader_epoch_checkpoint};
use crate::log::{FAILED_SYNC_NOTE, ReadError};
use crate::producers::ProducerStates;
use crate::segment::Segment;
use load::DiskRecords;
use replay::Replay;
use resume::header_at;
use segment_scan::SegmentScan;

/// Checkpoint files above this are nobody's.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 20;

/// What is known about a log before its files are looked at.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    pub config: Arc<LogConfig>,
    /// From `recovery-point-offset-checkpoint`; 0 when missing.
    pub recovery_point: i64,
    /// From `log-start-offset-checkpoint`.
    pub log_start_offset: Option<i64>,
    /// The directory was shut down cleanly: nothing is scanned.
    pub clean: bool,
    /// The owner counts as synced whatever the log holds, as a quorum does: it is synced first.
    pub syncs_kept: bool,
}

/// A log as it was found: what `Log::open` takes.
#[derive(Clone, Debug)]
pub struct RecoveredLog {
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    /// Below it all is synced: the recovery point, unless more is known.
    pub synced_offset: i64,
    /// Bytes that had to be scanned, and will have to be again until they are synced.
    pub scanned_bytes: u64,
    /// Bytes removed at the end because no valid batch stood there.
    pub truncated_bytes: u64,
    /// The cut fell below the recovery point: bytes that had been synced were damaged, which is no
    /// torn tail.
    pub lost_synced_records: bool,
    pub(crate) segments: Vec<Segment>,
    /// Closed, and ending at the recovery point, of a life that did not end well: the cut of its file may
    /// still be only the system's, and no later sync would name it.
    pub(crate) owing_segment: Option<i64>,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: ProducerStates,
    pub(crate) snapshots: Vec<i64>,
    /// The log's own small files that no sync is known to have covered.
    pub(crate) unsynced_files: Vec<FileKind>,
}

impl RecoveredLog {
    /// Nothing was ever appended, as far as can be seen.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.log_end_offset == 0 && self.segments.iter().all(|segment| segment.size() == 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running { segments_left: usize },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file that cannot be rebuilt; the log directory is not usable as it is.
    #[error("{path}: {reason}")]
    Damaged { path: String, reason: String },
}

impl RecoveryError {
    fn from_read(error: ReadError, path: &DiskPath) -> RecoveryError {
        match error {
            ReadError::Disk(error) => RecoveryError::Disk(error),
            error => RecoveryError::Damaged { path: path.path.clone(), reason: error.to_string() },
        }
    }
}

/// The steppable job.
pub struct Recovery {
    path: DiskPath,
    options: RecoveryOptions,
    stage: Stage,
    segments: Vec<Segment>,
    index_lengths: BTreeMap<(i64, FileKind), u64>,
    /// Segments from this index on are scanned.
    scan_from: usize,
    epochs: LeaderEpochs,
    /// As the checkpoint file has them.
    epochs_on_disk: LeaderEpochs,
    producers: ProducerStates,
    snapshots: Vec<i64>,
    damaged_snapshots: Vec<i64>,
    small_files: Vec<FileKind>,
    log_start_offset: i64,
    log_end_offset: i64,
    synced_offset: i64,
    scanned_bytes: u64,
    truncated_bytes: u64,
    lost_synced_records: bool,
    /// Files were made or removed: the folder has to be synced.
    has_new_names: bool,
    /// A sync has failed in an earlier life: what is read may not be on the disk.
    is_doubtful: bool,
}

enum Stage {
    Begin,
    /// Segments before `scan_from`, by their indexes.
    Load {
        next: usize,
    },
    /// Rebuilds the indexes of one segment whose index files are damaged.
    Reindex {
        index: usize,
        scan: Box<SegmentScan>,
    },
    /// Producers up to where scanning begins.
    Replay(Box<Replay>),
    Scan {
        index: usize,
        scan: Box<SegmentScan>,
    },
    Finish,
    Done,
}

impl Recovery {
    #[must_use]
    pub fn new(path: DiskPath, options: RecoveryOptions) -> Recovery {
        Recovery {
            path,
            options,
            stage: Stage::Begin,
            segments: Vec::new(),
            index_lengths: BTreeMap::new(),
            scan_from: 0,
            epochs: LeaderEpochs::default(),
            epochs_on_disk: LeaderEpochs::default(),
            producers: ProducerStates::default(),
            snapshots: Vec::new(),
            damaged_snapshots: Vec::new(),
            small_files: Vec::new(),
            log_start_offset: 0,
            log_end_offset: 0,
            synced_offset: 0,
            scanned_bytes: 0,
            truncated_bytes: 0,
            lost_synced_records: false,
            has_new_names: false,
            is_doubtful: false,
        }
    }

    /// Works through about `byte_budget` bytes.
    ///
    /// # Errors
    /// The disk fails, or a checkpoint that cannot be rebuilt is damaged.
    pub fn step(
        &mut self,
        disk: &mut dyn Disk,
        byte_budget: u64,
    ) -> Result<Progress, RecoveryError> {
        let mut budget = byte_budget.max(1);
        while budget > 0 {
            let used = match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Begin => self.begin(disk)?,
                Stage::Load { next } => self.load(disk, next)?,
                Stage::Reindex { index, scan } => self.reindex(disk, index, scan, budget)?,
                Stage::Replay(replay) => self.replay(disk, *replay)?,
                Stage::Scan { index, scan } => self.scan(disk, index, scan, budget)?,
                Stage::Finish => self.complete(disk)?,
                Stage::Done => return Ok(Progress::Done),
            };
            budget = budget.saturating_sub(used.max(1));
        }
        Ok(self.progress())
    }

    fn progress(&self) -> Progress {
        let done = match &self.stage {
            Stage::Begin => return Progress::Running { segments_left: 0 },
            Stage::Load { next } => *next,
            Stage::Reindex { index, .. } | Stage::Scan { index, .. } => *index,
            Stage::Replay(_) => self.scan_from,
            Stage::Finish => self.segments.len(),
            Stage::Done => return Progress::Done,
        };
        Progress::Running { segments_left: self.segments.len().saturating_sub(done) }
    }

    /// The log, once `step` said `Done`.
    #[must_use]
    pub fn finish(self) -> RecoveredLog {
        // The sync that a recovery point tells of covered them.
        let is_covered = self.options.recovery_point > 0;
        let ends_at_the_point = self
            .segments
            .get(self.scan_from + 1)
            .is_some_and(|next| next.base_offset == self.options.recovery_point);
        let owing_segment = ends_at_the_point.then(|| self.base_offset(self.scan_from));
        RecoveredLog {
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset,
            synced_offset: self.synced_offset,
            scanned_bytes: self.scanned_bytes,
            truncated_bytes: self.truncated_bytes,
            lost_synced_records: self.lost_synced_records,
            owing_segment,
            segments: self.segments,
            epochs: self.epochs,
            producers: self.producers,
            snapshots: self.snapshots,
            unsynced_files: if is_covered { Vec::new() } else { self.small_files },
        }
    }

    fn begin(&mut self, disk: &mut dyn Disk) -> Result<u64, RecoveryError> {
        let found = leftovers::clean_up(disk, &self.path)?;
        self.has_new_names = found.has_new_names;
        self.is_doubtful = found.is_doubtful;
        // The stop was as clean as could be.
        self.options.clean &= !found.is_doubtful;
        self.snapshots = found.snapshots;
        self.segments = found.segments;
        self.index_lengths = found.index_lengths;
        self.small_files = found.small_files;
        if self.is_doubtful {
            self.write_anew(disk)?;
        }
        let epochs = self.read_epochs(disk)?;
        self.scan_from = match &epochs {
            // Only the batches themselves tell when each epoch began.
            None => 0,
            Some(_) if self.options.clean => self.segments.len(),
            Some(_) => {
                let point = self.options.recovery_point;
                // With the segment that ends at the point: its cut may be what was lost.
                let after = self.segments.partition_point(|segment| segment.base_offset < point);
                after.saturating_sub(1)
            }
        };
        self.epochs_on_disk = epochs.unwrap_or_default();
        self.epochs = self.epochs_on_disk.clone();
        self.stage = Stage::Load { next: 0 };
        Ok(1)
    }

    /// `None`: the file is damaged, or gone. A machine that lost power may leave one without its bytes.
    fn read_epochs(&self, disk: &dyn Disk) -> Result<Option<LeaderEpochs>, RecoveryError> {
        if !self.small_files.contains(&FileKind::LeaderEpochs) {
            // Without records there is nothing to read it from either.
            let has_records = self.segments.iter().any(|it| it.size() > 0);
            return Ok((!has_records).then(LeaderEpochs::default));
        }
        let path = self.file(leader_epoch_checkpoint::FILE_NAME);
        let bytes = disk.read_file(&path, CHECKPOINT_BYTES_MAX)?;
        // Apache Kafka makes its checkpoints empty; ours are never that, but for a loss of power.
        let is_empty = bytes.is_empty() && self.segments.iter().any(|it| it.size() > 0);
        let entries = leader_epoch_checkpoint::parse(&bytes).ok().filter(|_| !is_empty);
        let epochs = entries.map(LeaderEpochs::new);
        match &epochs {
            Some(found) if self.begins_before(found, disk)? => Ok(None),
            _ => Ok(epochs),
        }
    }

    /// Whether the log begins with records of an epoch that the checkpoint has let go: where records were
    /// deleted and the power failed before the new start was on the disk, they are back.
    fn begins_before(&self, epochs: &LeaderEpochs, disk: &dyn Disk) -> Result<bool, RecoveryError> {
        let (Some(oldest), Some(first)) = (epochs.entries().first(), self.segments.first()) else {
            return Ok(false);
        };
        let start = self.options.log_start_offset.unwrap_or(0).max(first.base_offset);
        // Of a log that was never synced nothing is promised.
        let is_synced = self.options.recovery_point > 0;
        if self.options.clean || !is_synced || oldest.start_offset <= start {
            return Ok(false);
        }
        let path = self.segment_file(first.base_offset, FileKind::Records);
        let source = DiskRecords { disk, path, segment: first.base_offset };
        let header = header_at(&source, 0, first.size())?.and_then(|it| it.entry.header);
        Ok(header.is_some_and(|it| (0..oldest.epoch).contains(&it.partition_leader_epoch)))
    }

    fn file(&self, name: &str) -> DiskPath {
        below(&self.path, name)
    }

    fn segment_file(&self, base_offset: i64, kind: FileKind) -> DiskPath {
        self.file(&file_name::format(base_offset, kind))
    }
}

fn below(folder: &DiskPath, name: &str) -> DiskPath {
    DiskPath { directory: folder.directory, path: format!("{}/{name}", folder.path) }
}

/// All steps at once.
///
/// # Errors
/// As [`Recovery::step`].
pub fn recover_log(
    disk: &mut dyn Disk,
    path: &DiskPath,
    options: RecoveryOptions,
) -> Result<RecoveredLog, RecoveryError> {
    let mut recovery = Recovery::new(path.clone(), options);
    loop {
        match recovery.step(disk, u64::MAX) {
            Ok(Progress::Done) => return Ok(recovery.finish()),
            Ok(Progress::Running { .. }) => {}
            Err(error) => {
                if let RecoveryError::Disk(DiskError::Io(_)) = &error {
                    // It may have been a sync: the next start must not take what it reads for safe. A disk
                    // that takes no note, either, is not to be helped.
                    let note = below(path, &file_name::format(0, FileKind::FailedSync));
                    drop(disk.write_file(&note, FAILED_SYNC_NOTE));
                }
                return Err(error);
            }
        }
    }
}
