//! The partitions of this node: by topic id and index for requests, by log id for the disk's reports.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::{IdMap, Uuid};
use strom_replica::{CommitWaiter, Partition};
use strom_storage::disk::{DirectoryId, LogId, Ticket};

use crate::Broker;
use crate::log_set::LogSet;

/// The log of `__cluster_metadata`, which is no partition of this registry.
pub(crate) const METADATA_LOG: LogId = LogId(0);

#[derive(Debug, Default)]
pub(crate) struct Partitions {
    /// Index: log id. Ids are not reused within a run, so a late report of a deleted log hits nothing.
    by_log: Vec<Option<Box<Partition>>>,
    /// Logs that were at hand since [`Partitions::note_deadlines`], possibly changed.
    touched: Vec<LogId>,
    /// By log: the deadline that stands in `deadlines`.
    noted: IdMap<LogId, u64>,
    /// Flushes and removals to come, in monotonic milliseconds, the earliest first.
    deadlines: BTreeSet<(u64, LogId)>,
    by_topic: IdMap<Uuid, BTreeMap<i32, LogId>>,
    /// Logs with a folder: a partition that nobody has written to takes no part in what is done to
    /// all logs from time to time.
    on_disk: LogSet,
    /// Index: log directory; how many logs are placed there.
    placed: Vec<usize>,
    /// Those whose log directory has failed under them.
    offline: BTreeSet<(Uuid, i32)>,
}

impl Partitions {
    /// The id that the next partition gets.
    pub(crate) fn next_id(&self) -> LogId {
        // One is taken by the metadata log.
        LogId(self.by_log.len().max(1) as u32)
    }

    /// Adds a partition whose log has [`Partitions::next_id`].
    pub(crate) fn add(&mut self, partition: Partition) {
        let identity = partition.log.identity();
        let (id, topic_id, index) = (identity.id, identity.topic_id, identity.partition);
        let directory = usize::from(identity.directory.0);
        if self.placed.len() <= directory {
            self.placed.resize(directory + 1, 0);
        }
        if let Some(count) = self.placed.get_mut(directory) {
            *count += 1;
        }
        while self.by_log.len() <= id.0 as usize {
            self.by_log.push(None);
        }
        if let Some(slot) = self.by_log.get_mut(id.0 as usize) {
            *slot = Some(Box::new(partition));
        }
        self.by_topic.entry(topic_id).or_default().insert(index, id);
        self.touched.push(id);
    }

    pub(crate) fn find(&self, topic_id: Uuid, partition: i32) -> Option<LogId> {
        self.by_topic.get(&topic_id)?.get(&partition).copied()
    }

    /// The logs of a topic in the order of their partitions.
    pub(crate) fn of_topic(&self, topic_id: Uuid) -> Vec<LogId> {
        self.by_topic
            .get(&topic_id)
            .map(|logs| logs.values().copied().collect())
            .unwrap_or_default()
    }

    /// Monotonic milliseconds of the next flush or removal of any log, as last noted.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Looks at the deadlines of the logs that were at hand: of thousands, few move in one input.
    pub(crate) fn note_deadlines(&mut self) {
        while let Some(id) = self.touched.pop() {
            let partition = self.get(id);
            let deadline = partition.and_then(|partition| partition.log.next_deadline());
            if !self.on_disk.contains(id) && partition.is_some_and(|it| it.log.has_folder()) {
                self.on_disk.insert(id);
            }
            if deadline == self.noted.get(&id).copied() {
                continue;
            }
            let before = match deadline {
                Some(deadline_ms) => {
                    self.deadlines.insert((deadline_ms, id));
                    self.noted.insert(id, deadline_ms)
                }
                None => self.noted.remove(&id),
            };
            if let Some(before_ms) = before {
                self.deadlines.remove(&(before_ms, id));
            }
        }
    }

    /// The logs whose deadlines are over.
    pub(crate) fn due(&self, now_ms: u64) -> Vec<LogId> {
        self.deadlines.range(..=(now_ms, LogId(u32::MAX))).map(|(_, id)| *id).collect()
    }

    pub(crate) fn get(&self, log: LogId) -> Option<&Partition> {
        self.by_log.get(log.0 as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, log: LogId) -> Option<&mut Partition> {
        if self.touched.last() != Some(&log) {
            self.touched.push(log);
        }
        self.by_log.get_mut(log.0 as usize)?.as_deref_mut()
    }

    /// Requests no longer find the topic's partitions; their logs stay until their files are gone.
    pub(crate) fn unlist(&mut self, topic_id: Uuid) -> Vec<LogId> {
        self.offline.retain(|(topic, _)| *topic != topic_id);
        self.by_topic.remove(&topic_id).map(|logs| logs.into_values().collect()).unwrap_or_default()
    }

    /// The logs in a log directory.
    pub(crate) fn in_directory(&self, directory: DirectoryId) -> Vec<LogId> {
        let there = self.iter().filter(|(_, it)| it.log.identity().directory == directory);
        there.map(|(id, _)| id).collect()
    }

    /// The directory of a log has failed: requests find its partition no more, and are told so.
    pub(crate) fn take_offline(&mut self, log: LogId) {
        let Some(partition) = self.get(log) else { return };
        let (topic_id, index) =
            (partition.log.identity().topic_id, partition.log.identity().partition);
        if self.find(topic_id, index) == Some(log) {
            self.offline.insert((topic_id, index));
            if let Some(logs) = self.by_topic.get_mut(&topic_id) {
                logs.remove(&index);
            }
        }
        self.drop_log(log);
    }

    pub(crate) fn is_offline(&self, topic_id: Uuid, partition: i32) -> bool {
        self.offline.contains(&(topic_id, partition))
    }

    pub(crate) fn drop_log(&mut self, log: LogId) {
        let slot = self.by_log.get_mut(log.0 as usize);
        if let Some(partition) = slot.and_then(Option::take) {
            let directory = usize::from(partition.log.identity().directory.0);
            if let Some(count) = self.placed.get_mut(directory) {
                *count = count.saturating_sub(1);
            }
        }
        self.on_disk.remove(log);
        self.touched.push(log);
    }

    /// The logs with a folder, as of the last [`Partitions::note_deadlines`].
    pub(crate) fn on_disk(&self) -> impl Iterator<Item = (LogId, &Partition)> {
        self.on_disk.iter().filter_map(|id| Some((id, self.get(id)?)))
    }

    pub(crate) fn count_on_disk(&self) -> usize {
        self.on_disk.len()
    }

    /// How many logs are placed in a log directory.
    pub(crate) fn placed_in(&self, directory: DirectoryId) -> usize {
        self.placed.get(usize::from(directory.0)).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LogId, &Partition)> {
        let numbered = self.by_log.iter().enumerate();
        numbered.filter_map(|(id, slot)| Some((LogId(id as u32), slot.as_deref()?)))
    }

    /// Ids of all logs that are open.
    pub(crate) fn ids(&self) -> Vec<LogId> {
        self.iter().map(|(id, _)| id).collect()
    }
}

impl Broker {
    /// `waiter` is told when the partition's high watermark reaches `end_offset`.
    pub(crate) fn await_commit(&mut self, log: LogId, end_offset: i64, waiter: CommitWaiter) {
        if let Some(partition) = self.partitions.get_mut(log) {
            partition.waiting.await_commit(end_offset, waiter);
        }
    }

    pub(crate) fn await_sync(&mut self, log: LogId, ticket: Ticket, waiter: CommitWaiter) {
        if let Some(partition) = self.partitions.get_mut(log) {
            partition.waiting.await_sync(ticket.sequence, waiter);
        }
    }
}
