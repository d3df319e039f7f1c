//! Snapshots of the metadata log: made when raft asks, and what they let go of.

use bytes::Bytes;
use strom_raft::SnapshotId;
use strom_storage::disk::{DiskEffect, DiskError};

use crate::Broker;
use crate::effect::{Severity, Turn};

impl Broker {
    /// The image is what is committed; in the middle of a transaction it is no state to begin from.
    pub(super) fn make_snapshot(&mut self, turn: &mut Turn<'_>) {
        let plane = &mut self.metadata;
        if plane.image.in_transaction() {
            plane.raft.decline_snapshot(turn.now);
            return;
        }
        let records = plane.image.to_snapshot_records();
        let mut effects = Vec::new();
        let timestamp_ms = plane.applied_timestamp_ms;
        let made = plane.raft.write_snapshot(turn.now, timestamp_ms, records, &mut effects);
        if let Err(error) = made {
            plane.raft.decline_snapshot(turn.now);
            let text = format!("no snapshot of the metadata log was made: {error}");
            turn.out.notice(Severity::Error, text);
        }
        self.perform_raft_effects(turn, effects);
    }

    pub(super) fn write_snapshot(&mut self, turn: &mut Turn<'_>, id: SnapshotId, bytes: Vec<u8>) {
        let ticket = self.metadata.next_file_ticket();
        self.metadata.snapshot_ticket = Some(ticket);
        let path = self.metadata.file(&id.file_name());
        turn.out.disk.push(DiskEffect::Replace { path, bytes: Bytes::from(bytes), ticket });
    }

    /// Without the snapshot nothing is lost, the log is longer: a full disk must not stop the node.
    pub(super) fn on_snapshot_completed(
        &mut self,
        turn: &mut Turn<'_>,
        result: &Result<(), DiskError>,
    ) {
        self.metadata.snapshot_ticket = None;
        match result {
            Ok(()) => {
                self.metadata.raft.on_snapshot_written(turn.now);
                self.clean_metadata_snapshots(turn);
            }
            Err(error) => {
                self.metadata.raft.decline_snapshot(turn.now);
                let text = format!("a snapshot of the metadata log was not written: {error}");
                turn.out.notice(Severity::Error, text);
                if matches!(error, DiskError::Io(_)) {
                    let directory = self.metadata.folder().directory;
                    self.on_directory_failed(turn, directory, &error.to_string());
                }
            }
        }
    }

    /// Lets go of old snapshots and of the log that only they needed.
    pub(crate) fn clean_metadata_snapshots(&mut self, turn: &mut Turn<'_>) {
        let mut effects = Vec::new();
        loop {
            let plane = &mut self.metadata;
            if !plane.raft.clean_snapshots(turn.now, plane.log.size(), &mut effects) {
                return;
            }
            self.perform_raft_effects(turn, std::mem::take(&mut effects));
        }
    }

    /// Segments that lie wholly below the offset go.
    pub(super) fn cut_metadata_log(&mut self, turn: &mut Turn<'_>, offset: i64) {
        let log = &mut self.metadata.log;
        match log.increment_log_start_offset(offset, &mut turn.out.disk) {
            Ok(_) => log.on_retention_check(turn.now, &mut turn.out.disk),
            Err(error) => {
                let text = format!("the metadata log cannot begin at offset {offset}: {error}");
                turn.out.notice(Severity::Error, text);
            }
        }
    }

    pub(super) fn delete_snapshot(&mut self, turn: &mut Turn<'_>, id: SnapshotId) {
        let path = self.metadata.file(&id.file_name());
        turn.out.disk.push(DiskEffect::RemoveFile { path, closes: None });
    }
}
