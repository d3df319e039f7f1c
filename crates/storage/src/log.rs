//! The machine: appends come in, disk effects go out, completions move the written offset.
//!
//! An append changes the state at once and asks for one write. Until the write is kept the append
//! is pending and can be taken back; see [`complete`]. Every other change follows from that rule:
//! what is pending is never read, synced or deleted.

mod ahead;
pub mod append;
pub mod close;
mod commit;
mod complete;
mod epoch_checkpoint;
mod examine;
mod folder;
mod follower;
mod offsets;
mod pending;
pub mod read;
mod recent;
mod removal;
mod retention;
mod roll;
mod sync;
mod timestamp;
pub mod truncate;
mod validate;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use strom_base::{Now, Uuid};

pub use append::{AppendError, AppendOrigin, AppendRequest, Appended, RecordError};
pub use complete::Completed;
pub(crate) use complete::FAILED_SYNC_NOTE;
pub use examine::{Examination, Examined};
pub use read::{AbortedTransaction, ReadError, ReadRequest, ReadSlice};
pub use timestamp::{BatchSearch, SearchFrom, SearchLimits, Searched, Sought, TimestampAndOffset};
pub use truncate::Truncation;

use crate::config::LogConfig;
use crate::disk::{DirectoryId, DiskEffect, DiskError, DiskPath, FileId, FileKind, LogId, Ticket};
use crate::epochs::LeaderEpochs;
use crate::format::{directory_name, file_name};
use crate::producers::{ProducerEntry, ProducerStates};
use crate::recovery::RecoveredLog;
use crate::segment::Segment;
use ahead::SyncedAppends;
use epoch_checkpoint::EpochCheckpoint;
use folder::Folder;
use offsets::Offsets;
use pending::{AwaitedSnapshot, PendingAppend, Promise};
use recent::RecentBatches;
use removal::Removal;

/// Whose log this is and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    pub id: LogId,
    pub directory: DirectoryId,
    pub topic: Arc<str>,
    pub partition: i32,
    /// Zero: unknown (no `partition.metadata` is written, as for `__cluster_metadata`).
    pub topic_id: Uuid,
}

/// One partition's log.
#[derive(Debug)]
pub struct Log {
    identity: LogIdentity,
    config: Arc<LogConfig>,
    /// Never empty; ascending base offsets; the last one is active.
    segments: Vec<Segment>,
    epochs: LeaderEpochs,
    epoch_checkpoint: EpochCheckpoint,
    producers: ProducerStates,
    /// Offsets of the producer snapshots on disk, ascending.
    snapshots: Vec<i64>,
    /// Those that are written once what they count is safe, oldest first.
    awaited_snapshots: Vec<AwaitedSnapshot>,
    offsets: Offsets,
    recent: RecentBatches,
    /// Appends whose writes are under way, oldest first.
    pending: VecDeque<PendingAppend>,
    /// What else was asked of the disk, oldest first.
    promises: Vec<(u64, Promise)>,
    next_sequence: u64,
    removal: Removal,
    /// Monotonic; when the oldest unsynced record was appended.
    unsynced_since_ms: Option<u64>,
    /// Monotonic; when a sync is tried again for which there was no room.
    sync_again_ms: Option<u64>,
    /// A sync found no room, and why; those asked for before this sequence may have left to it what they
    /// would have named.
    postponed: Option<(u64, DiskError)>,
    synced_appends: SyncedAppends,
    /// Appended since the last sync in the background, or the last roll.
    bytes_since_sync: u64,
    folder: Folder,
    /// The small files made with the folder, until a sync has named them.
    unsynced_files: Vec<FileKind>,
    /// From this ticket on what is asked is asked of the folder that there is.
    files_since: u64,
    /// The active segment may have no file, for want of room.
    lacks_records_file: bool,
    /// Segments below the recovery point whose indexes the next sync has to name, by base offset.
    owing_segments: Vec<i64>,
    /// Those that were named by a sync of which nothing is known yet, behind the sequence of its ticket.
    asked_segments: Vec<(u64, i64)>,
    /// An orderly end was asked for: indexes are written to their last entry.
    is_closing: bool,
    /// A sync in the background is done and its recovery point in no checkpoint yet.
    has_new_recovery_point: bool,
    failure: Option<DiskError>,
}

type Out = Vec<DiskEffect>;

impl Log {
    /// A new, empty log starting at offset 0. Its folder is made with its first append: see
    /// [`Log::make_folder`].
    pub fn create(identity: LogIdentity, config: Arc<LogConfig>, now: Now) -> Log {
        let first = Segment::new(0, now.wall_ms);
        let mut log = Log::from_parts(identity, config, vec![first], Offsets::default());
        log.folder = Folder::Missing;
        log
    }

    /// A log as recovery found it. The high watermark is the log start until it is advanced.
    pub fn open(
        identity: LogIdentity,
        config: Arc<LogConfig>,
        recovered: RecoveredLog,
        now: Now,
    ) -> Log {
        let offsets = Offsets {
            log_start: recovered.log_start_offset,
            high_watermark: recovered.log_start_offset,
            written: recovered.log_end_offset,
            synced: recovered.synced_offset,
            recovery_point: recovered.synced_offset,
            log_end: recovered.log_end_offset,
        };
        let mut log = Log::from_parts(identity, config, recovered.segments, offsets);
        log.epochs = recovered.epochs;
        log.producers = recovered.producers;
        log.snapshots = recovered.snapshots;
        log.unsynced_files = recovered.unsynced_files;
        log.bytes_since_sync = recovered.scanned_bytes;
        let is_synced = recovered.synced_offset >= recovered.log_end_offset;
        log.unsynced_since_ms = (!is_synced).then_some(now.monotonic_ms);
        log.owing_segments.extend(recovered.owing_segment);
        // Entries that recovery has found to be missing are not on file yet.
        log.offsets.recovery_point = log.offsets.recovery_point.min(log.indexed_end(false));
        for segment in &mut log.segments {
            segment.created_ms = now.wall_ms;
        }
        log
    }

    fn from_parts(
        identity: LogIdentity,
        config: Arc<LogConfig>,
        segments: Vec<Segment>,
        offsets: Offsets,
    ) -> Log {
        Log {
            identity,
            config,
            segments,
            epochs: LeaderEpochs::default(),
            epoch_checkpoint: EpochCheckpoint::default(),
            producers: ProducerStates::default(),
            snapshots: Vec::new(),
            awaited_snapshots: Vec::new(),
            offsets,
            recent: RecentBatches::default(),
            pending: VecDeque::new(),
            promises: Vec::new(),
            next_sequence: 0,
            removal: Removal::default(),
            unsynced_since_ms: None,
            sync_again_ms: None,
            synced_appends: SyncedAppends::default(),
            postponed: None,
            bytes_since_sync: 0,
            folder: Folder::Stands,
            unsynced_files: Vec::new(),
            files_since: 0,
            lacks_records_file: false,
            owing_segments: Vec::new(),
            asked_segments: Vec::new(),
            is_closing: false,
            has_new_recovery_point: false,
            failure: None,
        }
    }

    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(Segment::size).sum()
    }

    /// Base offset, bytes and largest timestamp of each segment, oldest first; the last is active.
    /// What jobs over closed segments start from.
    pub fn segments(&self) -> impl Iterator<Item = SegmentSummary> {
        self.segments.iter().map(|segment| SegmentSummary {
            base_offset: segment.base_offset,
            size: segment.size(),
            largest_timestamp: segment.largest_timestamp(),
        })
    }

    /// What is known of the producers, in the order of their ids (DescribeProducers).
    pub fn producers(&self) -> impl Iterator<Item = &ProducerEntry> {
        self.producers.iter()
    }

    /// The folder of this log.
    pub fn path(&self) -> DiskPath {
        let path = match &self.removal.folder {
            Some(folder) => folder.to_string(),
            None => directory_name::format(&self.identity.topic, self.identity.partition),
        };
        DiskPath { directory: self.identity.directory, path }
    }

    /// Where a file of this log lies now.
    pub fn path_of(&self, file: FileId) -> DiskPath {
        self.path_in_folder(&file_name::format(file.segment, file.kind))
    }

    fn path_in_folder(&self, name: &str) -> DiskPath {
        let mut path = self.path();
        path.path.push('/');
        path.path.push_str(name);
        path
    }

    /// After a disk failure that is no full disk the log takes no appends any more.
    pub fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Something asked of the disk is not kept yet.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || !self.promises.is_empty()
    }

    fn ticket(&mut self) -> Ticket {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ticket { log: self.identity.id, sequence }
    }

    fn promise(&mut self, promise: Promise) -> Ticket {
        let ticket = self.ticket();
        self.promises.push((ticket.sequence, promise));
        ticket
    }

    fn file(&self, segment: i64, kind: FileKind) -> FileId {
        FileId { log: self.identity.id, segment, kind }
    }

    /// A segment's file stands as soon as the segment does, as Kafka has it.
    fn create_records_file(&mut self, out: &mut Out) {
        if !self.has_folder() {
            return;
        }
        self.lacks_records_file = false;
        let file = self.file(self.active().base_offset, FileKind::Records);
        let ticket = self.promise(Promise::SmallFile);
        out.push(DiskEffect::Write { file, position: 0, bytes: Bytes::new(), ticket });
        if self.config.preallocate {
            let length = u64::from(self.config.segment_bytes);
            out.push(DiskEffect::Truncate { file, length });
        }
    }

    fn active(&self) -> &Segment {
        self.segments.last().expect("a log has at least one segment")
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has at least one segment")
    }

    /// Index of the segment that holds `offset`, or of the first one when it is below all.
    fn segment_index(&self, offset: i64) -> usize {
        let after = self.segments.partition_point(|segment| segment.base_offset <= offset);
        after.saturating_sub(1)
    }
}

/// One segment from the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    pub base_offset: i64,
    /// Bytes.
    pub size: u64,
    pub largest_timestamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_log_is_small() {
        let per_log = size_of::<Log>() + size_of::<Segment>() + recent::BYTES_MAX;
        assert!(per_log + 4 * size_of::<PendingAppend>() < 4096, "{per_log} bytes");
    }
}
