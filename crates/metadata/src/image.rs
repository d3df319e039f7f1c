//! The image: what the records of the metadata log, replayed in order, say that the cluster is.

pub mod client_quotas;
pub mod cluster;
pub mod configs;
pub mod delta;
pub mod feature_levels;
mod kept;
pub(crate) mod snapshot;
pub mod topics;

use strom_protocol::MetadataRecord;

pub use client_quotas::{ClientQuotas, QuotaEntity};
pub use cluster::{BrokerRegistration, Cluster, ControllerRegistration, Endpoint};
pub use configs::{ConfigResource, Configs, ResourceType};
pub use delta::Delta;
pub use feature_levels::FeatureLevels;
pub use topics::{Partition, Topic, Topics};

use kept::Kept;

/// A record that does not fit what stands before it: the log or this software is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata record at offset {offset} cannot be applied: {reason}")]
pub struct ReplayError {
    pub offset: i64,
    pub reason: String,
}

/// An offset and the encoded record that stands there.
type PendingRecord = (i64, Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    pub features: FeatureLevels,
    pub cluster: Cluster,
    pub topics: Topics,
    pub configs: Configs,
    /// The first producer id of the next block.
    pub next_producer_id: i64,
    pub quotas: ClientQuotas,
    /// What this software keeps for others: SCRAM, ACLs, tokens.
    kept: Kept,
    /// Records of the open metadata transaction: they count when it ends (KIP-868).
    pending: Option<Vec<PendingRecord>>,
}

impl Image {
    /// Applies one record, given decoded and as encoded, and notes in `delta` what it changed.
    ///
    /// # Errors
    /// When the record does not fit; the image is then not to be used any more.
    pub fn replay(
        &mut self,
        offset: i64,
        record: &MetadataRecord<'_>,
        encoded: &[u8],
        delta: &mut Delta,
    ) -> Result<(), ReplayError> {
        let failed = |reason: &str| ReplayError { offset, reason: reason.to_owned() };
        match (record, &mut self.pending) {
            (MetadataRecord::BeginTransaction(_), Some(_)) => {
                Err(failed("a metadata transaction begins inside another one"))
            }
            (MetadataRecord::BeginTransaction(_), None) => {
                self.pending = Some(Vec::new());
                Ok(())
            }
            (MetadataRecord::EndTransaction(_) | MetadataRecord::AbortTransaction(_), None) => {
                Err(failed("a metadata transaction ends that never began"))
            }
            (MetadataRecord::EndTransaction(_), Some(_)) => {
                for (offset, encoded) in self.pending.take().unwrap_or_default() {
                    let record = decode(offset, &encoded)?;
                    self.apply(offset, &record, &encoded, delta)?;
                }
                Ok(())
            }
            (MetadataRecord::AbortTransaction(_), Some(_)) => {
                self.pending = None;
                Ok(())
            }
            (_, Some(pending)) => {
                pending.push((offset, encoded.to_vec()));
                Ok(())
            }
            (record, None) => self.apply(offset, record, encoded, delta),
        }
    }

    /// Whether records wait for the end of their transaction. No snapshot is made meanwhile, and a
    /// controller that finds this at the begin of its leadership aborts it.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether there are rules about who may do what.
    #[must_use]
    pub fn has_acls(&self) -> bool {
        self.kept.has_acls()
    }

    fn apply(
        &mut self,
        offset: i64,
        record: &MetadataRecord<'_>,
        encoded: &[u8],
        delta: &mut Delta,
    ) -> Result<(), ReplayError> {
        let applied = match record {
            MetadataRecord::Topic(record) => self.topics.add(record, delta),
            MetadataRecord::Partition(record) => self.topics.set_partition(record, delta),
            MetadataRecord::PartitionChange(record) => self.topics.change_partition(record, delta),
            MetadataRecord::RemoveTopic(record) => {
                self.topics.remove(record.topic_id, delta).map(|name| {
                    self.configs.remove_resource(&ConfigResource::topic(&name));
                })
            }
            MetadataRecord::ClearElr(record) => self.topics.clear_elr(record.topic_name, delta),
            MetadataRecord::Config(record) => {
                self.configs.replay(record, delta);
                Ok(())
            }
            MetadataRecord::ClientQuota(record) => {
                self.quotas.replay(record);
                Ok(())
            }
            MetadataRecord::FeatureLevel(record) => {
                self.features.replay(record).map(|()| delta.features = true)
            }
            MetadataRecord::RegisterBroker(_)
            | MetadataRecord::UnregisterBroker(_)
            | MetadataRecord::BrokerRegistrationChange(_)
            | MetadataRecord::FenceBroker(_)
            | MetadataRecord::UnfenceBroker(_)
            | MetadataRecord::RegisterController(_) => self.cluster.replay(record, delta),
            MetadataRecord::ProducerIds(record) => self.set_producer_ids(record.next_producer_id),
            _ => self.kept.replay(record, encoded),
        };
        applied.map_err(|reason| ReplayError { offset, reason })
    }

    fn set_producer_ids(&mut self, next: i64) -> Result<(), String> {
        if next <= self.next_producer_id {
            return Err(format!("producer ids go back from {} to {next}", self.next_producer_id));
        }
        self.next_producer_id = next;
        Ok(())
    }
}

pub(crate) fn decode(offset: i64, encoded: &[u8]) -> Result<MetadataRecord<'_>, ReplayError> {
    let decoded = MetadataRecord::decode(encoded);
    decoded
        .map(|(record, _)| record)
        .map_err(|error| ReplayError { offset, reason: error.to_string() })
}
