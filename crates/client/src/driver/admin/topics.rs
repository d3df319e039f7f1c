//! Topics: create, delete, grow, describe.

use crate::error::{Refusal, Result};
use crate::{Cluster, Topic};
use std::collections::BTreeMap;
use strom_base::Uuid;
use strom_protocol::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use strom_protocol::create_partitions_response::CreatePartitionsResponse;
use strom_protocol::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use strom_protocol::delete_topics_response::DeleteTopicsResponse;
use strom_protocol::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use strom_protocol::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
};
use strom_protocol::{ApiKey, ErrorCode};

/// A topic to be made.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    pub name: String,
    /// `None`: the cluster's default.
    pub partitions: Option<i32>,
    /// `None`: the cluster's default.
    pub replication_factor: Option<i16>,
    /// Replicas by partition; excludes the two counts.
    pub assignment: BTreeMap<i32, Vec<i32>>,
    pub configs: Vec<(String, String)>,
}

/// Eligible leader replicas and the last known ones (KIP-966), where the node tells them.
pub type EligibleReplicas = (Option<Vec<i32>>, Option<Vec<i32>>);

/// A topic with what Metadata does not tell.
#[derive(Clone, Debug)]
pub struct TopicDescription {
    pub topic: Topic,
    /// By partition.
    pub eligible: BTreeMap<i32, EligibleReplicas>,
}

impl Cluster {
    /// # Errors
    /// `Refused` with the controller's words.
    pub async fn create_topic(&mut self, topic: &NewTopic) -> Result<()> {
        let assignments = topic
            .assignment
            .iter()
            .map(|(&partition_index, brokers)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: brokers.clone(),
                ..Default::default()
            })
            .collect();
        let configs = topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name,
                value: Some(value),
                ..Default::default()
            })
            .collect();
        let wanted = CreatableTopic {
            name: &topic.name,
            num_partitions: topic.partitions.unwrap_or(-1),
            replication_factor: topic.replication_factor.unwrap_or(-1),
            assignments,
            configs,
            ..Default::default()
        };
        let timeout_ms = self.settings().request_timeout_ms as i32;
        let request =
            CreateTopicsRequest { topics: vec![wanted], timeout_ms, ..Default::default() };
        let answer = self.call_any(&request).await?;
        let response: CreateTopicsResponse<'_> = answer.decode()?;
        for result in &response.topics {
            Refusal::check(result.error_code, result.error_message)?;
        }
        Ok(())
    }

    /// # Errors
    /// `Refused` with the controller's words for the first topic that could not be deleted.
    pub async fn delete_topics(&mut self, names: &[String]) -> Result<()> {
        let topics = names
            .iter()
            .map(|name| DeleteTopicState { name: Some(name), ..Default::default() })
            .collect();
        let topic_names = names.iter().map(String::as_str).collect();
        let timeout_ms = self.settings().request_timeout_ms as i32;
        let version = self.version_at_any::<DeleteTopicsRequest<'_>>().await?;
        let request = if version >= 6 {
            DeleteTopicsRequest { topics, timeout_ms, ..Default::default() }
        } else {
            DeleteTopicsRequest { topic_names, timeout_ms, ..Default::default() }
        };
        let answer = self.call_any(&request).await?;
        let response: DeleteTopicsResponse<'_> = answer.decode()?;
        for result in &response.responses {
            Refusal::check(result.error_code, result.error_message)?;
        }
        Ok(())
    }

    /// Grows a topic to `count` partitions; `assignment` holds the replicas of the new ones only.
    ///
    /// # Errors
    /// `Refused` with the controller's words.
    pub async fn grow_topic(
        &mut self,
        name: &str,
        count: i32,
        assignment: Option<&[Vec<i32>]>,
    ) -> Result<()> {
        let assignments = assignment.map(|lists| {
            let entry = |brokers: &Vec<i32>| CreatePartitionsAssignment {
                broker_ids: brokers.clone(),
                ..Default::default()
            };
            lists.iter().map(entry).collect()
        });
        let topic = CreatePartitionsTopic { name, count, assignments, ..Default::default() };
        let timeout_ms = self.settings().request_timeout_ms as i32;
        let topics = vec![topic];
        let request = CreatePartitionsRequest { topics, timeout_ms, ..Default::default() };
        let answer = self.call_any(&request).await?;
        let response: CreatePartitionsResponse<'_> = answer.decode()?;
        for result in &response.results {
            Refusal::check(result.error_code, result.error_message)?;
        }
        Ok(())
    }

    /// The names of all topics, ascending.
    ///
    /// # Errors
    /// Those of [`Cluster::call_any`].
    pub async fn topic_names(&mut self, with_internal: bool) -> Result<Vec<String>> {
        let topics = &self.refresh(None).await?.topics;
        let wanted = topics.values().filter(|topic| with_internal || !topic.is_internal);
        Ok(wanted.map(|topic| topic.name.clone()).collect())
    }

    /// The name of the topic of that id, if there is one.
    ///
    /// # Errors
    /// Those of [`Cluster::call_any`].
    pub async fn topic_of_id(&mut self, id: Uuid) -> Result<Option<String>> {
        let topics = &self.refresh(None).await?.topics;
        Ok(topics.values().find(|topic| topic.id == id).map(|topic| topic.name.clone()))
    }

    /// Describes a topic by the API that tells eligible leader replicas, else by Metadata.
    ///
    /// # Errors
    /// `Refused` when the topic does not exist.
    pub async fn describe_topic(&mut self, name: &str, page: i32) -> Result<TopicDescription> {
        let metadata = self.refresh(Some(&[name])).await?;
        let missing = || Refusal { code: ErrorCode::UnknownTopicOrPartition, message: None };
        let topic = metadata.topics.get(name).cloned().ok_or_else(missing)?;
        Refusal::check(topic.error.code(), None)?;
        let offered = self.offers(ApiKey::DescribeTopicPartitions).await?;
        let eligible =
            if offered { self.eligible_replicas(name, page).await? } else { BTreeMap::new() };
        Ok(TopicDescription { topic, eligible })
    }

    async fn eligible_replicas(
        &mut self,
        name: &str,
        page: i32,
    ) -> Result<BTreeMap<i32, EligibleReplicas>> {
        let mut eligible = BTreeMap::new();
        let mut next = 0;
        loop {
            let cursor = (next > 0).then(|| Cursor {
                topic_name: name,
                partition_index: next,
                ..Default::default()
            });
            let request = DescribeTopicPartitionsRequest {
                topics: vec![TopicRequest { name, ..Default::default() }],
                response_partition_limit: page,
                cursor,
                ..Default::default()
            };
            let answer = self.call_any(&request).await?;
            let response: DescribeTopicPartitionsResponse<'_> = answer.decode()?;
            for topic in &response.topics {
                Refusal::check(topic.error_code, None)?;
                eligible.extend(topic.partitions.iter().map(eligible_of));
            }
            match &response.next_cursor {
                Some(cursor) if cursor.partition_index > next => next = cursor.partition_index,
                _ => return Ok(eligible),
            }
        }
    }
}

fn eligible_of(
    partition: &DescribeTopicPartitionsResponsePartition<'_>,
) -> (i32, EligibleReplicas) {
    let replicas = partition.eligible_leader_replicas.clone();
    (partition.partition_index, (replicas, partition.last_known_elr.clone()))
}
