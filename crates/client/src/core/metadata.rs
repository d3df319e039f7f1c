//! What the client knows of the cluster: nodes, topics, leaders.

use crate::settings::Endpoint;
use std::collections::BTreeMap;
use strom_base::Uuid;
use strom_protocol::ErrorCode;
use strom_protocol::metadata_response::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    pub error: ErrorCode,
    /// `None` while there is no leader.
    pub leader_id: Option<i32>,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync_replicas: Vec<i32>,
    pub offline_replicas: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub id: Uuid,
    pub error: ErrorCode,
    pub is_internal: bool,
    /// Ascending by index.
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub cluster_id: Option<String>,
    pub controller_id: Option<i32>,
    pub nodes: BTreeMap<i32, Endpoint>,
    pub topics: BTreeMap<String, Topic>,
}

impl Metadata {
    /// Takes an answer: nodes replace the known ones, topics are merged; a topic that the cluster
    /// does not have is forgotten. `complete` says that all topics were asked for.
    pub fn on_response(&mut self, response: &MetadataResponse<'_>, complete: bool) {
        self.cluster_id = response.cluster_id.map(str::to_owned);
        self.controller_id = (response.controller_id >= 0).then_some(response.controller_id);
        self.nodes = response
            .brokers
            .iter()
            .filter_map(|node| {
                let port = u16::try_from(node.port).ok()?;
                Some((node.node_id, Endpoint { host: node.host.to_owned(), port }))
            })
            .collect();
        if complete {
            self.topics.clear();
        }
        for topic in response.topics.iter().filter_map(topic_of) {
            if topic.error == ErrorCode::UnknownTopicOrPartition {
                self.topics.remove(&topic.name);
            } else {
                self.topics.insert(topic.name.clone(), topic);
            }
        }
    }

    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.iter().find(|partition| partition.index == index)
    }

    #[must_use]
    pub fn leader(&self, topic: &str, index: i32) -> Option<i32> {
        self.partition(topic, index)?.leader_id.filter(|leader| self.nodes.contains_key(leader))
    }
}

fn topic_of(topic: &MetadataResponseTopic<'_>) -> Option<Topic> {
    let mut partitions: Vec<Partition> = topic.partitions.iter().map(partition_of).collect();
    partitions.sort_by_key(|partition| partition.index);
    Some(Topic {
        name: topic.name?.to_owned(),
        id: topic.topic_id,
        error: ErrorCode::from_code(topic.error_code),
        is_internal: topic.is_internal,
        partitions,
    })
}

fn partition_of(partition: &MetadataResponsePartition<'_>) -> Partition {
    Partition {
        index: partition.partition_index,
        error: ErrorCode::from_code(partition.error_code),
        leader_id: (partition.leader_id >= 0).then_some(partition.leader_id),
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes.clone(),
        in_sync_replicas: partition.isr_nodes.clone(),
        offline_replicas: partition.offline_replicas.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::metadata_response::MetadataResponseBroker;

    fn response(topic: &'static str, error_code: i16) -> MetadataResponse<'static> {
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1,
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: "h",
                port: 9092,
                ..Default::default()
            }],
            topics: vec![MetadataResponseTopic {
                name: Some(topic),
                error_code,
                partitions: vec![partition(1), partition(0)],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn partitions_are_sorted_and_leaders_are_known() {
        let mut metadata = Metadata::default();
        metadata.on_response(&response("a", 0), false);
        let indexes: Vec<_> = metadata.topics["a"].partitions.iter().map(|p| p.index).collect();
        assert_eq!(indexes, [0, 1]);
        assert_eq!(metadata.leader("a", 1), Some(1));
        assert_eq!(metadata.leader("a", 2), None);
    }

    #[test]
    fn a_topic_that_is_gone_is_forgotten() {
        let mut metadata = Metadata::default();
        metadata.on_response(&response("a", 0), false);
        metadata.on_response(&response("b", 0), false);
        metadata.on_response(&response("a", 3), false);
        assert_eq!(metadata.topics.keys().collect::<Vec<_>>(), ["b"]);
        metadata.on_response(&response("c", 0), true);
        assert_eq!(metadata.topics.keys().collect::<Vec<_>>(), ["c"]);
    }
}
