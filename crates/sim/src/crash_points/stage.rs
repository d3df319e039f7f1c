//! One log on a simulated disk, driven by a script.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use strom_base::{Now, Random};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_storage::disk::{DirectoryId, DiskEffect, DiskPath, FileKind, LogId, Ticket};
use strom_storage::format::offset_checkpoint::{self, PartitionOffset};
use strom_storage::log::{AppendError, AppendOrigin, AppendRequest, Appended, Completed};
use strom_storage::recovery::RecoveryOptions;
use strom_storage::{Log, LogConfig, LogIdentity};

use super::history::History;
use super::scenario::{Scenario, Step};
use crate::disk::{SimDisk, root};
use crate::engine::{Engine, is_slow};

const TOPIC: &str = "orders";
const LOG: LogId = LogId(0);
/// Tickets of the checkpoint files, which belong to no log.
const CHECKPOINTS: LogId = LogId(u32::MAX);
const START_MS: i64 = 1_700_000_000_000;

/// When a disk does what may take long: syncs, whole files, removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In its turn.
    AtOnce,
    /// Not before something waits for it: appends go on meanwhile.
    Late,
}

pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) log: Log,
    pub(super) history: History,
    pub(super) config: Arc<LogConfig>,
    pub(super) was_deleted: bool,
    now: Now,
    leader_epoch: i32,
    effects: Vec<DiskEffect>,
    pace: Pace,
    /// Asked for and not done yet, in order.
    late: VecDeque<DiskEffect>,
}

pub(super) fn identity() -> LogIdentity {
    LogIdentity {
        id: LOG,
        directory: DirectoryId(0),
        topic: Arc::from(TOPIC),
        partition: 0,
        topic_id: Random::new(9).uuid(),
    }
}

/// Where the log lies while it is not deleted.
pub(super) fn folder() -> DiskPath {
    DiskPath { directory: DirectoryId(0), path: format!("{TOPIC}-0") }
}

pub(super) fn batch(options: BatchOptions, bytes: usize) -> Vec<u8> {
    batch_at(START_MS, options, bytes)
}

fn batch_at(timestamp_ms: i64, options: BatchOptions, bytes: usize) -> Vec<u8> {
    // Where one batch ends as another does, nobody could say which of them a sector belongs to.
    let mut letters = Random::new(timestamp_ms as u64 ^ ((options.base_sequence as u64) << 48));
    let letter = |_| b'a' + letters.below(26) as u8;
    let value: Vec<u8> = (80..bytes.max(80)).map(letter).collect();
    let mut builder = BatchBuilder::new(options);
    let record = NewRecord { timestamp_ms, key: Some(b"key"), value: Some(&value), headers: &[] };
    // One small record always fits.
    let _ = builder.append(&record);
    builder.build()
}

pub(super) fn of_producer(producer_id: i64, base_sequence: i32) -> Vec<u8> {
    let options =
        BatchOptions { producer_id, producer_epoch: 0, base_sequence, ..BatchOptions::default() };
    batch(options, 300)
}

impl Stage {
    pub(super) fn new(scenario: &Scenario, pace: Pace) -> Stage {
        let config = Arc::new(scenario.config());
        let now = Now { monotonic_ms: 1000, wall_ms: START_MS };
        let log = Log::create(identity(), Arc::clone(&config), now);
        let mut stage = Stage::on(SimDisk::new(), log, config);
        stage.pace = pace;
        stage
    }

    /// A log that was recovered, with nothing known of its past.
    pub(super) fn on(disk: SimDisk, log: Log, config: Arc<LogConfig>) -> Stage {
        let mut engine = Engine::new(disk);
        engine.place(LOG, Some(log.path()));
        Stage {
            engine,
            log,
            history: History::default(),
            config,
            was_deleted: false,
            now: Now { monotonic_ms: 1000, wall_ms: START_MS },
            leader_epoch: 0,
            effects: Vec::new(),
            pace: Pace::AtOnce,
            late: VecDeque::new(),
        }
    }

    /// Runs the script to its end, or to the crash.
    pub(super) fn run(&mut self, scenario: &Scenario) {
        self.settle();
        for step in scenario.steps {
            if self.engine.disk.has_crashed() {
                return;
            }
            self.step(*step);
            self.settle();
            if !self.engine.disk.has_crashed() {
                self.history.is_being_cut = false;
            }
        }
        self.catch_up();
    }

    fn step(&mut self, step: Step) {
        let out = &mut self.effects;
        match step {
            Step::Append { bytes } => {
                self.now.wall_ms += 1;
                let _ = self.append(batch_at(self.now.wall_ms, BatchOptions::default(), bytes));
            }
            Step::Produce { producer_id } => {
                let sequence = self.next_sequence(producer_id);
                let _ = self.append(of_producer(producer_id, sequence));
            }
            Step::Checkpoint => self.checkpoint(),
            Step::Note => self.write_checkpoints(self.log.recovery_point()),
            Step::DeleteRecords { offset } => {
                self.log.advance_high_watermark(self.log.written_offset());
                let _ = self.log.increment_log_start_offset(offset, out);
            }
            Step::Retention { after_ms } => {
                self.now.monotonic_ms += after_ms;
                self.now.wall_ms += after_ms as i64;
                self.log.advance_high_watermark(self.log.written_offset());
                self.log.on_retention_check(self.now, out);
                self.log.on_deadline(self.now, out);
            }
            Step::Truncate { offset } => {
                // The owner's duty: no recovery point above the cut, or recovery trusts what is
                // written there later without having looked at it.
                self.write_checkpoints(self.log.recovery_point().min(offset));
                self.settle();
                self.catch_up();
                let out = &mut self.effects;
                if let Ok(plan) = self.log.plan_truncation(&self.engine, offset) {
                    self.log.truncate(self.now, plan, out);
                    self.history.cut(self.log.log_end_offset());
                }
            }
            Step::StartOver { offset } => {
                self.log.truncate_fully_and_start_at(self.now, offset, out);
                self.history.cut(i64::MIN);
                self.history.log_start_offset = offset;
            }
            Step::NewEpoch => {
                self.leader_epoch += 1;
                self.log.start_epoch(self.leader_epoch, out);
            }
            Step::Close => {
                self.log.close(self.now, out);
            }
            Step::Delete => {
                self.log.delete(self.now, Random::new(3).uuid(), out);
                self.was_deleted = true;
            }
        }
        self.history.log_start_offset =
            self.history.log_start_offset.max(self.log.log_start_offset());
    }

    /// One more than the last sequence of the producer in the log as it should be.
    pub(super) fn next_sequence(&self, producer_id: i64) -> i32 {
        let last = self.history.present.iter().rev().map(|batch| batch.header);
        last.into_iter()
            .find(|header| header.producer_id == producer_id)
            .map_or(0, |header| header.last_sequence() + 1)
    }

    pub(super) fn append(&mut self, batches: Vec<u8>) -> Result<Appended, AppendError> {
        let request = AppendRequest {
            batches: BytesMut::from(Bytes::from(batches)),
            origin: AppendOrigin::Client,
            examined: None,
            leader_epoch: self.leader_epoch,
            transaction_verified: false,
            transaction_version: 2,
        };
        self.log.append_as_leader(self.now, request, &mut self.effects)
    }

    pub(super) fn close(&mut self) {
        self.log.close(self.now, &mut self.effects);
        self.settle();
        self.catch_up();
    }

    fn checkpoint(&mut self) {
        self.log.sync(self.now, &mut self.effects);
        self.settle();
        self.catch_up();
        self.write_checkpoints(self.log.recovery_point());
    }

    fn write_checkpoints(&mut self, recovery_point: i64) {
        let files = [
            (offset_checkpoint::RECOVERY_POINT, recovery_point),
            (offset_checkpoint::LOG_START_OFFSET, self.log.log_start_offset()),
        ];
        for (name, offset) in files {
            let entry = PartitionOffset { topic: TOPIC.to_owned(), partition: 0, offset };
            self.effects.push(DiskEffect::Replace {
                path: DiskPath { path: name.to_owned(), ..root(DirectoryId(0)) },
                bytes: Bytes::from(offset_checkpoint::format(&[entry])),
                ticket: Ticket { log: CHECKPOINTS, sequence: 0 },
            });
        }
    }

    /// Performs effects and reports them until nothing is left, or the disk has crashed.
    pub(super) fn settle(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.note(&effect);
                if self.pace == Pace::Late && is_slow(&effect) {
                    self.late.push_back(effect);
                    continue;
                }
                // What concerns the same path keeps its order.
                let engine = &self.engine;
                let last = self.late.iter().rposition(|other| engine.meet(other, &effect));
                self.do_late(last.map_or(0, |last| last + 1));
                self.perform(effect);
            }
        }
    }

    /// Does all that was put off.
    fn catch_up(&mut self) {
        while !self.late.is_empty() {
            self.do_late(self.late.len());
            self.settle();
        }
    }

    fn do_late(&mut self, count: usize) {
        for effect in self.late.drain(..count).collect::<Vec<_>>() {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: DiskEffect) {
        if self.engine.disk.has_crashed() {
            return;
        }
        let completion = self.engine.perform(effect);
        if self.engine.disk.has_crashed() {
            return;
        }
        let Some(completion) = completion.filter(|it| it.ticket.log == LOG) else { return };
        match self.log.on_completed(self.now, &completion, &mut self.effects) {
            Completed::Written { written_offset } => self.history.written_offset = written_offset,
            Completed::Synced { synced_offset } => self.history.synced_offset = synced_offset,
            Completed::Other | Completed::Failed { .. } | Completed::Postponed { .. } => {}
        }
    }

    fn note(&mut self, effect: &DiskEffect) {
        match effect {
            DiskEffect::Write { file, bytes, .. } if file.kind == FileKind::Records => {
                self.history.append(bytes.clone());
            }
            DiskEffect::Rename { to, .. } if self.was_deleted && *to == self.log.path() => {
                self.engine.place(LOG, Some(to.clone()));
            }
            _ => {}
        }
    }

    /// What recovery is told, from the checkpoints that survived.
    pub(super) fn recovery_options(&self, clean: bool) -> RecoveryOptions {
        RecoveryOptions {
            config: Arc::clone(&self.config),
            recovery_point: self.offset_in(offset_checkpoint::RECOVERY_POINT).unwrap_or(0),
            log_start_offset: self.offset_in(offset_checkpoint::LOG_START_OFFSET),
            clean,
            syncs_kept: false,
        }
    }

    fn offset_in(&self, name: &str) -> Option<i64> {
        use strom_storage::disk::Disk;
        let path = DiskPath { path: name.to_owned(), ..root(DirectoryId(0)) };
        let bytes = self.engine.disk.read_file(&path, 1 << 20).ok()?;
        offset_checkpoint::parse(&bytes).ok()?.first().map(|entry| entry.offset)
    }
}
