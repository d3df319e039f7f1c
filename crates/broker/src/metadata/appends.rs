//! Records on their way into the metadata log: from the controller through raft to the disk and back.

use bytes::Bytes;
use strom_base::{Planted, planted};
use strom_metadata::controller::RECORDS_MAX;
use strom_raft::{Effect as RaftEffect, quorum_state};
use strom_storage::disk::{Completion, DiskEffect};
use strom_storage::log::Completed;

use super::FILE_TICKETS;
use crate::Broker;
use crate::effect::{Severity, Turn};

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

    pub(super) fn perform_raft_effects(&mut self, turn: &mut Turn<'_>, effects: Vec<RaftEffect>) {
        for effect in effects {
            match effect {
                RaftEffect::PersistState { json } => self.persist_quorum_state(turn, json),
                RaftEffect::Append { batch, end_offset } => {
                    self.append_metadata(turn, batch, end_offset);
                }
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
                self.halt_for_disk(turn, text);
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
                Completed::Failed { error, .. } | Completed::Postponed { error } => {
                    let text = format!("the metadata log cannot be written: {error}");
                    self.halt_for_disk(turn, text);
                }
                Completed::Written { written_offset }
                    if planted(Planted::MetadataWrittenIsCommitted) =>
                {
                    self.metadata.log.advance_high_watermark(written_offset);
                    self.metadata.raft.on_synced(turn.now, written_offset, &mut effects);
                }
                Completed::Written { .. } | Completed::Other => {}
            }
        }
        self.perform_raft_effects(turn, effects);
    }

    /// What the disk is yet to report will not be heard.
    pub(crate) fn halt_for_disk(&mut self, turn: &mut Turn<'_>, reason: String) {
        turn.out.halt.get_or_insert(reason);
        // What a disk says to the notes that has failed them, too, is no reason for others.
        if !self.failed_directories.insert(self.metadata.folder().directory) {
            return;
        }
        for id in self.partitions.ids() {
            if let Some(partition) = self.partitions.get_mut(id) {
                partition.log.doubt_syncs_under_way(&mut turn.out.disk);
            }
        }
        self.metadata.log.doubt_syncs_under_way(&mut turn.out.disk);
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
