//! The image as records, in the order in which Apache Kafka's `MetadataImage` writes them.

use strom_base::{Planted, planted};
use strom_protocol::MetadataRecord;
use strom_protocol::config_record::ConfigRecord;
use strom_protocol::feature_level_record::FeatureLevelRecord;
use strom_protocol::partition_record::PartitionRecord;
use strom_protocol::producer_ids_record::ProducerIdsRecord;
use strom_protocol::register_broker_record::{BrokerEndpoint, BrokerFeature, RegisterBrokerRecord};
use strom_protocol::register_controller_record::{
    ControllerEndpoint, ControllerFeature, RegisterControllerRecord,
};
use strom_protocol::topic_record::TopicRecord;

use super::{BrokerRegistration, ControllerRegistration, Image, Partition, Topic};
use crate::controller::{RecordBytes, encode};
use crate::features::METADATA_VERSION;
use crate::record_versions::RecordVersions;

impl Image {
    /// Records that, replayed on an empty image, make this one. `metadata.version` comes first.
    /// An open transaction is not in it: see [`Image::in_transaction`].
    #[must_use]
    pub fn to_snapshot_records(&self) -> Vec<RecordBytes> {
        let versions = RecordVersions(self.features.metadata_version());
        let mut records = Vec::new();
        let (first, others): (Vec<_>, Vec<_>) =
            self.features.levels().partition(|(name, _)| *name == METADATA_VERSION);
        records.extend(first.into_iter().chain(others).map(feature_record));
        let brokers = self.cluster.brokers().map(|it| broker_record(it, versions));
        records.extend(brokers);
        if versions.has_controllers() {
            records.extend(self.cluster.controllers().map(controller_record));
        }
        for topic in self.topics.iter() {
            push_topic(topic, versions, &mut records);
        }
        for (resource, values) in self.configs.iter() {
            records.extend(values.iter().map(|(name, value)| {
                let record = ConfigRecord {
                    resource_type: resource.kind.code(),
                    resource_name: &resource.name,
                    name,
                    value: Some(value),
                    ..Default::default()
                };
                encode(&MetadataRecord::Config(record), 0)
            }));
        }
        records.extend(self.quotas.records());
        if self.next_producer_id > 0 && !planted(Planted::NextProducerIdForgotten) {
            let record = ProducerIdsRecord {
                broker_id: -1,
                broker_epoch: -1,
                next_producer_id: self.next_producer_id,
                ..Default::default()
            };
            records.push(encode(&MetadataRecord::ProducerIds(record), 0));
        }
        records.extend(self.kept.records().map(<[u8]>::to_vec));
        records
    }
}

fn feature_record((name, feature_level): (&str, i16)) -> RecordBytes {
    let record = FeatureLevelRecord { name, feature_level, ..Default::default() };
    encode(&MetadataRecord::FeatureLevel(record), 0)
}

/// The registration as a record, of the version that the cluster understands.
pub(crate) fn broker_record(broker: &BrokerRegistration, versions: RecordVersions) -> RecordBytes {
    let version = versions.register_broker();
    let directories = if version >= 3 { broker.directories.clone() } else { Vec::new() };
    let cordoned = broker.cordoned_directories.clone().filter(|_| version >= 4);
    let endpoints = broker.endpoints.iter().map(|endpoint| BrokerEndpoint {
        name: &endpoint.name,
        host: &endpoint.host,
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
        ..Default::default()
    });
    let features = broker.features.iter().map(|(name, min, max)| BrokerFeature {
        name,
        min_supported_version: *min,
        max_supported_version: *max,
        ..Default::default()
    });
    let record = RegisterBrokerRecord {
        broker_id: broker.id,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch,
        end_points: endpoints.collect(),
        features: features.collect(),
        rack: broker.rack.as_deref(),
        fenced: broker.is_fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: directories,
        cordoned_log_dirs: cordoned,
        ..Default::default()
    };
    encode(&MetadataRecord::RegisterBroker(record), version)
}

pub(crate) fn controller_record(controller: &ControllerRegistration) -> RecordBytes {
    let endpoints = controller.endpoints.iter().map(|endpoint| ControllerEndpoint {
        name: &endpoint.name,
        host: &endpoint.host,
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
        ..Default::default()
    });
    let features = controller.features.iter().map(|(name, min, max)| ControllerFeature {
        name,
        min_supported_version: *min,
        max_supported_version: *max,
        ..Default::default()
    });
    let record = RegisterControllerRecord {
        controller_id: controller.id,
        incarnation_id: controller.incarnation_id,
        zk_migration_ready: controller.zk_migration_ready,
        end_points: endpoints.collect(),
        features: features.collect(),
        ..Default::default()
    };
    encode(&MetadataRecord::RegisterController(record), 0)
}

fn push_topic(topic: &Topic, versions: RecordVersions, records: &mut Vec<RecordBytes>) {
    let record = TopicRecord { name: &topic.name, topic_id: topic.id, ..Default::default() };
    records.push(encode(&MetadataRecord::Topic(record), 0));
    for (index, partition) in (0..).zip(&topic.partitions) {
        records.push(partition_record(topic, index, partition, versions));
    }
}

fn partition_record(
    topic: &Topic,
    index: i32,
    partition: &Partition,
    versions: RecordVersions,
) -> RecordBytes {
    let version = versions.partition();
    let eligible = |list: &[i32]| Some(list.to_vec()).filter(|it| version >= 2 && !it.is_empty());
    let directories =
        if versions.has_directories() { partition.directories.to_vec() } else { Vec::new() };
    let record = PartitionRecord {
        partition_id: index,
        topic_id: topic.id,
        replicas: partition.replicas.to_vec(),
        isr: partition.isr.to_vec(),
        removing_replicas: partition.removing.to_vec(),
        adding_replicas: partition.adding.to_vec(),
        leader: partition.leader,
        leader_recovery_state: partition.leader_recovery_state,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        directories,
        eligible_leader_replicas: eligible(&partition.eligible_leaders),
        last_known_elr: eligible(&partition.last_known_eligible),
        ..Default::default()
    };
    encode(&MetadataRecord::Partition(record), version)
}
