//! Offsets: of partitions by time, of groups.

use crate::Cluster;
use crate::driver::Attempts;
use crate::error::{ClientError, Refusal, Result};
use std::collections::BTreeMap;
use strom_protocol::ErrorCode;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use strom_protocol::offset_commit_response::OffsetCommitResponse;
use strom_protocol::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use strom_protocol::offset_delete_response::OffsetDeleteResponse;
use strom_protocol::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use strom_protocol::offset_fetch_response::OffsetFetchResponse;

/// Topic and partition.
pub type TopicPartition = (String, i32);

/// Asks ListOffsets for the first offset after the last one.
pub const LATEST: i64 = -1;
/// Asks ListOffsets for the first offset.
pub const EARLIEST: i64 = -2;

/// What a group committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
}

/// Who commits: a member of a generation, or a tool for a group without members.
#[derive(Clone, Copy, Debug)]
pub struct Committer<'a> {
    pub group_id: &'a str,
    pub generation_id: i32,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
}

impl<'a> Committer<'a> {
    #[must_use]
    pub fn tool(group_id: &'a str) -> Self {
        Committer { group_id, generation_id: -1, member_id: "", group_instance_id: None }
    }
}

impl Cluster {
    /// The first offset whose record is not older than `timestamp_ms` (or a sentinel) per
    /// partition; `None` where there is no such record.
    ///
    /// # Errors
    /// `Refused` for a partition that does not exist.
    pub async fn list_offsets(
        &mut self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
        isolation_level: i8,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>> {
        let mut attempts = Attempts::new(self.settings());
        let mut offsets = BTreeMap::new();
        loop {
            let missing: Vec<TopicPartition> =
                partitions.iter().filter(|p| !offsets.contains_key(*p)).cloned().collect();
            if missing.is_empty() {
                return Ok(offsets);
            }
            let names: Vec<&str> = missing.iter().map(|(topic, _)| topic.as_str()).collect();
            let outcome = match self.refresh(Some(&names)).await {
                Ok(_) => {
                    self.list_once(&missing, timestamp_ms, isolation_level, &mut offsets).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                if error.code() == Some(ErrorCode::UnknownTopicOrPartition) {
                    return Err(error);
                }
                attempts.after(error).await?;
            }
        }
    }

    async fn list_once(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
        isolation_level: i8,
        offsets: &mut BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<()> {
        for (leader, wanted) in self.by_leader(partitions)? {
            let topics = by_topic(&wanted)
                .into_iter()
                .map(|(name, indexes)| ListOffsetsTopic {
                    name,
                    partitions: indexes
                        .into_iter()
                        .map(|partition_index| ListOffsetsPartition {
                            partition_index,
                            timestamp,
                            ..Default::default()
                        })
                        .collect(),
                    ..Default::default()
                })
                .collect();
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level,
                topics,
                ..Default::default()
            };
            let answer = self.call_node(leader, &request).await?;
            let response: ListOffsetsResponse<'_> = answer.decode()?;
            for topic in &response.topics {
                for partition in &topic.partitions {
                    Refusal::check(partition.error_code, None)?;
                    let key = (topic.name.to_owned(), partition.partition_index);
                    offsets.insert(key, (partition.offset >= 0).then_some(partition.offset));
                }
            }
        }
        Ok(())
    }

    /// Groups partitions by their leaders.
    fn by_leader(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<i32, Vec<TopicPartition>>> {
        let mut leaders: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        for (topic, index) in partitions {
            let code = match self.metadata().partition(topic, *index) {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(_) => match self.metadata().leader(topic, *index) {
                    Some(leader) => {
                        leaders.entry(leader).or_default().push((topic.clone(), *index));
                        continue;
                    }
                    None => ErrorCode::LeaderNotAvailable,
                },
            };
            return Err(Refusal { code, message: None }.into());
        }
        Ok(leaders)
    }

    /// What a group has committed: for the given partitions, or for all.
    ///
    /// # Errors
    /// `Refused`, or the coordinator cannot be found.
    pub async fn committed_offsets(
        &mut self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        self.with_attempts(async |cluster| cluster.committed_once(group_id, partitions).await).await
    }

    async fn committed_once(
        &mut self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let coordinator = self.coordinator(group_id).await?;
        let connection = self.node(coordinator).await?;
        let version = connection.core().version_of::<OffsetFetchRequest<'_>>()?;
        let topics = partitions.map(by_topic);
        let request = offset_fetch_request(group_id, topics.as_ref(), version);
        let answer = self.call_node(coordinator, &request).await?;
        let response: OffsetFetchResponse<'_> = answer.decode()?;
        Refusal::check(response.error_code, None)?;
        let mut offsets = BTreeMap::new();
        for topic in &response.topics {
            for found in &topic.partitions {
                Refusal::check(found.error_code, None)?;
                let committed =
                    committed(found.committed_offset, found.committed_leader_epoch, found.metadata);
                let key = (topic.name.to_owned(), found.partition_index);
                offsets.extend(committed.map(|committed| (key, committed)));
            }
        }
        for group in &response.groups {
            Refusal::check(group.error_code, None)?;
            for topic in &group.topics {
                for found in &topic.partitions {
                    Refusal::check(found.error_code, None)?;
                    let committed = committed(
                        found.committed_offset,
                        found.committed_leader_epoch,
                        found.metadata,
                    );
                    let key = (topic.name.to_owned(), found.partition_index);
                    offsets.extend(committed.map(|committed| (key, committed)));
                }
            }
        }
        Ok(offsets)
    }

    /// Commits offsets; the coordinator's word per partition.
    ///
    /// # Errors
    /// `Refused` with the first partition's refusal; the coordinator cannot be found.
    pub async fn commit_offsets(
        &mut self,
        committer: Committer<'_>,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<()> {
        self.with_attempts(async |cluster| cluster.commit_once(committer, offsets).await).await
    }

    async fn commit_once(
        &mut self,
        committer: Committer<'_>,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<()> {
        let coordinator = self.coordinator(committer.group_id).await?;
        let mut topics: Vec<OffsetCommitRequestTopic<'_>> = Vec::new();
        for ((topic, partition_index), committed_offset) in offsets {
            let partition = OffsetCommitRequestPartition {
                partition_index: *partition_index,
                committed_offset: *committed_offset,
                committed_metadata: Some(""),
                ..Default::default()
            };
            match topics.last_mut() {
                Some(last) if last.name == topic => last.partitions.push(partition),
                _ => topics.push(OffsetCommitRequestTopic {
                    name: topic,
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        let request = OffsetCommitRequest {
            group_id: committer.group_id,
            generation_id_or_member_epoch: committer.generation_id,
            member_id: committer.member_id,
            group_instance_id: committer.group_instance_id,
            topics,
            ..Default::default()
        };
        let answer = self.call_node(coordinator, &request).await?;
        let response: OffsetCommitResponse<'_> = answer.decode()?;
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            Refusal::check(partition.error_code, None)?;
        }
        Ok(())
    }

    /// Deletes committed offsets; the outcome per partition.
    ///
    /// # Errors
    /// `Refused` when the whole request is.
    pub async fn delete_offsets(
        &mut self,
        group_id: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, ErrorCode>> {
        self.with_attempts(async |cluster| cluster.delete_once(group_id, partitions).await).await
    }

    async fn delete_once(
        &mut self,
        group_id: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, ErrorCode>> {
        let coordinator = self.coordinator(group_id).await?;
        let topics = by_topic(partitions)
            .into_iter()
            .map(|(name, indexes)| OffsetDeleteRequestTopic {
                name,
                partitions: indexes
                    .into_iter()
                    .map(|partition_index| OffsetDeleteRequestPartition {
                        partition_index,
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            })
            .collect();
        let request = OffsetDeleteRequest { group_id, topics, ..Default::default() };
        let answer = self.call_node(coordinator, &request).await?;
        let response: OffsetDeleteResponse<'_> = answer.decode()?;
        Refusal::check(response.error_code, None)?;
        let mut outcomes = BTreeMap::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                let key = (topic.name.to_owned(), partition.partition_index);
                outcomes.insert(key, ErrorCode::from_code(partition.error_code));
            }
        }
        Ok(outcomes)
    }
}

type ByTopic<'a> = BTreeMap<&'a str, Vec<i32>>;

fn by_topic(partitions: &[TopicPartition]) -> ByTopic<'_> {
    let mut topics: ByTopic<'_> = BTreeMap::new();
    for (topic, index) in partitions {
        topics.entry(topic).or_default().push(*index);
    }
    topics
}

/// From version 8 on, one request may ask for several groups (KIP-709).
fn offset_fetch_request<'a>(
    group_id: &'a str,
    topics: Option<&ByTopic<'a>>,
    version: i16,
) -> OffsetFetchRequest<'a> {
    if version < 8 {
        let topics = topics.map(|topics| {
            let topic = |(name, indexes): (&&'a str, &Vec<i32>)| OffsetFetchRequestTopic {
                name,
                partition_indexes: indexes.clone(),
                ..Default::default()
            };
            topics.iter().map(topic).collect()
        });
        return OffsetFetchRequest { group_id, topics, ..Default::default() };
    }
    let topics = topics.map(|topics| {
        let topic = |(name, indexes): (&&'a str, &Vec<i32>)| OffsetFetchRequestTopics {
            name,
            partition_indexes: indexes.clone(),
            ..Default::default()
        };
        topics.iter().map(topic).collect()
    });
    let group = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

fn committed(offset: i64, leader_epoch: i32, metadata: Option<&str>) -> Option<CommittedOffset> {
    (offset >= 0).then(|| CommittedOffset {
        offset,
        leader_epoch: (leader_epoch >= 0).then_some(leader_epoch),
        metadata: metadata.unwrap_or_default().to_owned(),
    })
}

impl ClientError {
    /// Whether the group or partition simply is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::GroupIdNotFound | ErrorCode::UnknownTopicOrPartition))
    }
}
