//! Log directories that have failed: what lies there is out of service until the next start.
//!
//! Nothing of such a directory is tried again: what an operating system shows of its files after a failed
//! operation is no proof of what is on the disk. Who waited for anything there is told that it is lost,
//! the controller is told that the directory is offline, and everything else goes on. Without the metadata
//! log, which one of them holds, there is nothing to go on with, and the node stops.

use std::collections::BTreeSet;

use strom_base::{Planted, Uuid, planted};
use strom_protocol::ErrorCode;
use strom_storage::disk::{DirectoryId, DiskError, LogId};

use crate::Broker;
use crate::boot::FailedDirectory;
use crate::effect::{Severity, Turn};
use crate::lifecycle::Phase;

#[derive(Debug, Default)]
pub(crate) struct FailedDirectories {
    all: BTreeSet<DirectoryId>,
    /// Partitions that may have a log which is out of reach: they get no other in this life.
    withheld: BTreeSet<(Uuid, i32)>,
    /// The ids of those that the controller has to be told of.
    untold: Vec<Uuid>,
}

impl FailedDirectories {
    pub(crate) fn of_start(failed: &[FailedDirectory]) -> Self {
        let all = failed.iter().map(|it| it.directory).collect();
        Self { all, ..Self::default() }
    }

    /// False when it was known.
    pub(crate) fn insert(&mut self, directory: DirectoryId) -> bool {
        self.all.insert(directory)
    }

    pub(crate) fn contains(&self, directory: DirectoryId) -> bool {
        self.all.contains(&directory)
    }

    pub(crate) fn withhold(&mut self, topic_id: Uuid, partition: i32) {
        self.withheld.insert((topic_id, partition));
    }

    pub(crate) fn withholds(&self, topic_id: Uuid, partition: i32) -> bool {
        self.withheld.contains(&(topic_id, partition))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Broker {
    /// An operation in a log directory has failed, and not for want of room. The shell reports those
    /// that have no ticket; of the others their completions tell.
    pub fn on_directory_failed(
        &mut self,
        turn: &mut Turn<'_>,
        directory: DirectoryId,
        reason: &str,
    ) {
        if self.is_stopping() {
            self.doubt_stop();
            return;
        }
        let goes_on = planted(Planted::DirectoryGoesOn) || planted(Planted::SyncAfterFailureCounts);
        if self.failed_directories.contains(directory) || goes_on {
            return;
        }
        let name = self.settings.node.folders.log_dirs.get(usize::from(directory.0));
        let name = name.map_or("?", String::as_str);
        if directory == self.metadata.folder().directory {
            let text = format!(
                "the log directory {name} has failed, and the metadata log is there, so the node stops: \
                 {reason}"
            );
            self.halt_for_disk(turn, text);
            return;
        }
        self.failed_directories.insert(directory);
        let online = &mut self.identity.directories;
        if let Some(place) = online.iter().position(|it| it.directory == directory) {
            self.failed_directories.untold.push(online.remove(place).id);
        }
        let lost = self.partitions.in_directory(directory);
        let text = format!(
            "the log directory {name} has failed: {} partitions there are offline until a start finds \
             it well: {reason}",
            lost.len()
        );
        turn.out.notice(Severity::Error, text);
        for log in lost {
            self.lose_partition(turn, log, reason);
        }
        self.tell_failed_directories(turn);
        self.partitions.note_deadlines();
    }

    /// Whether there are any that the node goes on without.
    #[must_use]
    pub fn has_failed_directories(&self) -> bool {
        !self.failed_directories.is_empty()
    }

    /// A directory of which nothing could be read, or not all: the start has gone on without it.
    pub(crate) fn say_failed_at_start(&self, turn: &mut Turn<'_>, failed: &FailedDirectory) {
        let name = self.settings.node.folders.log_dirs.get(usize::from(failed.directory.0));
        let name = name.map_or("?", String::as_str);
        let text = format!(
            "the log directory {name} has failed, the node goes on without what lies there: {}",
            failed.reason
        );
        turn.out.notice(Severity::Error, text);
    }

    /// Its log is asked for nothing any more. The shell keeps knowing where it lies: records that wait in
    /// memory to be written there must be found by the next start.
    fn lose_partition(&mut self, turn: &mut Turn<'_>, log: LogId, reason: &str) {
        let Some(partition) = self.partitions.get_mut(log) else { return };
        // Who appends again when told of the loss must not append here.
        partition.log.fail(DiskError::Io(reason.to_owned()));
        partition.log.doubt_syncs_under_way(&mut turn.out.disk);
        let mut released = partition.abandon();
        let identity = partition.log.identity();
        let (topic_id, index) = (identity.topic_id, identity.partition);
        let mut watchers = std::mem::take(&mut released.watchers);
        self.release(turn, log, &mut released);
        if self.groups_topic_id() == Some(topic_id) {
            self.unload_groups_of(turn, index);
        }
        self.partitions.take_offline(log);
        if planted(Planted::FailedDirectoryForgotten) {
            turn.out.folders.push((log, None));
        }
        self.tell_watchers(turn, &mut watchers);
    }

    /// The controller takes the leadership from what lies there; once this broker is registered.
    pub(crate) fn tell_failed_directories(&mut self, turn: &mut Turn<'_>) {
        if self.phase != Phase::Running || self.failed_directories.untold.is_empty() {
            return;
        }
        let broker = (self.identity.node_id, self.broker_epoch());
        let untold = std::mem::take(&mut self.failed_directories.untold);
        if let Ok(decision) = self.metadata.controller.fail_directories(broker, &untold) {
            self.submit(turn, decision.records);
        }
    }

    /// Why there is no log for a partition here.
    pub(crate) fn missing_partition(&self, topic_id: Uuid, partition: i32) -> ErrorCode {
        let topics = &self.metadata.image().topics;
        match topics.partition(topic_id, partition) {
            _ if self.partitions.is_offline(topic_id, partition) => ErrorCode::KafkaStorageError,
            Some(_) => ErrorCode::NotLeaderOrFollower,
            None => ErrorCode::UnknownTopicOrPartition,
        }
    }

    /// The same, of a topic by its name.
    pub(crate) fn missing_partition_of(&self, topic: &str, partition: i32) -> ErrorCode {
        let known = self.metadata.image().topics.by_name(topic);
        self.missing_partition(known.map_or(Uuid::ZERO, |topic| topic.id), partition)
    }
}
