//! The metadata plane: raft, the log of `__cluster_metadata`, the controller and the node's image.
//!
//! Records that the controller decides on go through raft into the log. What is committed is applied
//! to the node's image, the node follows it ([`crate::reconcile`]), and answers that waited leave.

mod snapshots;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use strom_base::time::earlier;
use strom_base::{Now, Uuid};
use strom_metadata::bootstrap;
use strom_metadata::controller::{ControllerSettings, RECORDS_MAX, RecordBytes, replay_bytes};
use strom_metadata::{Controller, Delta, Image};
use strom_protocol::compression::Codecs;
use strom_protocol::records::{RawBatch, batches, body_of};
use strom_raft::{Effect as RaftEffect, QuorumState, Raft, RaftOptions, RaftStart, quorum_state};
use strom_storage::disk::{Completion, DiskEffect, DiskPath, Ticket};
use strom_storage::log::Completed;
use strom_storage::{Log, LogConfig, LogIdentity};

use crate::Broker;
use crate::boot::metadata_log::{BootedMetadata, FOLDER, TOPIC};
use crate::connections::ReplyTo;
use crate::effect::{Response, Severity, Turn};
use crate::partitions::METADATA_LOG;

/// Uncompressed records of one batch; the metadata log is never compressed by us or Kafka.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What leaves when a record is committed.
#[derive(Debug)]
enum Waiting {
    Answer(ReplyTo, Response),
    /// The whole request once more.
    Retry(ReplyTo, BytesMut),
}

pub(crate) struct MetadataPlane {
    raft: Raft,
    pub(crate) controller: Controller,
    image: Image,
    log: Log,
    /// What making the log asked of the disk, until the first turn.
    first_effects: Vec<DiskEffect>,
    /// Batches that are not committed yet, with their end offsets.
    uncommitted: VecDeque<(i64, Bytes)>,
    /// By the offset that must be committed.
    waiting: BTreeMap<i64, Vec<Waiting>>,
    /// The ticket of the quorum-state file that is being written.
    state_ticket: Option<Ticket>,
    /// The ticket of the snapshot that is being written.
    snapshot_ticket: Option<Ticket>,
    /// When the last record that is applied was appended, by its batch.
    applied_timestamp_ms: i64,
    /// What a new cluster begins with, when it was formatted with that.
    bootstrap: Vec<RecordBytes>,
    next_file_ticket: u64,
}

/// Tickets of `quorum-state` and snapshots, in the metadata log's name but above any of its own.
const FILE_TICKETS: u64 = 1 << 62;

impl MetadataPlane {
    /// # Errors
    /// When the recovered records contradict each other.
    pub(crate) fn new(
        booted: BootedMetadata,
        config: Arc<LogConfig>,
        options: RaftOptions,
        now: Now,
    ) -> Result<Self, String> {
        let controller =
            ControllerSettings { node_id: options.node_id, ..ControllerSettings::default() };
        let state = booted.quorum_state.as_deref().map(QuorumState::from_json).transpose();
        let state = state.map_err(|error| format!("the file quorum-state is damaged: {error}"))?;
        let last_epoch = booted.last_epoch();
        let mut image = Image::default();
        let end_offset = booted.snapshots.last().map_or(0, |it| it.id.end_offset);
        for record in &booted.snapshot.records {
            // All of them stand for the records below the snapshot's end.
            replay_bytes(&mut image, end_offset - 1, record, &mut Delta::default())
                .map_err(|error| error.to_string())?;
        }
        let mut control = booted.snapshot.control;
        let mut applied_timestamp_ms = booted.snapshot.last_timestamp_ms;
        for batch in &booted.batches {
            for raw in batches(batch) {
                let raw = raw.map_err(|error| error.to_string())?;
                control.replay(&raw).map_err(|error| error.to_string())?;
            }
            applied_timestamp_ms = apply_batch(&mut image, batch, &mut Delta::default())?;
        }
        let bytes_since_snapshot = booted.batches.iter().map(|batch| batch.len() as u64).sum();
        let identity = LogIdentity {
            id: METADATA_LOG,
            directory: booted.directory,
            topic: Arc::from(TOPIC),
            partition: 0,
            // Kafka's id of this one topic.
            topic_id: Uuid::ONE,
        };
        let mut first_effects = Vec::new();
        let log = match booted.recovered {
            Some(recovered) => Log::open(identity, config, recovered, now),
            None => Log::create(identity, config, now, &mut first_effects),
        };
        let start = RaftStart {
            state,
            control,
            log_end_offset: log.log_end_offset(),
            last_epoch,
            snapshots: booted.snapshots,
            bytes_since_snapshot,
        };
        let raft = Raft::new(options, start).map_err(|error| error.to_string())?;
        Ok(Self {
            raft,
            first_effects,
            controller: Controller::new(image.clone()).with_settings(controller),
            image,
            log,
            uncommitted: VecDeque::new(),
            waiting: BTreeMap::new(),
            state_ticket: None,
            snapshot_ticket: None,
            applied_timestamp_ms,
            bootstrap: booted.bootstrap,
            next_file_ticket: FILE_TICKETS,
        })
    }

    pub(crate) fn folder(&self) -> DiskPath {
        DiskPath { directory: self.log.identity().directory, path: FOLDER.to_owned() }
    }

    /// Hands over what the log wanted before there was a turn.
    pub(crate) fn begin(&mut self, out: &mut Vec<DiskEffect>) {
        out.append(&mut self.first_effects);
    }

    /// What is committed.
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.raft
    }

    /// Exclusive.
    pub(crate) fn committed_offset(&self) -> i64 {
        self.raft.high_watermark()
    }

    /// Sends an encoded answer when the record at `offset` is committed.
    pub(crate) fn answer_after(&mut self, offset: i64, to: ReplyTo, response: Response) {
        self.waiting.entry(offset).or_default().push(Waiting::Answer(to, response));
    }

    /// Runs a request again when the record at `offset` is committed.
    pub(crate) fn retry_after(&mut self, offset: i64, to: ReplyTo, frame: BytesMut) {
        self.waiting.entry(offset).or_default().push(Waiting::Retry(to, frame));
    }

    /// Something asked of the disk for the metadata log is not kept yet.
    pub(crate) fn has_pending(&self) -> bool {
        self.log.has_pending()
    }

    pub(crate) fn close(&mut self, now: Now, out: &mut Vec<DiskEffect>) -> Ticket {
        self.log.close(now, out)
    }

    fn take_committed(&mut self) -> Vec<Waiting> {
        let later = self.waiting.split_off(&self.raft.high_watermark());
        std::mem::replace(&mut self.waiting, later).into_values().flatten().collect()
    }
}

/// Applies the data records of one batch; control records say nothing about the cluster. The time
/// of its append.
fn apply_batch(image: &mut Image, batch: &[u8], delta: &mut Delta) -> Result<i64, String> {
    let mut timestamp_ms = -1;
    for raw in batches(batch) {
        let RawBatch { header, bytes, .. } = raw.map_err(|error| error.to_string())?;
        timestamp_ms = header.max_timestamp;
        if header.is_control() {
            continue;
        }
        let body = body_of(&header, bytes, &mut Codecs::new(), BODY_BYTES_MAX)
            .map_err(|error| error.to_string())?;
        for record in header.records(&body) {
            let record = record.map_err(|error| error.to_string())?;
            let value = record.value.unwrap_or_default();
            let offset = header.offset_of(&record);
            replay_bytes(image, offset, value, delta).map_err(|error| error.to_string())?;
        }
    }
    Ok(timestamp_ms)
}

impl Broker {
    /// Appends records of the controller; the offset to await, `None` when there are none or this
    /// node cannot append.
    pub(crate) fn submit(&mut self, turn: &mut Turn<'_>, records: Vec<Vec<u8>>) -> Option<i64> {
        if records.is_empty() {
            return None;
        }
        let mut last_offset = None;
        for records in records.chunks(RECORDS_MAX) {
            last_offset = Some(self.submit_batch(turn, records)?);
        }
        last_offset
    }

    fn submit_batch(&mut self, turn: &mut Turn<'_>, records: &[Vec<u8>]) -> Option<i64> {
        let mut effects = Vec::new();
        let first_offset = self.metadata.raft.log_end_offset();
        let appended = self.metadata.raft.append(turn.now, records, &mut effects);
        match appended {
            Ok(last_offset) => {
                for (offset, record) in (first_offset..).zip(records) {
                    if let Err(error) = self.metadata.controller.replay(offset, record) {
                        turn.out.halt.get_or_insert(error.to_string());
                        return None;
                    }
                }
                self.perform_raft_effects(turn, effects);
                Some(last_offset)
            }
            Err(error) => {
                let text = format!("a change of the metadata was not written: {error}");
                turn.out.notice(Severity::Error, text);
                None
            }
        }
    }

    pub(crate) fn start_raft(&mut self, turn: &mut Turn<'_>) {
        let mut effects = Vec::new();
        self.metadata.raft.on_start(&mut effects);
        self.perform_raft_effects(turn, effects);
    }

    fn perform_raft_effects(&mut self, turn: &mut Turn<'_>, effects: Vec<RaftEffect>) {
        for effect in effects {
            match effect {
                RaftEffect::PersistState { json } => self.persist_quorum_state(turn, json),
                RaftEffect::Append { batch, end_offset } => {
                    self.append_metadata(turn, batch, end_offset);
                }
                RaftEffect::BecameLeader { .. } => {}
                RaftEffect::Committed { .. } => self.on_metadata_committed(turn),
                RaftEffect::SnapshotDue { .. } => self.make_snapshot(turn),
                RaftEffect::WriteSnapshot { id, bytes } => self.write_snapshot(turn, id, bytes),
                RaftEffect::DeleteBefore { offset } => self.cut_metadata_log(turn, offset),
                RaftEffect::DeleteSnapshot { id } => self.delete_snapshot(turn, id),
            }
        }
    }

    fn persist_quorum_state(&mut self, turn: &mut Turn<'_>, json: String) {
        let ticket = self.metadata.next_file_ticket();
        self.metadata.state_ticket = Some(ticket);
        let path = self.metadata.file(quorum_state::FILE_NAME);
        turn.out.disk.push(DiskEffect::Replace { path, bytes: Bytes::from(json), ticket });
    }

    fn append_metadata(&mut self, turn: &mut Turn<'_>, batch: Vec<u8>, end_offset: i64) {
        let plane = &mut self.metadata;
        let batch = Bytes::from(batch);
        let epoch = plane.raft.epoch();
        let out = &mut turn.out.disk;
        match plane.log.append_as_follower(turn.now, batch.clone(), epoch, out) {
            Ok(_) => {
                plane.uncommitted.push_back((end_offset, batch));
                plane.log.sync(turn.now, out);
            }
            Err(error) => {
                turn.out.halt.get_or_insert(format!("the metadata log cannot be written: {error}"));
            }
        }
    }

    /// The disk has kept or broken a promise to the metadata log. A broken one stops the node.
    pub(crate) fn on_metadata_completed(&mut self, turn: &mut Turn<'_>, completion: &Completion) {
        let mut effects = Vec::new();
        if completion.ticket.sequence > FILE_TICKETS {
            if self.metadata.snapshot_ticket == Some(completion.ticket) {
                self.on_snapshot_completed(turn, &completion.result);
            } else if let Err(error) = &completion.result {
                let text = format!("a file of the metadata log cannot be written: {error}");
                turn.out.halt.get_or_insert(text);
            } else if self.metadata.state_ticket == Some(completion.ticket) {
                self.metadata.state_ticket = None;
                let persisted = self.metadata.raft.on_state_persisted(turn.now, &mut effects);
                if let Err(error) = persisted {
                    turn.out.halt.get_or_insert(error.to_string());
                }
            }
        } else {
            let out = &mut turn.out.disk;
            match self.metadata.log.on_completed(turn.now, completion, out) {
                Completed::Synced { synced_offset } => {
                    self.metadata.log.advance_high_watermark(synced_offset);
                    self.metadata.raft.on_synced(turn.now, synced_offset, &mut effects);
                }
                Completed::Failed { error, .. } => {
                    let text = format!("the metadata log cannot be written: {error}");
                    turn.out.halt.get_or_insert(text);
                }
                Completed::Written { .. } | Completed::Other => {}
            }
        }
        self.perform_raft_effects(turn, effects);
    }

    /// Applies what is committed, follows it, and lets waiting answers go.
    fn on_metadata_committed(&mut self, turn: &mut Turn<'_>) {
        let mut delta = Delta::default();
        let plane = &mut self.metadata;
        let high_watermark = plane.raft.high_watermark();
        while let Some((_, batch)) =
            plane.uncommitted.pop_front_if(|(end_offset, _)| *end_offset <= high_watermark)
        {
            match apply_batch(&mut plane.image, &batch, &mut delta) {
                Ok(timestamp_ms) => plane.applied_timestamp_ms = timestamp_ms,
                Err(error) => {
                    turn.out.halt.get_or_insert(error);
                    return;
                }
            }
        }
        self.follow(turn, delta);
        self.continue_start(turn);
        for waiting in self.metadata.take_committed() {
            match waiting {
                Waiting::Answer(to, response) => self.connections.reply(to, response, turn.out),
                Waiting::Retry(to, frame) => self.dispatch(turn, to, frame),
            }
        }
    }

    /// Makes the node follow what has changed: what is gone goes first, for its name may be back.
    fn follow(&mut self, turn: &mut Turn<'_>, delta: Delta) {
        let mut removed = Vec::new();
        for (id, name) in delta.removed_topics {
            self.reconcile_topic(turn, id);
            removed.push(name);
        }
        if !removed.is_empty() {
            self.on_topics_removed(turn, &removed);
        }
        for id in delta.topics.keys() {
            self.reconcile_topic(turn, *id);
        }
        self.report_directories(turn, delta.topics.into_keys());
        for resource in delta.configs {
            self.reconfigure(turn, &resource);
        }
    }

    pub(crate) fn on_metadata_deadline(&mut self, turn: &mut Turn<'_>) {
        let is_due = |due_ms: Option<u64>| due_ms.is_some_and(|it| it <= turn.now.monotonic_ms);
        let plane = &mut self.metadata;
        if is_due(plane.log.next_deadline()) {
            plane.log.on_deadline(turn.now, &mut turn.out.disk);
        }
        if is_due(plane.raft.next_deadline()) {
            let mut effects = Vec::new();
            plane.raft.on_deadline(turn.now, &mut effects);
            self.perform_raft_effects(turn, effects);
        }
    }
}

impl MetadataPlane {
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        earlier(self.log.next_deadline(), self.raft.next_deadline())
    }

    /// What this leadership begins with: the end of a transaction that was cut off, and on a log
    /// without records those of a new cluster. `min_insync_replicas` is this node's own value.
    ///
    /// # Errors
    /// When the folder was formatted with records that do not fit together.
    pub(crate) fn first_records(
        &mut self,
        min_insync_replicas: &str,
    ) -> Result<Vec<RecordBytes>, String> {
        let mut records = bootstrap::activation_records(self.controller.image());
        if !self.controller.image().features.is_empty() {
            return Ok(records);
        }
        let formatted = std::mem::take(&mut self.bootstrap);
        records.extend(if formatted.is_empty() {
            bootstrap::records(min_insync_replicas)
        } else {
            bootstrap::first_records(formatted, min_insync_replicas)
                .map_err(|error| error.to_string())?
        });
        Ok(records)
    }

    fn next_file_ticket(&mut self) -> Ticket {
        self.next_file_ticket += 1;
        Ticket { log: self.log.identity().id, sequence: self.next_file_ticket }
    }

    /// A file beside the log.
    fn file(&self, name: &str) -> DiskPath {
        let directory = self.log.identity().directory;
        DiskPath { directory, path: format!("{FOLDER}/{name}") }
    }
}
