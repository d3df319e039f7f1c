//! The offset checkpoint files of each log directory, written when something has changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use strom_base::Now;
use strom_base::config::node_settings::LogMaintenanceSettings;
use strom_base::time::earlier;
use strom_storage::Log;
use strom_storage::disk::{DirectoryId, DiskEffect, LogId, Ticket};
use strom_storage::format::offset_checkpoint::{self, PartitionOffset};

use crate::Broker;
use crate::boot::root;

/// Tickets of files that belong to no log.
pub(crate) const NODE_FILES: LogId = LogId(u32::MAX);

/// Logs that sync at the same time share one write.
const RECOVERY_POINT_DELAY_MS: i64 = 100;

/// When which file is next due; nothing is due while nothing changes.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    watermarks_due_ms: Option<u64>,
    recovery_points_due_ms: Option<u64>,
    last_ticket: u64,
}

impl Checkpoints {
    /// Offsets have moved: both files become due after their intervals.
    pub(crate) fn mark_changed(&mut self, now: Now, intervals: &LogMaintenanceSettings) {
        let watermark_ms = intervals.high_watermark_checkpoint_interval_ms;
        let recovery_point_ms = intervals.flush_offset_checkpoint_interval_ms;
        self.watermarks_due_ms.get_or_insert_with(|| now.deadline_ms(watermark_ms));
        self.recovery_points_due_ms.get_or_insert_with(|| now.deadline_ms(recovery_point_ms));
    }

    /// A log has synced by itself so that recovery has little to read: the file has to say so soon.
    pub(crate) fn hasten(&mut self, now: Now) {
        let soon_ms = now.deadline_ms(RECOVERY_POINT_DELAY_MS);
        self.recovery_points_due_ms = earlier(self.recovery_points_due_ms, Some(soon_ms));
    }

    /// Logs are gone: what the files say of them must not be taken for what comes by their names.
    pub(crate) fn forget(&mut self, now: Now) {
        self.watermarks_due_ms = Some(now.monotonic_ms);
        self.recovery_points_due_ms = Some(now.monotonic_ms);
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        earlier(self.watermarks_due_ms, self.recovery_points_due_ms)
    }

    pub(crate) fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket { log: NODE_FILES, sequence: self.last_ticket }
    }
}

impl Broker {
    pub(crate) fn write_due_checkpoints(&mut self, now: Now, out: &mut Vec<DiskEffect>) {
        let is_due = |due_ms: Option<u64>| due_ms.is_some_and(|due_ms| due_ms <= now.monotonic_ms);
        if is_due(self.checkpoints.watermarks_due_ms) {
            self.checkpoints.watermarks_due_ms = None;
            self.write_watermarks(out);
        }
        if is_due(self.checkpoints.recovery_points_due_ms) {
            self.checkpoints.recovery_points_due_ms = None;
            self.write_recovery_points(out);
        }
    }

    /// Writes `replication-offset-checkpoint`; the tickets of the writes.
    pub(crate) fn write_watermarks(&mut self, out: &mut Vec<DiskEffect>) -> Vec<Ticket> {
        self.write_offsets(offset_checkpoint::REPLICATION_OFFSET, out, |log| {
            Some(log.high_watermark())
        })
    }

    /// Writes the recovery points and those log starts that the segments do not tell.
    pub(crate) fn write_recovery_points(&mut self, out: &mut Vec<DiskEffect>) -> Vec<Ticket> {
        let mut tickets = self
            .write_offsets(offset_checkpoint::RECOVERY_POINT, out, |log| Some(log.synced_offset()));
        tickets.extend(self.write_offsets(offset_checkpoint::LOG_START_OFFSET, out, |log| {
            Some(log.log_start_offset()).filter(|start| *start > 0)
        }));
        tickets
    }

    fn write_offsets(
        &mut self,
        name: &str,
        out: &mut Vec<DiskEffect>,
        offset_of: impl Fn(&Log) -> Option<i64>,
    ) -> Vec<Ticket> {
        let mut by_directory: BTreeMap<DirectoryId, Vec<PartitionOffset>> = BTreeMap::new();
        for identity in &self.identity.directories {
            by_directory.insert(identity.directory, Vec::new());
        }
        for (_, partition) in self.partitions.iter() {
            let log = &partition.log;
            // Its name may be another log's by now.
            if log.is_deleted() {
                continue;
            }
            if let Some(offset) = offset_of(log) {
                let identity = log.identity();
                by_directory.entry(identity.directory).or_default().push(PartitionOffset {
                    topic: identity.topic.to_string(),
                    partition: identity.partition,
                    offset,
                });
            }
        }
        let mut tickets = Vec::with_capacity(by_directory.len());
        for (directory, entries) in by_directory {
            let ticket = self.checkpoints.next_ticket();
            let bytes = Bytes::from(offset_checkpoint::format(&entries));
            out.push(DiskEffect::Replace { path: root(directory, name), bytes, ticket });
            tickets.push(ticket);
        }
        tickets
    }
}
