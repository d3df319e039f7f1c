//! What a broker's coming and going does to the partitions it has replicas of.

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;

use super::partition_change::PartitionChange;
use super::{Controller, RecordBytes, encode};
use crate::directory_id::is_no_directory;
use crate::image::{BrokerRegistration, Partition};

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
    /// The broker goes away in good order: others lead, it is out of sync. `back` are the directories
    /// that it comes back with, if it does.
    pub(super) fn fence(
        &self,
        broker: &BrokerRegistration,
        back: &[Uuid],
        records: &mut Vec<RecordBytes>,
    ) {
        self.update_partitions(broker, (Event::Leaves, back), records);
        if !broker.is_fenced {
            records.push(fencing_record(broker, 1));
        }
    }

    /// The broker came back without having synced at the end: nothing that it has counts as safe.
    pub(super) fn shut_down_unclean(
        &self,
        broker: &BrokerRegistration,
        back: &[Uuid],
        records: &mut Vec<RecordBytes>,
    ) {
        self.update_partitions(broker, (Event::LeavesUnclean, back), records);
    }

    /// The broker has caught up: it takes part, and leads what nobody else could.
    pub(super) fn unfence(&self, broker: &BrokerRegistration, records: &mut Vec<RecordBytes>) {
        records.push(fencing_record(broker, -1));
        self.update_partitions(broker, (Event::Joins, &[]), records);
    }

    fn update_partitions(
        &self,
        broker: &BrokerRegistration,
        (event, back): (Event, &[Uuid]),
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
        let gone = event != Event::Joins;
        // A broker in the controller's own process comes back together with it: what only it has,
        // it goes on leading, without two records and a new epoch for each partition. Not what lies in a
        // directory that does not come back.
        let is_own = gone && id == self.settings.node_id;
        let is_back = |partition: &Partition| {
            let directory = partition.directory_of(id);
            directory.is_none_or(|it| is_no_directory(it) || back.contains(&it))
        };
        for topic in self.image.topics.iter() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let stays = is_own
                    && *partition.replicas == [id]
                    && partition.leader == id
                    && is_back(partition);
                if stays || !concerns(partition) {
                    continue;
                }
                let Some(mut change) = PartitionChange::of(self, topic, index) else { continue };
                if gone {
                    change.isr.retain(|replica| *replica != id);
                }
                change.unclean_replica = Some(id).filter(|_| event == Event::LeavesUnclean);
                let is_acceptable = |replica: i32| match replica == id {
                    true => !gone && broker.has_replica_online(partition),
                    false => self.may_lead(partition, replica),
                };
                records.extend(change.build(&is_acceptable));
            }
        }
    }

    /// Whether the replica's broker is active and its directory is not known to have failed.
    pub(super) fn may_lead(&self, partition: &Partition, replica: i32) -> bool {
        let Some(broker) = self.image.cluster.broker(replica) else { return false };
        broker.is_active() && broker.has_replica_online(partition)
    }
}

/// `fenced` is 1 to fence the broker, -1 to let it take part.
fn fencing_record(broker: &BrokerRegistration, fenced: i8) -> RecordBytes {
    let record = BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        fenced,
        ..Default::default()
    };
    // The lowest version that says it, as Kafka writes it.
    encode(&MetadataRecord::BrokerRegistrationChange(record), 0)
}
