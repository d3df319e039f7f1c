//! A log, its disk, and an engine that does at once what the log asks for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use strom_base::{Now, Random};
use strom_storage::config::LogConfig;
use strom_storage::disk::{
    Completion, DirectoryId, Disk, DiskEffect, DiskError, DiskPath, FileId, FileKind, LogId,
    ReadFiles, Ticket, perform,
};
use strom_storage::log::{
    AppendError, AppendOrigin, AppendRequest, Appended, Completed, Log, LogIdentity, ReadError,
    ReadRequest, ReadSlice, SearchFrom, SearchLimits, Searched, Sought, TimestampAndOffset,
};
use strom_storage::recovery::{RecoveredLog, RecoveryOptions, recover_log};

use crate::memory_disk::MemoryDisk;

pub(crate) const START_MS: i64 = 1_700_000_000_000;

pub(crate) struct World<D> {
    pub(crate) disk: D,
    pub(crate) log: Log,
    pub(crate) now: Now,
    /// In which clients' batches are appended.
    pub(crate) leader_epoch: i32,
    pub(crate) out: Vec<DiskEffect>,
    /// Reports of done writes, kept back while `holds` is set.
    pub(crate) reports: VecDeque<Completion>,
    pub(crate) holds: bool,
    /// What the engine answers to writes of record files instead of doing them.
    pub(crate) write_failure: Option<DiskError>,
    /// Of files of this kind.
    pub(crate) failing: FileKind,
    pub(crate) completed: Vec<Completed>,
    /// What syncs have named.
    pub(crate) synced: Vec<(Ticket, Vec<FileId>)>,
}

pub(crate) struct LogFiles<'a, D> {
    pub(crate) disk: &'a D,
    pub(crate) log: &'a Log,
}

impl<D: Disk> ReadFiles for LogFiles<'_, D> {
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.disk.read_at(&self.log.path_of(file), position, buffer)
    }
}

pub(crate) fn identity() -> LogIdentity {
    LogIdentity {
        id: LogId(0),
        directory: DirectoryId(0),
        topic: Arc::from("orders"),
        partition: 0,
        topic_id: Random::new(9).uuid(),
    }
}

pub(crate) fn start() -> Now {
    Now { monotonic_ms: 1000, wall_ms: START_MS }
}

impl World<MemoryDisk> {
    pub(crate) fn new(config: LogConfig) -> World<MemoryDisk> {
        World::on(MemoryDisk::default(), config)
    }
}

impl<D: Disk> World<D> {
    pub(crate) fn on(disk: D, config: LogConfig) -> World<D> {
        World::with(disk, Log::create(identity(), Arc::new(config), start()))
    }

    fn with(disk: D, log: Log) -> World<D> {
        World {
            disk,
            log,
            now: start(),
            leader_epoch: 0,
            out: Vec::new(),
            reports: VecDeque::new(),
            holds: false,
            write_failure: None,
            failing: FileKind::Records,
            completed: Vec::new(),
            synced: Vec::new(),
        }
    }

    /// Opens what lies in the log's folder.
    pub(crate) fn reopen(mut disk: D, options: RecoveryOptions) -> (World<D>, RecoveredLog) {
        let folder = DiskPath { directory: DirectoryId(0), path: "orders-0".to_owned() };
        let config = Arc::clone(&options.config);
        if disk.list(&folder).is_err() {
            disk.create_directory(&folder).unwrap();
        }
        let recovered = recover_log(&mut disk, &folder, options).unwrap();
        let log = Log::open(identity(), config, recovered.clone(), start());
        (World::with(disk, log), recovered)
    }

    pub(crate) fn options(&self, clean: bool) -> RecoveryOptions {
        RecoveryOptions {
            config: Arc::clone(self.log.config()),
            recovery_point: self.log.recovery_point(),
            log_start_offset: None,
            clean,
            syncs_kept: false,
        }
    }

    /// The process is killed: what was written stays.
    pub(crate) fn kill(self) -> (World<D>, RecoveredLog) {
        let options = self.options(false);
        World::reopen(self.disk, options)
    }

    pub(crate) fn stop(mut self) -> (World<D>, RecoveredLog) {
        self.log.close(self.now, &mut self.out);
        self.settle();
        assert!(!self.log.has_pending());
        let options = self.options(true);
        World::reopen(self.disk, options)
    }

    /// Does all effects and reports them until nothing is left.
    pub(crate) fn settle(&mut self) {
        while !self.out.is_empty() || (!self.holds && !self.reports.is_empty()) {
            for effect in std::mem::take(&mut self.out) {
                self.perform(effect);
            }
            while !self.holds
                && let Some(report) = self.reports.pop_front()
            {
                self.report(&report);
            }
        }
    }

    pub(crate) fn report(&mut self, report: &Completion) {
        let completed = self.log.on_completed(self.now, report, &mut self.out);
        self.completed.push(completed);
    }

    fn perform(&mut self, effect: DiskEffect) {
        let log = &self.log;
        if let DiskEffect::Write { file, bytes, ticket, .. } = &effect
            && (file.kind == self.failing && !bytes.is_empty())
            && let Some(failure) = &self.write_failure
        {
            // A file is made before the disk turns out to be full.
            let path = self.log.path_of(*file);
            self.disk.write_at(&path, 0, &[]).unwrap();
            self.reports.push_back(Completion { ticket: *ticket, result: Err(failure.clone()) });
            return;
        }
        if let DiskEffect::Sync { ticket, files } = &effect {
            self.synced.push((*ticket, files.clone()));
        }
        let (ticket, result) = perform(&mut self.disk, effect, &|file| Ok(log.path_of(file)));
        match ticket {
            Some(ticket) => self.reports.push_back(Completion { ticket, result }),
            None => result.unwrap(),
        }
    }

    pub(crate) fn try_append(
        &mut self,
        batch: Vec<u8>,
        origin: AppendOrigin,
    ) -> Result<Appended, AppendError> {
        let request = AppendRequest {
            batches: BytesMut::from(Bytes::from(batch)),
            origin,
            examined: None,
            leader_epoch: self.leader_epoch,
            transaction_verified: true,
            transaction_version: 1,
        };
        let appended = self.log.append_as_leader(self.now, request, &mut self.out);
        self.settle();
        self.check();
        appended
    }

    pub(crate) fn append(&mut self, batch: Vec<u8>) -> Appended {
        self.try_append(batch, AppendOrigin::Client).unwrap()
    }

    pub(crate) fn files(&self) -> LogFiles<'_, D> {
        LogFiles { disk: &self.disk, log: &self.log }
    }

    pub(crate) fn read(&self, offset: i64, max_bytes: u32) -> ReadSlice {
        let request = ReadRequest {
            offset,
            max_bytes,
            upper_bound_offset: i64::MAX,
            at_least_one_batch: true,
        };
        self.log.read(&self.files(), &request).unwrap()
    }

    pub(crate) fn bytes_of(&self, slice: &ReadSlice) -> Vec<u8> {
        let mut bytes = vec![0; slice.length as usize];
        let path = self.log.path_of(slice.file);
        assert_eq!(self.disk.read_at(&path, slice.position, &mut bytes), Ok(bytes.len()));
        bytes
    }

    /// The order of the offsets, always.
    pub(crate) fn check(&self) {
        let log = &self.log;
        assert!(log.log_start_offset() <= log.last_stable_offset());
        assert!(log.last_stable_offset() <= log.high_watermark());
        assert!(log.high_watermark() <= log.written_offset());
        assert!(log.written_offset() <= log.log_end_offset());
        assert!(log.recovery_point() <= log.synced_offset());
        assert!(log.synced_offset() <= log.written_offset());
    }
}

/// The first record at or after a time, whatever has to be unfolded for it.
pub(crate) fn offset_for_timestamp(
    log: &Log,
    files: &dyn ReadFiles,
    timestamp: i64,
) -> Result<Option<TimestampAndOffset>, ReadError> {
    let mut from = SearchFrom::offset(0);
    loop {
        let mut limits = SearchLimits { headers_left: 1, batch_bytes_max: usize::MAX };
        match log.seek_timestamp(files, (timestamp, from), &mut limits)? {
            Sought::Found(found) => return Ok(found),
            Sought::NotBefore(offset) => from = offset,
            Sought::TooLarge => unreachable!("there is no limit"),
            Sought::In(search) => match search.perform(&mut { search.most_bytes() }) {
                Searched::Found(found) => return Ok(found),
                Searched::NotBefore(offset) => from = offset,
                Searched::TooLong => unreachable!("there is no limit"),
            },
        }
    }
}

/// The first record with the largest timestamp.
pub(crate) fn max_timestamp(
    log: &Log,
    files: &dyn ReadFiles,
) -> Result<Option<TimestampAndOffset>, ReadError> {
    let limits = SearchLimits { headers_left: 0, batch_bytes_max: usize::MAX };
    match log.seek_max_timestamp(files, &limits)? {
        Sought::Found(found) => Ok(found),
        Sought::In(search) => match search.perform(&mut { search.most_bytes() }) {
            Searched::Found(found) => Ok(found),
            other => unreachable!("there is no limit: {other:?}"),
        },
        other => unreachable!("no headers are read: {other:?}"),
    }
}
