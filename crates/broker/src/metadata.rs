//! The metadata plane: raft, the log of `__cluster_metadata`, the controller and the node's image.
//!
//! Records that the controller decides on go through raft into the log. What is committed is applied
//! to the node's image, the node follows it ([`crate::reconcile`]), and answers that waited leave.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use strom_base::{Now, Uuid};
use strom_metadata::controller::replay_bytes;
use strom_metadata::image::Change;
use strom_metadata::{Controller, Image};
use strom_protocol::compression::Codecs;
use strom_protocol::records::{RawBatch, batches, body_of};
use strom_raft::{Effect as RaftEffect, QuorumState, Raft, RaftOptions, quorum_state};
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
    next_file_ticket: u64,
}

/// Tickets of the `quorum-state` file, in the metadata log's name but above any of its own.
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
        let state = booted.quorum_state.as_deref().map_or(Ok(QuorumState::default()), |text| {
            QuorumState::from_json(text)
                .map_err(|error| format!("the file quorum-state is damaged: {error}"))
        })?;
        let mut image = Image::default();
        for batch in &booted.batches {
            apply_batch(&mut image, batch, &mut Vec::new())?;
        }
        let identity = LogIdentity {
            id: METADATA_LOG,
            directory: booted.directory,
            topic: Arc::from(TOPIC),
            partition: 0,
            topic_id: Uuid::ZERO,
        };
        let mut first_effects = Vec::new();
        let log = match booted.recovered {
            Some(recovered) => Log::open(identity, config, recovered, now),
            None => Log::create(identity, config, now, &mut first_effects),
        };
        let raft = Raft::new(options, state, log.log_end_offset());
        Ok(Self {
            raft,
            first_effects,
            controller: Controller::new(image.clone()),
            image,
            log,
            uncommitted: VecDeque::new(),
            waiting: BTreeMap::new(),
            state_ticket: None,
            next_file_ticket: FILE_TICKETS,
        })
    }

    pub(crate) fn folder(&self) -> DiskPath {
        DiskPath { directory: self.log.identity().directory, path: FOLDER.to_owned() }
    }

    /// Hands over what the log wanted before there was a turn.
    pub(crate) fn begin(&mut self, _now: Now, out: &mut Vec<DiskEffect>) {
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

    pub(crate) fn close(&mut self, now: Now, out: &mut Vec<DiskEffect>) -> Ticket {
        self.log.close(now, out)
    }

    fn take_committed(&mut self) -> Vec<Waiting> {
        let later = self.waiting.split_off(&self.raft.high_watermark());
        std::mem::replace(&mut self.waiting, later).into_values().flatten().collect()
    }
}

/// Applies the data records of one batch; control records say nothing about the cluster.
fn apply_batch(image: &mut Image, batch: &[u8], changes: &mut Vec<Change>) -> Result<(), String> {
    for raw in batches(batch) {
        let RawBatch { header, bytes, .. } = raw.map_err(|error| error.to_string())?;
        if header.is_control() {
            continue;
        }
        let body = body_of(&header, bytes, &mut Codecs::new(), BODY_BYTES_MAX)
            .map_err(|error| error.to_string())?;
        for record in header.records(&body) {
            let record = record.map_err(|error| error.to_string())?;
            let value = record.value.unwrap_or_default();
            let offset = header.offset_of(&record);
            let change = replay_bytes(image, offset, value).map_err(|error| error.to_string())?;
            if change != Change::Nothing {
                changes.push(change);
            }
        }
    }
    Ok(())
}

impl Broker {
    /// Appends records of the controller; the offset to await, `None` when there are none or this
    /// node cannot append.
    pub(crate) fn submit(&mut self, turn: &mut Turn<'_>, records: Vec<Vec<u8>>) -> Option<i64> {
        if records.is_empty() {
            return None;
        }
        let mut effects = Vec::new();
        let first_offset = self.metadata.raft.log_end_offset();
        let appended = self.metadata.raft.append(turn.now, &records, &mut effects);
        match appended {
            Ok(last_offset) => {
                for (offset, record) in (first_offset..).zip(&records) {
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
            }
        }
    }

    fn persist_quorum_state(&mut self, turn: &mut Turn<'_>, json: String) {
        let plane = &mut self.metadata;
        plane.next_file_ticket += 1;
        let log = plane.log.identity().id;
        let ticket = Ticket { log, sequence: plane.next_file_ticket };
        plane.state_ticket = Some(ticket);
        let path = DiskPath {
            directory: plane.log.identity().directory,
            path: format!("{FOLDER}/{}", quorum_state::FILE_NAME),
        };
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
            if let Err(error) = &completion.result {
                let text = format!("the file quorum-state cannot be written: {error}");
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
                    self.metadata.raft.on_synced(synced_offset, &mut effects);
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
        let mut changes = Vec::new();
        let plane = &mut self.metadata;
        let high_watermark = plane.raft.high_watermark();
        while let Some((_, batch)) =
            plane.uncommitted.pop_front_if(|(end_offset, _)| *end_offset <= high_watermark)
        {
            if let Err(error) = apply_batch(&mut plane.image, &batch, &mut changes) {
                turn.out.halt.get_or_insert(error);
                return;
            }
        }
        self.follow(turn, changes);
        self.continue_start(turn);
        for waiting in self.metadata.take_committed() {
            match waiting {
                Waiting::Answer(to, response) => self.connections.reply(to, response, turn.out),
                Waiting::Retry(to, frame) => self.dispatch(turn, to, frame),
            }
        }
    }

    /// Makes the node follow what has changed, each thing once.
    fn follow(&mut self, turn: &mut Turn<'_>, mut changes: Vec<Change>) {
        changes.dedup();
        let mut removed = Vec::new();
        for change in changes {
            match change {
                Change::Topic(id) => self.reconcile_topic(turn, id),
                Change::TopicRemoved(id, name) => {
                    self.reconcile_topic(turn, id);
                    removed.push(name);
                }
                Change::Config(resource) => self.reconfigure(turn, &resource),
                Change::Broker(_) | Change::Features | Change::Nothing => {}
            }
        }
        if !removed.is_empty() {
            self.on_topics_removed(turn, &removed);
        }
    }

    pub(crate) fn on_metadata_deadline(&mut self, turn: &mut Turn<'_>) {
        let log = &mut self.metadata.log;
        if log.next_deadline().is_some_and(|due_ms| due_ms <= turn.now.monotonic_ms) {
            log.on_deadline(turn.now, &mut turn.out.disk);
        }
    }
}

impl MetadataPlane {
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.log.next_deadline()
    }
}
