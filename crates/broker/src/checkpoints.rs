//! The offset checkpoint files of each log directory, written when something has changed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use strom_base::config::node_settings::LogMaintenanceSettings;
use strom_base::time::earlier;
use strom_base::{Now, Planted, Uuid, planted};
use strom_storage::Log;
use strom_storage::disk::{Completion, DirectoryId, DiskEffect, DiskError, LogId, Ticket};
use strom_storage::format::offset_checkpoint::{self, PartitionOffset};

use crate::Broker;
use crate::boot::root;
use crate::effect::{Severity, Turn};

/// Tickets of files that belong to no log.
pub(crate) const NODE_FILES: LogId = LogId(u32::MAX);

/// Logs that sync at the same time share one write.
const RECOVERY_POINT_DELAY_MS: i64 = 100;
/// The file names all logs that have one: the more they are, the more share a write.
const LOGS_PER_MS: i64 = 100;

/// When which file is next due; nothing is due while nothing changes.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    watermarks_due_ms: Option<u64>,
    recovery_points_due_ms: Option<u64>,
    last_ticket: u64,
    /// Where the files under way are.
    directories: BTreeMap<Ticket, DirectoryId>,
    stale: StaleNames,
}

/// Topics that are gone, of which the files may still speak: a log that gets such a name before they
/// are written anew would be cut by them at the next start.
#[derive(Debug, Default)]
struct StaleNames {
    /// To be taken out with the next writes.
    named: BTreeSet<String>,
    /// Being taken out by the writes under way.
    leaving: BTreeSet<String>,
    writes: BTreeSet<Ticket>,
    /// Topics that have to wait with their logs.
    waiting: BTreeSet<Uuid>,
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
    pub(crate) fn hasten(&mut self, now: Now, logs: usize) {
        let soon_ms = now.deadline_ms(RECOVERY_POINT_DELAY_MS + logs as i64 / LOGS_PER_MS);
        self.recovery_points_due_ms = earlier(self.recovery_points_due_ms, Some(soon_ms));
    }

    /// Logs of a topic are gone: what the files say of them must not be taken for what comes by
    /// their name.
    pub(crate) fn forget(&mut self, now: Now, topic: &str) {
        self.watermarks_due_ms = Some(now.monotonic_ms);
        self.recovery_points_due_ms = Some(now.monotonic_ms);
        self.stale.named.insert(topic.to_owned());
    }

    /// Whether a new log has to wait because the files may still speak of another one by its name.
    /// It is reconciled again when they do not.
    pub(crate) fn must_wait(&mut self, topic: &str, topic_id: Uuid) -> bool {
        let stale = &mut self.stale;
        let is_stale = stale.named.contains(topic) || stale.leaving.contains(topic);
        if is_stale {
            stale.waiting.insert(topic_id);
        }
        is_stale && !planted(Planted::StaleCheckpointsTaken)
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        earlier(self.watermarks_due_ms, self.recovery_points_due_ms)
    }

    /// For a file of a log directory.
    pub(crate) fn next_ticket(&mut self, directory: DirectoryId) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket { log: NODE_FILES, sequence: self.last_ticket };
        self.directories.insert(ticket, directory);
        ticket
    }
}

impl Broker {
    pub(crate) fn write_due_checkpoints(&mut self, now: Now, out: &mut Vec<DiskEffect>) {
        let is_due = |due_ms: Option<u64>| due_ms.is_some_and(|due_ms| due_ms <= now.monotonic_ms);
        let checkpoints = &mut self.checkpoints;
        let mut has_watermarks = is_due(checkpoints.watermarks_due_ms);
        let mut has_points = is_due(checkpoints.recovery_points_due_ms);
        // A name leaves all files together. Due by themselves, they would hardly ever meet.
        let is_leaving = !checkpoints.stale.named.is_empty() && (has_watermarks || has_points);
        if is_leaving {
            (has_watermarks, has_points) = (true, true);
        }
        let mut tickets = Vec::new();
        if has_watermarks {
            self.checkpoints.watermarks_due_ms = None;
            tickets.extend(self.write_watermarks(out));
        }
        if has_points {
            self.checkpoints.recovery_points_due_ms = None;
            tickets.extend(self.write_recovery_points(out));
        }
        if is_leaving {
            let stale = &mut self.checkpoints.stale;
            stale.leaving.append(&mut stale.named);
            stale.writes.extend(tickets);
        }
    }

    /// A file that belongs to no log was written, or was not.
    pub(crate) fn on_checkpoint_completed(&mut self, turn: &mut Turn<'_>, completion: &Completion) {
        let directory = self.checkpoints.directories.remove(&completion.ticket);
        let stale = &mut self.checkpoints.stale;
        let was_awaited = stale.writes.remove(&completion.ticket);
        if let Err(error) = &completion.result {
            let text = || format!("a checkpoint was not written: {error}");
            match error {
                DiskError::Full(_) => {
                    self.full_disk.on_refused(turn.now.monotonic_ms, text, turn.out);
                }
                _ => turn.out.notice(Severity::Error, text()),
            }
            if was_awaited {
                stale.named.append(&mut stale.leaving);
                stale.writes.clear();
                self.checkpoints.mark_changed(turn.now, &self.settings.node.logs);
            }
            if let Some(directory) = directory.filter(|_| !matches!(error, DiskError::Full(_))) {
                self.on_directory_failed(turn, directory, &error.to_string());
            }
            return;
        }
        if !was_awaited || !stale.writes.is_empty() {
            return;
        }
        stale.leaving.clear();
        let waiting = std::mem::take(&mut stale.waiting);
        if !self.is_stopping() {
            waiting.into_iter().for_each(|topic_id| self.reconcile_topic(turn, topic_id));
        }
    }

    /// Writes `replication-offset-checkpoint`; the tickets of the writes.
    pub(crate) fn write_watermarks(&mut self, out: &mut Vec<DiskEffect>) -> Vec<Ticket> {
        self.write_offsets(offset_checkpoint::REPLICATION_OFFSET, out, Log::high_watermark)
    }

    /// Writes the recovery points and the log starts. What is not named is 0.
    pub(crate) fn write_recovery_points(&mut self, out: &mut Vec<DiskEffect>) -> Vec<Ticket> {
        let points = offset_checkpoint::RECOVERY_POINT;
        let mut tickets = self.write_offsets(points, out, Log::recovery_point);
        if planted(Planted::LogStartsUnwritten) {
            return tickets;
        }
        let starts = offset_checkpoint::LOG_START_OFFSET;
        tickets.extend(self.write_offsets(starts, out, Log::log_start_offset));
        tickets
    }

    fn write_offsets(
        &mut self,
        name: &str,
        out: &mut Vec<DiskEffect>,
        offset_of: impl Fn(&Log) -> i64,
    ) -> Vec<Ticket> {
        let mut by_directory: BTreeMap<DirectoryId, Vec<PartitionOffset>> = BTreeMap::new();
        for identity in &self.identity.directories {
            by_directory.insert(identity.directory, Vec::new());
        }
        for (_, partition) in self.partitions.on_disk() {
            let log = &partition.log;
            // Its name may be another log's by now.
            if log.is_deleted() {
                continue;
            }
            let offset = offset_of(log);
            if offset > 0 {
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
            let ticket = self.checkpoints.next_ticket(directory);
            let bytes = Bytes::from(offset_checkpoint::format(&entries));
            out.push(DiskEffect::Replace { path: root(directory, name), bytes, ticket });
            tickets.push(ticket);
        }
        tickets
    }
}
