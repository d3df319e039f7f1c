//! AssignReplicasToDirs: a broker of several log directories tells where its replicas lie (KIP-858).

use strom_base::Uuid;
use strom_protocol::partition_change_record::PartitionChangeRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::{Controller, Decision, Refusal, encode};

/// One replica's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryAssignment {
    pub topic_id: Uuid,
    pub partition: i32,
    pub directory: Uuid,
}

impl Controller {
    /// Decides on each partition by itself; no record where the place is known.
    ///
    /// # Errors
    /// For a broker that is not registered at this epoch.
    pub fn assign_directories(
        &self,
        (broker_id, broker_epoch): (i32, i64),
        assignments: &[DirectoryAssignment],
    ) -> Result<Decision<Vec<ErrorCode>>, Refusal> {
        let broker = self.registered(broker_id, broker_epoch)?;
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        for assignment in assignments {
            let DirectoryAssignment { topic_id, partition: index, directory } = *assignment;
            let known = self.image.topics.partition(topic_id, index);
            let place = known.and_then(|it| it.replicas.iter().position(|id| *id == broker_id));
            decision.reply.push(match (known, place) {
                (None, _) if self.image.topics.by_id(topic_id).is_none() => {
                    ErrorCode::UnknownTopicId
                }
                (None, _) => ErrorCode::UnknownTopicOrPartition,
                (Some(_), None) => ErrorCode::NotLeaderOrFollower,
                (Some(partition), Some(place)) => {
                    let mut directories = partition.directories.to_vec();
                    let is_online = broker.directories.contains(&directory);
                    if let Some(entry) = directories.get_mut(place).filter(|it| **it != directory)
                        && is_online
                    {
                        *entry = directory;
                        let record = PartitionChangeRecord {
                            topic_id,
                            partition_id: index,
                            directories: Some(directories),
                            ..Default::default()
                        };
                        let record = MetadataRecord::PartitionChange(record);
                        decision.records.push(encode(&record, self.versions().partition()));
                    }
                    ErrorCode::None
                }
            });
        }
        Ok(decision)
    }
}
