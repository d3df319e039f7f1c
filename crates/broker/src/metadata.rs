//! The metadata plane: raft, the log of `__cluster_metadata`, the controller and the node's image.
//!
//! Records that the controller decides on go through raft into the log. What is committed is applied
//! to the node's image, the node follows it ([`crate::reconcile`]), and answers that waited leave.

mod appends;
mod commits;
mod snapshots;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use strom_base::time::earlier;
use strom_base::{Now, Uuid};
use strom_metadata::bootstrap;
use strom_metadata::controller::{ControllerSettings, RecordBytes, replay_bytes};
use strom_metadata::{Controller, Delta, Image};
use strom_protocol::records::batches;
use strom_raft::{QuorumState, Raft, RaftOptions, RaftStart};
use strom_storage::disk::{DiskEffect, DiskPath, Ticket};
use strom_storage::{Log, LogConfig, LogIdentity};

use crate::boot::metadata_log::{BootedMetadata, FOLDER, TOPIC};
use crate::connections::ReplyTo;
use crate::effect::Response;
use crate::partitions::METADATA_LOG;
use commits::apply_batch;

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

/// What the plane's parts go by.
pub(crate) struct MetadataOptions {
    pub(crate) log: Arc<LogConfig>,
    pub(crate) raft: RaftOptions,
    pub(crate) controller: ControllerSettings,
}

impl MetadataPlane {
    /// # Errors
    /// When the recovered records contradict each other.
    pub(crate) fn new(
        booted: BootedMetadata,
        options: MetadataOptions,
        now: Now,
    ) -> Result<Self, String> {
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
            Some(recovered) => Log::open(identity, options.log, recovered, now),
            None => {
                let mut log = Log::create(identity, options.log, now);
                // The quorum's own files come before the first record.
                log.make_folder(&mut first_effects);
                log
            }
        };
        let start = RaftStart {
            state,
            control,
            log_end_offset: log.log_end_offset(),
            last_epoch,
            snapshots: booted.snapshots,
            bytes_since_snapshot,
        };
        let raft = Raft::new(options.raft, start).map_err(|error| error.to_string())?;
        Ok(Self {
            raft,
            first_effects,
            controller: Controller::new(image.clone()).with_settings(options.controller),
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

    /// Requests that wait for a record.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
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

    /// The last record that was written and may still be lost.
    pub(crate) fn last_uncommitted_offset(&self) -> Option<i64> {
        self.uncommitted.back().map(|(end_offset, _)| end_offset - 1)
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

    pub(crate) fn close(&mut self, now: Now, out: &mut Vec<DiskEffect>) -> Option<Ticket> {
        self.log.close(now, out)
    }

    fn take_committed(&mut self) -> Vec<Waiting> {
        let later = self.waiting.split_off(&self.raft.high_watermark());
        std::mem::replace(&mut self.waiting, later).into_values().flatten().collect()
    }

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
