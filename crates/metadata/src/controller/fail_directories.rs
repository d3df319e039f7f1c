//! Log directories of a broker that have failed, as its heartbeat tells (KIP-858).

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;

use super::partition_change::PartitionChange;
use super::{Controller, Decision, Refusal, encode};
use crate::image::Partition;

impl Controller {
    /// Takes the leadership and the place among those in sync from every replica there: first the
    /// partitions' records, then the broker's. None for directories that it is not registered with.
    ///
    /// # Errors
    /// For a broker that is not registered at this epoch.
    pub fn fail_directories(
        &self,
        (broker_id, broker_epoch): (i32, i64),
        failed: &[Uuid],
    ) -> Result<Decision<()>, Refusal> {
        let broker = self.registered(broker_id, broker_epoch)?;
        let mut records = Vec::new();
        let has_failed = |directory: &Uuid| failed.contains(directory);
        let (failed, left): (Vec<Uuid>, Vec<Uuid>) =
            broker.directories.iter().copied().partition(has_failed);
        // A record without directories leaves them as they are: who has none left goes away instead.
        if failed.is_empty() || left.is_empty() {
            return Ok(Decision { records, reply: () });
        }
        let is_there = |partition: &Partition| {
            partition.directory_of(broker_id).is_some_and(|it| failed.contains(&it))
        };
        for topic in self.image.topics.iter() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                if !is_there(partition) {
                    continue;
                }
                let Some(mut change) = PartitionChange::of(self, topic, index) else { continue };
                change.isr.retain(|replica| *replica != broker_id);
                let is_acceptable =
                    |replica: i32| replica != broker_id && self.may_lead(partition, replica);
                records.extend(change.build(&is_acceptable));
            }
        }
        let change = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch,
            log_dirs: left,
            ..Default::default()
        };
        // The lowest version that says it, as Kafka writes it.
        records.push(encode(&MetadataRecord::BrokerRegistrationChange(change), 2));
        Ok(Decision { records, reply: () })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::ControllerSettings;
    use crate::controller::assign_directories::DirectoryAssignment;
    use crate::controller::register_broker::Registration;
    use crate::controller::register_broker::tests::{apply, registration};
    use crate::directory_id::UNASSIGNED;
    use strom_protocol::partition_record::PartitionRecord;
    use strom_protocol::topic_record::TopicRecord;

    const GOOD: Uuid = Uuid([3; 16]);
    const BAD: Uuid = Uuid([4; 16]);

    fn asked(incarnation: u8, directories: &[Uuid], previous_broker_epoch: i64) -> Registration {
        let directories = directories.to_vec();
        Registration { directories, previous_broker_epoch, ..registration(1, incarnation) }
    }

    fn register(controller: &mut Controller, offset: i64, asked: &Registration) {
        let decision = controller.register_broker(asked, offset).expect("registered");
        apply(controller, offset, &decision);
        let decision = controller.unfence_broker(1, decision.reply).expect("unfenced");
        apply(controller, offset + 50, &decision);
    }

    /// One broker in its own process, a topic with a partition in each of its two directories.
    fn cluster() -> Controller {
        let settings = ControllerSettings { node_id: 1, ..Default::default() };
        let mut controller = Controller::default().with_settings(settings);
        let records = crate::bootstrap::records("1");
        apply(&mut controller, 0, &Decision { records, reply: () });
        register(&mut controller, 100, &asked(1, &[GOOD, BAD], -1));
        let topic_id = create(&mut controller, 300);
        let places = [(0, GOOD), (1, BAD)];
        let assignments = places.map(|(partition, directory)| DirectoryAssignment {
            topic_id,
            partition,
            directory,
        });
        let epoch = controller.image().cluster.broker(1).expect("known").epoch;
        let decision = controller.assign_directories((1, epoch), &assignments).expect("known");
        apply(&mut controller, 400, &decision);
        controller
    }

    fn create(controller: &mut Controller, offset: i64) -> Uuid {
        let topic_id = Uuid([9; 16]);
        let topic =
            MetadataRecord::Topic(TopicRecord { name: "spread", topic_id, ..Default::default() });
        let mut records = vec![encode(&topic, 0)];
        records.extend((0..2).map(|partition_id| {
            let partition = PartitionRecord {
                partition_id,
                topic_id,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                directories: vec![UNASSIGNED],
                ..Default::default()
            };
            encode(&MetadataRecord::Partition(partition), controller.versions().partition())
        }));
        apply(controller, offset, &Decision { records, reply: () });
        topic_id
    }

    /// Leader, those in sync and those eligible, by partition.
    fn leaders(controller: &Controller) -> Vec<(i32, Vec<i32>, Vec<i32>)> {
        let topic = controller.image().topics.by_name("spread").expect("there");
        let partitions = topic.partitions.iter();
        partitions.map(|it| (it.leader, it.isr.to_vec(), it.eligible_leaders.to_vec())).collect()
    }

    #[test]
    fn what_lies_in_a_failed_directory_has_no_leader_until_it_is_back() {
        let mut controller = cluster();
        let epoch = controller.image().cluster.broker(1).expect("known").epoch;
        let decision = controller.fail_directories((1, epoch), &[BAD]).expect("known");
        assert_eq!(decision.records.len(), 2);
        apply(&mut controller, 500, &decision);
        let led = (1, vec![1], vec![]);
        assert_eq!(leaders(&controller), [led.clone(), (-1, vec![], vec![1])]);
        assert_eq!(controller.image().cluster.broker(1).expect("known").directories, [GOOD]);
        let again = controller.fail_directories((1, epoch), &[BAD]).expect("known");
        assert!(again.records.is_empty(), "told before");
        register(&mut controller, 600, &asked(2, &[GOOD], epoch));
        assert_eq!(leaders(&controller), [led.clone(), (-1, vec![], vec![1])]);
        register(&mut controller, 800, &asked(3, &[GOOD, BAD], -1));
        assert_eq!(leaders(&controller), [led.clone(), led]);
    }

    #[test]
    fn a_start_without_a_directory_leads_nothing_that_lies_there() {
        for is_clean in [true, false] {
            let mut controller = cluster();
            let epoch = controller.image().cluster.broker(1).expect("known").epoch;
            let previous = if is_clean { epoch } else { -1 };
            register(&mut controller, 600, &asked(2, &[GOOD], previous));
            let leaders: Vec<i32> = leaders(&controller).iter().map(|it| it.0).collect();
            assert_eq!(leaders, [1, -1], "{is_clean}");
        }
    }
}
