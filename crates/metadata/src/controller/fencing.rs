//! What a broker's coming and going does to the partitions it has replicas of.

use strom_protocol::MetadataRecord;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;

use super::partition_change::PartitionChange;
use super::{Controller, RecordBytes, encode};
use crate::directory_id::{MIGRATING, UNASSIGNED};
use crate::image::{BrokerRegistration, Partition};

/// Fields of a change are of version 0 (fencing), 1 (controlled shutdown), 2 (directories) and 3
/// (cordoned ones); Kafka writes the lowest that says what is to be said.
const FENCING_VERSION: i16 = 0;
const SHUTDOWN_VERSION: i16 = 1;
const DIRECTORIES_VERSION: i16 = 2;

/// What happens to a broker, as its partitions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// It cannot lead or be in sync any more, but has kept what it had.
    Leaves,
    /// It may have lost what it had not synced.
    LeavesUnclean,
    /// It may lead what has no leader.
    Joins,
}

impl Controller {
    /// The broker is silent or goes away in good order: others lead, it is out of sync.
    pub(super) fn fence(&self, broker: &BrokerRegistration, records: &mut Vec<RecordBytes>) {
        self.update_partitions(broker, Event::Leaves, records);
        if !broker.is_fenced {
            records.push(change_record(broker, FENCING_VERSION, |record| record.fenced = 1));
        }
    }

    /// The broker came back without having synced at the end: nothing that it has counts as safe.
    pub(super) fn shut_down_unclean(
        &self,
        broker: &BrokerRegistration,
        records: &mut Vec<RecordBytes>,
    ) {
        self.update_partitions(broker, Event::LeavesUnclean, records);
    }

    /// The broker has caught up: it takes part, and leads what nobody else could.
    pub(super) fn unfence(&self, broker: &BrokerRegistration, records: &mut Vec<RecordBytes>) {
        records.push(change_record(broker, FENCING_VERSION, |record| record.fenced = -1));
        self.update_partitions(broker, Event::Joins, records);
    }

    /// The broker wants to stop: it gives its leaderships away first.
    pub(super) fn begin_shutdown(
        &self,
        broker: &BrokerRegistration,
        records: &mut Vec<RecordBytes>,
    ) {
        records.push(change_record(broker, SHUTDOWN_VERSION, |record| {
            record.in_controlled_shutdown = 1;
        }));
        self.update_partitions(broker, Event::Leaves, records);
    }

    /// Directories of the broker failed: what lies there is as if the broker had gone.
    pub(super) fn lose_directories(
        &self,
        broker: &BrokerRegistration,
        lost: &[strom_base::Uuid],
        records: &mut Vec<RecordBytes>,
    ) {
        let left = broker.directories.iter().filter(|it| !lost.contains(it));
        let left: Vec<_> = left.copied().collect();
        if left.len() == broker.directories.len() || left.is_empty() {
            return;
        }
        records.push(change_record(broker, DIRECTORIES_VERSION, |record| record.log_dirs = left));
        let is_lost = |partition: &Partition| {
            let mut replicas = partition.replicas.iter().zip(&partition.directories);
            replicas.any(|(id, directory)| *id == broker.id && lost.contains(directory))
        };
        self.update(broker, Event::Leaves, &is_lost, records);
    }

    fn update_partitions(
        &self,
        broker: &BrokerRegistration,
        event: Event,
        records: &mut Vec<RecordBytes>,
    ) {
        let id = broker.id;
        let concerns = |partition: &Partition| match event {
            Event::Leaves => partition.isr.contains(&id),
            Event::LeavesUnclean => {
                partition.isr.contains(&id) || partition.eligible_leaders.contains(&id)
            }
            Event::Joins => partition.leader < 0,
        };
        self.update(broker, event, &concerns, records);
    }

    fn update(
        &self,
        broker: &BrokerRegistration,
        event: Event,
        concerns: &dyn Fn(&Partition) -> bool,
        records: &mut Vec<RecordBytes>,
    ) {
        let id = broker.id;
        let gone = event != Event::Joins;
        // A broker in the controller's own process comes back together with it: what only it has,
        // it goes on leading, without two records and a new epoch for each partition.
        let is_own = gone && id == self.settings.node_id;
        for topic in self.image.topics.iter() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let stays = is_own && *partition.replicas == [id] && partition.leader == id;
                if stays || !concerns(partition) {
                    continue;
                }
                let Some(mut change) = PartitionChange::of(self, topic, index) else { continue };
                if gone {
                    change.isr.retain(|replica| *replica != id);
                }
                change.unclean_replica = Some(id).filter(|_| event == Event::LeavesUnclean);
                let is_acceptable = |replica: i32| match replica == id {
                    true => !gone,
                    false => self.may_lead(partition, replica),
                };
                records.extend(change.build(&is_acceptable));
            }
        }
    }

    /// Whether the replica's broker is active and its directory is not known to have failed.
    pub(super) fn may_lead(&self, partition: &Partition, replica: i32) -> bool {
        let Some(broker) = self.image.cluster.broker(replica) else { return false };
        let mut replicas = partition.replicas.iter().zip(&partition.directories);
        let directory = replicas.find(|(id, _)| **id == replica).map(|(_, directory)| *directory);
        let is_online = directory.is_none_or(|directory| {
            directory == MIGRATING
                || directory == UNASSIGNED
                || broker.directories.contains(&directory)
        });
        broker.is_active() && is_online
    }
}

fn change_record(
    broker: &BrokerRegistration,
    version: i16,
    set: impl FnOnce(&mut BrokerRegistrationChangeRecord<'_>),
) -> RecordBytes {
    let mut record = BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        ..Default::default()
    };
    set(&mut record);
    encode(&MetadataRecord::BrokerRegistrationChange(record), version)
}
