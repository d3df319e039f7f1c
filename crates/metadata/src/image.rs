//! The image: what the records of the metadata log, replayed in order, say that the cluster is.

pub mod cluster;
pub mod configs;
pub mod feature_levels;
pub mod topics;

use strom_base::Uuid;
use strom_protocol::MetadataRecord;

pub use cluster::{BrokerRegistration, Cluster, Endpoint};
pub use configs::{ConfigResource, Configs, ResourceType};
pub use feature_levels::FeatureLevels;
pub use topics::{Partition, Topic, Topics};

/// A record that does not fit what stands before it: the log or this software is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata record at offset {offset} cannot be applied: {reason}")]
pub struct ReplayError {
    pub offset: i64,
    pub reason: String,
}

/// What a record has changed, for those who make a node follow the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    Topic(Uuid),
    /// Its name, as the image no longer knows it.
    TopicRemoved(Uuid, String),
    Config(ConfigResource),
    Broker(i32),
    Features,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    pub features: FeatureLevels,
    pub cluster: Cluster,
    pub topics: Topics,
    pub configs: Configs,
    /// The first producer id of the next block.
    pub next_producer_id: i64,
    /// Records that this software keeps for others: SCRAM, ACLs, quotas, tokens. As encoded.
    kept: Vec<Vec<u8>>,
    in_transaction: bool,
}

impl Image {
    /// Applies one record.
    ///
    /// # Errors
    /// When the record does not fit; the image is then as it was before.
    pub fn replay(
        &mut self,
        offset: i64,
        record: &MetadataRecord<'_>,
        encoded: &[u8],
    ) -> Result<Change, ReplayError> {
        let failed = |reason: String| ReplayError { offset, reason };
        let change = match record {
            MetadataRecord::Topic(record) => self.topics.add(record).map_err(failed)?,
            MetadataRecord::Partition(record) => {
                self.topics.set_partition(record).map_err(failed)?
            }
            MetadataRecord::PartitionChange(record) => {
                self.topics.change_partition(record).map_err(failed)?
            }
            MetadataRecord::RemoveTopic(record) => {
                let name = self.topics.remove(record.topic_id).map_err(failed)?;
                self.configs.remove_resource(&ConfigResource::topic(&name));
                Change::TopicRemoved(record.topic_id, name)
            }
            MetadataRecord::ClearElr(record) => self.topics.clear_elr(record.topic_name),
            MetadataRecord::Config(record) => self.configs.replay(record),
            MetadataRecord::FeatureLevel(record) => {
                self.features.set(offset, record.name, record.feature_level)
            }
            MetadataRecord::RegisterBroker(record) => self.cluster.register(record),
            MetadataRecord::UnregisterBroker(record) => {
                self.cluster.unregister(record.broker_id, record.broker_epoch).map_err(failed)?
            }
            MetadataRecord::BrokerRegistrationChange(record) => {
                self.cluster.change(record).map_err(failed)?
            }
            MetadataRecord::FenceBroker(record) => {
                self.cluster.set_fenced(record.id, record.epoch, true).map_err(failed)?
            }
            MetadataRecord::UnfenceBroker(record) => {
                self.cluster.set_fenced(record.id, record.epoch, false).map_err(failed)?
            }
            MetadataRecord::ProducerIds(record) => {
                if record.next_producer_id <= self.next_producer_id {
                    return Err(failed(format!(
                        "producer ids go back to {}",
                        record.next_producer_id
                    )));
                }
                self.next_producer_id = record.next_producer_id;
                Change::Nothing
            }
            MetadataRecord::BeginTransaction(_) => self.begin_transaction(true).map_err(failed)?,
            MetadataRecord::EndTransaction(_) | MetadataRecord::AbortTransaction(_) => {
                self.begin_transaction(false).map_err(failed)?
            }
            MetadataRecord::NoOp(_) | MetadataRecord::ZkMigrationState(_) => Change::Nothing,
            _ => {
                self.kept.push(encoded.to_vec());
                Change::Nothing
            }
        };
        Ok(change)
    }

    fn begin_transaction(&mut self, begin: bool) -> Result<Change, String> {
        if self.in_transaction == begin {
            return Err("a metadata transaction is opened twice or ended without one".into());
        }
        self.in_transaction = begin;
        Ok(Change::Nothing)
    }
}
