//! One partition of this node as its leader: appends, fetches and the high watermark.

use bytes::BytesMut;
use strom_base::{Now, Planted, planted};
use strom_protocol::ErrorCode;
use strom_storage::Log;
use strom_storage::disk::{Completion, DiskEffect, ReadFiles};
use strom_storage::log::{
    AbortedTransaction, AppendError, AppendOrigin, AppendRequest, Appended, Completed, Examined,
    ReadError, ReadRequest, ReadSlice,
};

use crate::waiting::{CommitWaiter, Waiting, Watcher};

#[derive(Debug)]
pub struct Partition {
    pub log: Log,
    pub waiting: Waiting,
    leader_epoch: i32,
}

/// The code a producer is told for a refused append.
#[must_use]
pub fn append_error_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::InvalidRecord { .. } => ErrorCode::InvalidRecord,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::BatchTooLarge { .. } | AppendError::ConvertedTooLarge { .. } => {
            ErrorCode::MessageTooLarge
        }
        AppendError::SegmentTooSmall { .. } => ErrorCode::RecordListTooLarge,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::InvalidTransactionState(_) => ErrorCode::InvalidTxnState,
        AppendError::UnexpectedOffset { .. } | AppendError::StorageFailed(_) => {
            ErrorCode::KafkaStorageError
        }
    }
}

/// What a fetch asks of one partition.
#[derive(Clone, Copy, Debug)]
pub struct ReadFrom {
    pub offset: i64,
    pub max_bytes: u32,
    pub at_least_one_batch: bool,
    pub is_read_committed: bool,
    pub is_follower: bool,
    /// -1: not checked.
    pub current_leader_epoch: i32,
    /// -1: no divergence check.
    pub last_fetched_epoch: i32,
}

/// Where the reader's log stops being ours (KIP-595).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    pub leader_epoch: i32,
    pub end_offset: i64,
}

/// One partition's part of a fetch answer; -1 for offsets that are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    pub slice: Option<ReadSlice>,
    pub aborted: Vec<AbortedTransaction>,
    pub diverging: Option<Divergence>,
    /// The reader has all that it may read for now.
    pub is_at_end: bool,
    /// The bytes have to be brought into memory first: to be asked again.
    pub is_blocked: bool,
}

impl Default for Fetched {
    fn default() -> Self {
        Self {
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            slice: None,
            aborted: Vec::new(),
            diverging: None,
            is_at_end: false,
            is_blocked: false,
        }
    }
}

/// Who is set free by a completion, or by the end of the partition.
#[derive(Debug, Default)]
pub struct Released {
    /// Committed, in the order of their offsets.
    pub committed: Vec<CommitWaiter>,
    /// Their records were taken back, or went away with the partition.
    pub lost: Vec<CommitWaiter>,
    /// Who waited for the partition to move.
    pub watchers: Vec<Watcher>,
}

impl Partition {
    /// A partition of which this node has the only replica.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log, waiting: Waiting::default(), leader_epoch: -1 }
    }

    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.log.high_watermark()
    }

    /// Leadership at this epoch begins. Alone in sync, all that is written is committed.
    pub fn become_leader(&mut self, leader_epoch: i32, out: &mut Vec<DiskEffect>) {
        if leader_epoch > self.leader_epoch {
            self.leader_epoch = leader_epoch;
            self.log.start_epoch(leader_epoch, out);
        }
        self.log.advance_high_watermark(self.log.written_offset());
    }

    /// One batch of a producer, or of a coordinator of this node. Its records are committed once
    /// the high watermark has passed them: see [`Waiting::await_commit`].
    ///
    /// # Errors
    /// Why nothing was appended; [`append_error_code`] names it to a producer.
    pub fn append(
        &mut self,
        now: Now,
        batches: BytesMut,
        origin: AppendOrigin,
        out: &mut Vec<DiskEffect>,
    ) -> Result<Appended, AppendError> {
        self.append_examined(now, (batches, None), origin, out)
    }

    /// The same where a producer's records may have been looked at before.
    ///
    /// # Errors
    /// As [`Partition::append`].
    pub fn append_examined(
        &mut self,
        now: Now,
        (batches, examined): (BytesMut, Option<Examined>),
        origin: AppendOrigin,
        out: &mut Vec<DiskEffect>,
    ) -> Result<Appended, AppendError> {
        let request = AppendRequest {
            batches,
            origin,
            examined,
            leader_epoch: self.leader_epoch,
            transaction_verified: false,
            transaction_version: 2,
        };
        let mut appended = self.log.append_as_leader(now, request, out)?;
        let is_flushed_by_count = self.log.config().flush_messages < i64::MAX;
        if appended.is_duplicate
            && is_flushed_by_count
            && appended.last_offset >= self.log.synced_offset()
        {
            // The first of its kind may not be synced yet: this answer promises no less.
            let ticket = self.log.sync(now, out);
            appended.sync_ticket = (!planted(Planted::DuplicateUnsynced)).then_some(ticket);
        }
        Ok(appended)
    }

    /// The disk has kept or broken a promise; who is set free by that is added to `released`.
    pub fn on_completed(
        &mut self,
        now: Now,
        completion: &Completion,
        out: &mut Vec<DiskEffect>,
        released: &mut Released,
    ) {
        let completed = self.log.on_completed(now, completion, out);
        match &completed {
            Completed::Written { written_offset } => {
                if self.log.advance_high_watermark(*written_offset) {
                    let high_watermark = self.log.high_watermark();
                    let next = || self.waiting.next_committed(high_watermark);
                    released.committed.extend(std::iter::from_fn(next));
                    self.waiting.tell_watchers(&mut released.watchers);
                }
            }
            Completed::Failed { .. } => {
                let log_end_offset = self.log.log_end_offset();
                let next = || self.waiting.next_lost(log_end_offset);
                released.lost.extend(std::iter::from_fn(next));
            }
            Completed::Postponed { .. } => {
                if self.waiting.postpone(completion.ticket.sequence) {
                    self.log.sync_again(now);
                }
            }
            Completed::Synced { .. } | Completed::Other => {}
        }
        if self.log.is_failed() {
            released.lost.extend(self.waiting.take_postponed(u64::MAX));
        }
        let synced = self.waiting.take_synced(completion.ticket.sequence);
        // What the disk reports is not all: after a failed sync it reports others as kept.
        match completed {
            Completed::Synced { .. } => {
                released.committed.extend(synced);
                let postponed = self.waiting.take_postponed(completion.ticket.sequence);
                released.committed.extend(postponed);
            }
            _ if planted(Planted::FailedSyncReleases) => released.committed.extend(synced),
            Completed::Written { .. }
            | Completed::Failed { .. }
            | Completed::Postponed { .. }
            | Completed::Other => {
                released.lost.extend(synced);
            }
        }
    }

    /// The partition goes away: its log takes no part in anything from now on.
    pub fn abandon(&mut self) -> Released {
        let mut released = Released { lost: self.waiting.take_writers(), ..Released::default() };
        self.waiting.tell_watchers(&mut released.watchers);
        released
    }

    /// Checks a request's idea of the leader epoch (KIP-320); -1 is not checked.
    ///
    /// # Errors
    /// `FencedLeaderEpoch` or `UnknownLeaderEpoch`.
    pub fn check_leader_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Reads for a consumer or a follower.
    ///
    /// # Errors
    /// The error code of this partition's part of the answer.
    pub fn fetch(&self, files: &dyn ReadFiles, from: &ReadFrom) -> Result<Fetched, ErrorCode> {
        self.check_leader_epoch(from.current_leader_epoch)?;
        let mut fetched = Fetched {
            high_watermark: self.log.high_watermark(),
            last_stable_offset: self.log.last_stable_offset(),
            log_start_offset: self.log.log_start_offset(),
            ..Fetched::default()
        };
        fetched.diverging = self.divergence(from)?;
        if fetched.diverging.is_some() {
            return Ok(fetched);
        }
        let upper_bound_offset = match (from.is_follower, from.is_read_committed) {
            (true, _) => self.log.written_offset(),
            (false, true) => fetched.last_stable_offset,
            (false, false) => fetched.high_watermark,
        };
        let request = ReadRequest {
            offset: from.offset,
            max_bytes: from.max_bytes,
            upper_bound_offset,
            at_least_one_batch: from.at_least_one_batch,
        };
        match self.read(files, &request, from.is_read_committed) {
            Ok((slice, aborted)) => {
                fetched.slice = (slice.length > 0).then_some(slice);
                fetched.aborted = aborted;
                fetched.is_at_end = from.offset >= upper_bound_offset;
            }
            Err(ReadError::WouldBlock) => fetched.is_blocked = true,
            Err(error) => return Err(read_error_code(&error)),
        }
        Ok(fetched)
    }

    /// A slice, and of which transactions its reader must not take records.
    fn read(
        &self,
        files: &dyn ReadFiles,
        request: &ReadRequest,
        is_read_committed: bool,
    ) -> Result<(ReadSlice, Vec<AbortedTransaction>), ReadError> {
        let slice = self.log.read(files, request)?;
        if !is_read_committed || slice.length == 0 {
            return Ok((slice, Vec::new()));
        }
        let upper = slice.upper_bound_offset;
        let aborted = self.log.aborted_transactions(files, request.offset, upper)?;
        Ok((slice, aborted))
    }

    fn divergence(&self, from: &ReadFrom) -> Result<Option<Divergence>, ErrorCode> {
        if from.last_fetched_epoch < 0 {
            return Ok(None);
        }
        let (leader_epoch, end_offset) = self
            .log
            .end_offset_for_epoch(from.last_fetched_epoch)
            .ok_or(ErrorCode::OffsetOutOfRange)?;
        let diverges = leader_epoch < from.last_fetched_epoch || end_offset < from.offset;
        Ok(diverges.then_some(Divergence { leader_epoch, end_offset }))
    }
}

/// The code that stands for a failed read.
#[must_use]
pub fn read_error_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // Nothing is wrong with the disk: whoever asks again is told (KIP-207).
        ReadError::WouldBlock => ErrorCode::OffsetNotAvailable,
        ReadError::Corrupt { .. } | ReadError::Disk(_) => ErrorCode::KafkaStorageError,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use strom_base::Uuid;
    use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
    use strom_storage::disk::{DirectoryId, DiskError, FileId, LogId};
    use strom_storage::{LogConfig, LogIdentity};

    use super::*;

    /// More than a log remembers of its end.
    const BATCHES: i64 = 100;

    struct Files(DiskError);

    impl ReadFiles for Files {
        fn read_at(&self, _: FileId, _: u64, _: &mut [u8]) -> Result<usize, DiskError> {
            Err(self.0.clone())
        }
    }

    fn one_record() -> BytesMut {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let record = NewRecord { timestamp_ms: 1, key: None, value: Some(b"v"), headers: &[] };
        builder.append(&record).expect("a record");
        BytesMut::from(&builder.build()[..])
    }

    fn partition() -> Partition {
        let identity = LogIdentity {
            id: LogId(0),
            directory: DirectoryId(0),
            topic: Arc::from("orders"),
            partition: 0,
            topic_id: Uuid::ZERO,
        };
        let (now, mut out) = (Now { monotonic_ms: 1, wall_ms: 1 }, Vec::new());
        let log = Log::create(identity, Arc::new(LogConfig::default()), now);
        let mut partition = Partition::new(log);
        partition.become_leader(0, &mut out);
        for _ in 0..BATCHES {
            partition.append(now, one_record(), AppendOrigin::Client, &mut out).expect("an append");
            for effect in std::mem::take(&mut out) {
                if let DiskEffect::CreateFolder { ticket, .. } | DiskEffect::Write { ticket, .. } =
                    effect
                {
                    let written = Completion { ticket, result: Ok(()) };
                    partition.on_completed(now, &written, &mut out, &mut Released::default());
                }
            }
        }
        partition
    }

    fn from(offset: i64) -> ReadFrom {
        ReadFrom {
            offset,
            max_bytes: 1000,
            at_least_one_batch: true,
            is_read_committed: false,
            is_follower: false,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        }
    }

    #[test]
    fn a_read_that_would_block_is_to_be_repeated_and_a_failing_one_is_told() {
        let partition = partition();
        let cold = partition.fetch(&Files(DiskError::WouldBlock), &from(0)).expect("no error");
        assert_eq!((cold.slice, cold.high_watermark), (None, BATCHES));
        assert!(cold.is_blocked && !cold.is_at_end);
        let recent = partition.fetch(&Files(DiskError::WouldBlock), &from(BATCHES - 1));
        assert!(recent.expect("no error").slice.is_some());
        let broken = partition.fetch(&Files(DiskError::Io("broken".into())), &from(0));
        assert_eq!(broken, Err(ErrorCode::KafkaStorageError));
    }
    #[test]
    fn at_the_end_there_is_nothing_to_take_and_no_other_log_to_tell_of() {
        let partition = partition();
        let nothing = Files(DiskError::Io("nobody reads the files".into()));
        let of_epoch = |offset| ReadFrom { last_fetched_epoch: 0, ..from(offset) };
        let end = partition.fetch(&nothing, &of_epoch(BATCHES)).expect("no error");
        assert_eq!((end.slice, end.diverging, end.is_at_end), (None, None, true));
        let beyond = partition.fetch(&nothing, &of_epoch(BATCHES + 1)).expect("no error");
        let diverging = Divergence { leader_epoch: 0, end_offset: BATCHES };
        assert_eq!((beyond.slice, beyond.diverging), (None, Some(diverging)));
    }
}
