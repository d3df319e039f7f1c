//! Making this node follow the image: logs for partitions that are new, none for those that are gone,
//! groups where `__consumer_offsets` is led.

mod configuration;

use std::sync::Arc;

use strom_base::{Planted, Uuid, planted};
use strom_metadata::controller::assign_directories::DirectoryAssignment;
use strom_metadata::directory_id::is_no_directory;
use strom_replica::Partition;
use strom_storage::Log;
use strom_storage::disk::{DirectoryId, DiskEffect, DiskPath};
use strom_storage::format::directory_name;
use strom_storage::log::LogIdentity;

use crate::Broker;
use crate::boot::{BootedLog, DirectoryIdentity};
use crate::effect::{Severity, Turn};
use crate::groups::OFFSETS_TOPIC;
use crate::lifecycle::Phase;

impl Broker {
    /// Brings the partitions of a topic in line with the image.
    pub(crate) fn reconcile_topic(&mut self, turn: &mut Turn<'_>, topic_id: Uuid) {
        let Some(topic) = self.metadata.image().topics.by_id(topic_id) else {
            self.remove_topic(turn, topic_id);
            return;
        };
        let name: Arc<str> = Arc::from(&*topic.name);
        let node_id = self.identity.node_id;
        let wanted: Vec<(i32, Option<i32>, Option<Uuid>)> = (0..)
            .zip(&topic.partitions)
            .filter_map(|(index, it)| {
                let place = it.replicas.iter().position(|replica| *replica == node_id)?;
                let epoch = Some(it.leader_epoch).filter(|_| it.leader == node_id);
                Some((index, epoch, it.directories.get(place).copied()))
            })
            .collect();
        let config = self.log_config_of(&name);
        for (index, leader_epoch, assigned) in wanted {
            if self.partitions.find(topic_id, index).is_none() {
                let is_offline = self.partitions.is_offline(topic_id, index)
                    || self.failed_directories.withholds(topic_id, index);
                let Some(directory) = self.directory_for(assigned).filter(|_| !is_offline) else {
                    self.failed_directories.withhold(topic_id, index);
                    continue;
                };
                if self.checkpoints.must_wait(&name, topic_id) {
                    self.write_due_checkpoints(turn.now, &mut turn.out.disk);
                    continue;
                }
                let identity = LogIdentity {
                    id: self.partitions.next_id(),
                    directory,
                    topic: Arc::clone(&name),
                    partition: index,
                    topic_id,
                };
                let folder = folder_of(&identity);
                turn.out.folders.push((identity.id, Some(folder)));
                let log = Log::create(identity, Arc::clone(&config), turn.now);
                self.partitions.add(Partition::new(log));
            }
            if let Some(leader_epoch) = leader_epoch {
                self.lead(turn, (topic_id, index), leader_epoch);
            }
        }
    }

    /// Leads a partition at an epoch; a partition of `__consumer_offsets` loads its groups.
    fn lead(&mut self, turn: &mut Turn<'_>, (topic_id, index): (Uuid, i32), leader_epoch: i32) {
        let Some(log) = self.partitions.find(topic_id, index) else { return };
        let Some(partition) = self.partitions.get_mut(log) else { return };
        if leader_epoch <= partition.leader_epoch() {
            return;
        }
        partition.become_leader(leader_epoch, &mut turn.out.disk);
        let mut watchers = Vec::new();
        partition.waiting.tell_watchers(&mut watchers);
        self.tell_watchers(turn, &mut watchers);
        if self.groups_topic_id() == Some(topic_id) {
            self.load_groups(turn, index, leader_epoch);
        }
    }

    pub(crate) fn on_topics_removed(&mut self, turn: &mut Turn<'_>, names: &[String]) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.on_group_topics_deleted(turn, &names);
        if names.contains(&OFFSETS_TOPIC) {
            self.unload_groups(turn);
        }
    }

    fn remove_topic(&mut self, turn: &mut Turn<'_>, topic_id: Uuid) {
        for log in self.partitions.unlist(topic_id) {
            let unique = self.random.uuid();
            let Some(partition) = self.partitions.get_mut(log) else { continue };
            if partition.log.has_folder() {
                let identity = partition.log.identity();
                self.checkpoints.forget(turn.now, &identity.topic);
            }
            partition.log.delete(turn.now, unique, &mut turn.out.disk);
            // What is still to be sent of it must not be read from the next log of its name.
            turn.out.folders.push((log, None));
            let mut watchers = Vec::new();
            partition.waiting.tell_watchers(&mut watchers);
            self.tell_watchers(turn, &mut watchers);
        }
    }

    /// Opens the logs that lay on the disk, as far as the image says that they are this node's.
    /// The rest is renamed away, never deleted, unless nothing is in it.
    pub(crate) fn adopt_logs(&mut self, turn: &mut Turn<'_>, logs: Vec<BootedLog>) {
        for booted in logs {
            if booted.topic_id.is_zero() && booted.recovered.is_untouched() {
                // Made, and not one append. The topic's log makes its folder when it needs one.
                let path = directory_name::format(&booted.topic, booted.partition);
                let path = DiskPath { directory: booted.directory, path };
                turn.out.disk.push(DiskEffect::RemoveDirectory { path });
                continue;
            }
            let topics = &self.metadata.image().topics;
            let topic_id = match topics.by_name(&booted.topic) {
                Some(topic) if planted(Planted::OursByName) => topic.id,
                _ => booted.topic_id,
            };
            let known = topics.partition(topic_id, booted.partition);
            let is_ours = known.is_some_and(|p| p.replicas.contains(&self.identity.node_id));
            let name = format!("{}-{}", booted.topic, booted.partition);
            if !is_ours {
                self.checkpoints.forget(turn.now, &booted.topic);
                self.set_aside(turn, booted.directory, &booted.topic, booted.partition);
                turn.out.notice(
                    Severity::Warning,
                    format!("{name} is not this node's by the metadata log: renamed to -stray"),
                );
                continue;
            }
            let identity = LogIdentity {
                id: self.partitions.next_id(),
                directory: booted.directory,
                topic: Arc::from(booted.topic.as_str()),
                partition: booted.partition,
                topic_id: booted.topic_id,
            };
            turn.out.folders.push((identity.id, Some(folder_of(&identity))));
            let config = self.log_config_of(&booted.topic);
            let mut log = Log::open(identity, config, booted.recovered, turn.now);
            log.advance_high_watermark(booted.high_watermark);
            self.partitions.add(Partition::new(log));
        }
    }

    fn set_aside(
        &mut self,
        turn: &mut Turn<'_>,
        directory: DirectoryId,
        topic: &str,
        partition: i32,
    ) {
        let stray = directory_name::format_stray(topic, partition, self.random.uuid());
        turn.out.disk.push(DiskEffect::Rename {
            from: DiskPath { directory, path: directory_name::format(topic, partition) },
            to: DiskPath { directory, path: stray },
            closes: Vec::new(),
        });
    }

    /// Tells the controller of replicas that lie elsewhere than it knows, as a node of several log
    /// directories does (KIP-858).
    pub(crate) fn report_directories(
        &mut self,
        turn: &mut Turn<'_>,
        topics: impl Iterator<Item = Uuid>,
    ) {
        if self.identity.directories.len() + self.failed_directories.len() < 2 {
            return;
        }
        let mut found = Vec::new();
        for topic_id in topics {
            for log in self.partitions.of_topic(topic_id) {
                let Some(partition) = self.partitions.get(log) else { continue };
                let identity = partition.log.identity();
                let is_it = |it: &&DirectoryIdentity| it.directory == identity.directory;
                let place = self.identity.directories.iter().find(is_it);
                let Some(place) = place else { continue };
                let (partition, directory) = (identity.partition, place.id);
                found.push(DirectoryAssignment { topic_id, partition, directory });
            }
        }
        let broker = (self.identity.node_id, self.broker_epoch());
        // Refused before the broker is registered; it reports all when it is.
        if let Ok(decision) = self.metadata.controller.assign_directories(broker, &found) {
            self.submit(turn, decision.records);
        }
    }

    /// Where the controller wants a new log, if it says. None is made while the partition may have one that
    /// is out of reach: in a directory that is not here, or, of what an earlier life has not told, in one
    /// that has failed.
    fn directory_for(&self, assigned: Option<Uuid>) -> Option<DirectoryId> {
        let online = &self.identity.directories;
        match assigned.filter(|it| !is_no_directory(*it)) {
            _ if planted(Planted::LogMadeAnew) => self.emptiest_directory(),
            Some(id) => online.iter().find(|it| it.id == id).map(|it| it.directory),
            None if self.phase == Phase::Starting && !self.failed_directories.is_empty() => None,
            None => self.emptiest_directory(),
        }
    }

    /// The log directory with the fewest partitions, the first of equals.
    fn emptiest_directory(&self) -> Option<DirectoryId> {
        let all = self.identity.directories.iter().map(|it| it.directory);
        all.min_by_key(|it| self.partitions.placed_in(*it))
    }
}

fn folder_of(identity: &LogIdentity) -> DiskPath {
    DiskPath {
        directory: identity.directory,
        path: directory_name::format(&identity.topic, identity.partition),
    }
}
