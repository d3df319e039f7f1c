//! The machine: appends come in, disk effects go out, completions move the written offset.

pub mod append;
pub mod complete;
pub mod read;
pub mod truncate;

use std::sync::Arc;

use strom_base::{Now, Uuid};

pub use append::{AppendError, AppendOrigin, AppendRequest, Appended, RecordError};
pub use complete::Completed;
pub use read::{AbortedTransaction, ReadError, ReadRequest, ReadSlice, TimestampAndOffset};
pub use truncate::Truncation;

use crate::config::LogConfig;
use crate::disk::{
    Completion, DirectoryId, DiskEffect, DiskPath, FileId, LogId, ReadFiles, Ticket,
};
use crate::recovery::RecoveredLog;
use bytes::Bytes;

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
pub struct Log {
    identity: LogIdentity,
    config: Arc<LogConfig>,
}

type Out = Vec<DiskEffect>;

impl Log {
    /// A new, empty log starting at offset 0: its folder, `partition.metadata`, first segment.
    pub fn create(identity: LogIdentity, config: Arc<LogConfig>, now: Now, out: &mut Out) -> Log {
        todo!()
    }

    /// A log as recovery found it.
    pub fn open(
        identity: LogIdentity,
        config: Arc<LogConfig>,
        recovered: RecoveredLog,
        now: Now,
    ) -> Log {
        todo!()
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

    pub fn log_start_offset(&self) -> i64 {
        todo!()
    }

    /// Exclusive; one past the last offset given out, written or not.
    pub fn log_end_offset(&self) -> i64 {
        todo!()
    }

    /// Exclusive; everything below is *written*: readable, and it outlives the process.
    pub fn written_offset(&self) -> i64 {
        todo!()
    }

    /// Exclusive; everything below is *synced*: the recovery point.
    pub fn synced_offset(&self) -> i64 {
        todo!()
    }

    pub fn high_watermark(&self) -> i64 {
        todo!()
    }

    /// What `read_committed` may see: the high watermark or the first open transaction, if lower.
    pub fn last_stable_offset(&self) -> i64 {
        todo!()
    }

    /// Raises the high watermark to `offset`, at most to the written offset. True when it moved.
    pub fn advance_high_watermark(&mut self, offset: i64) -> bool {
        todo!()
    }

    /// Moves the log start up (DeleteRecords, the leader's log start, a snapshot).
    /// False when it is already there. Above the high watermark: `OffsetOutOfRange`.
    /// Segments below go at the next retention check.
    pub fn increment_log_start_offset(
        &mut self,
        offset: i64,
        out: &mut Out,
    ) -> Result<bool, ReadError> {
        todo!()
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// The epoch of the last batch or of the last leadership; `None` for a log that never had one.
    pub fn latest_epoch(&self) -> Option<i32> {
        todo!()
    }

    /// The largest known epoch at or below `epoch` and where it ends (KIP-101);
    /// `None` when undefined (-1, -1).
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        todo!()
    }

    /// A leadership begins: the epoch starts at the log end offset. The ticket is kept when the
    /// epoch checkpoint is synced.
    pub fn start_epoch(&mut self, epoch: i32, out: &mut Out) -> Option<Ticket> {
        todo!()
    }

    /// Where a file of this log lies now.
    pub fn path_of(&self, file: FileId) -> DiskPath {
        todo!()
    }

    /// The folder of this log.
    pub fn path(&self) -> DiskPath {
        todo!()
    }

    pub fn append_as_leader(
        &mut self,
        now: Now,
        request: AppendRequest,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Appends exactly these bytes: one or more whole batches with offsets and epochs as the leader
    /// set them. A partial batch at the end is dropped; batches of an epoch above `leader_epoch`
    /// and all after them are skipped.
    pub fn append_as_follower(
        &mut self,
        now: Now,
        batches: Bytes,
        leader_epoch: i32,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Asks for everything appended so far to be synced.
    pub fn sync(&mut self, now: Now, out: &mut Out) -> Ticket {
        todo!()
    }

    /// A promise of this log was kept or broken.
    pub fn on_completed(&mut self, now: Now, completion: &Completion, out: &mut Out) -> Completed {
        todo!()
    }

    /// After a disk failure that is no full disk the log takes no appends any more.
    pub fn is_failed(&self) -> bool {
        todo!()
    }

    /// Where the records from `request.offset` on lie. Never crosses segments.
    pub fn read(
        &self,
        files: &dyn ReadFiles,
        request: &ReadRequest,
    ) -> Result<ReadSlice, ReadError> {
        todo!()
    }

    /// Aborted transactions that overlap `[from, upper)`, for `read_committed` fetches.
    pub fn aborted_transactions(
        &self,
        files: &dyn ReadFiles,
        from: i64,
        upper: i64,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        todo!()
    }

    /// The first record at or after `timestamp`.
    pub fn offset_for_timestamp(
        &self,
        files: &dyn ReadFiles,
        timestamp: i64,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        todo!()
    }

    /// The record with the largest timestamp (ListOffsets -3).
    pub fn max_timestamp(
        &self,
        files: &dyn ReadFiles,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        todo!()
    }

    /// ListOffsets -2.
    pub fn earliest(&self) -> TimestampAndOffset {
        todo!()
    }

    /// ListOffsets -1 as a replica sees it: the log end offset with the latest epoch.
    pub fn latest(&self) -> TimestampAndOffset {
        todo!()
    }

    /// Deletes what time, size and the log start offset allow. The owner calls it every
    /// `log.retention.check.interval.ms`. Also writes indexes out and forgets expired producers.
    pub fn on_retention_check(&mut self, now: Now, out: &mut Out) {
        todo!()
    }

    /// Monotonic; the next flush or file deletion.
    pub fn next_deadline(&self) -> Option<u64> {
        todo!()
    }

    pub fn on_deadline(&mut self, now: Now, out: &mut Out) {
        todo!()
    }

    /// Where to cut so that `offset` becomes the log end offset. Reads only.
    pub fn plan_truncation(
        &self,
        files: &dyn ReadFiles,
        offset: i64,
    ) -> Result<Truncation, ReadError> {
        todo!()
    }

    /// Cuts as planned. Returns the tickets of pending appends that were cut off.
    pub fn truncate(&mut self, now: Now, plan: Truncation, out: &mut Out) -> Vec<Ticket> {
        todo!()
    }

    /// Drops everything and starts empty at `offset`.
    pub fn truncate_fully_and_start_at(
        &mut self,
        now: Now,
        offset: i64,
        out: &mut Out,
    ) -> Vec<Ticket> {
        todo!()
    }

    /// The partition is deleted: its folder is renamed now and removed after
    /// `file.delete.delay.ms` (see [`Log::next_deadline`]). `unique` names the renamed folder.
    pub fn delete(&mut self, now: Now, unique: Uuid, out: &mut Out) {
        todo!()
    }

    /// True once the folder of a deleted log is gone: the owner may drop the log.
    pub fn is_removed(&self) -> bool {
        todo!()
    }

    /// Clean shutdown: indexes trimmed, producer snapshot at the log end, sync.
    /// The ticket is kept when all of it is synced.
    pub fn close(&mut self, now: Now, out: &mut Out) -> Ticket {
        todo!()
    }
}
