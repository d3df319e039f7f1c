//! Groups: list, describe, delete.

use crate::Cluster;
use crate::core::assignor::{self, Partitions};
use crate::error::{Refusal, Result};
use strom_protocol::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use strom_protocol::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, DescribedGroup as DescribedConsumerGroup,
};
use strom_protocol::delete_groups_request::DeleteGroupsRequest;
use strom_protocol::delete_groups_response::DeleteGroupsResponse;
use strom_protocol::describe_groups_request::DescribeGroupsRequest;
use strom_protocol::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use strom_protocol::list_groups_request::ListGroupsRequest;
use strom_protocol::list_groups_response::ListGroupsResponse;
use strom_protocol::{ApiKey, ErrorCode};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group_id: String,
    pub protocol_type: String,
    /// Kafka's name of the state, `""` when the node does not tell.
    pub state: String,
    /// `classic`, `consumer`, `share`, `streams`; `""` when the node does not tell.
    pub group_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    pub assignment: Partitions,
    /// Members of the new protocol only (KIP-848).
    pub member_epoch: Option<i32>,
    pub target_assignment: Option<Partitions>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub group_id: String,
    /// Kafka's name of the state.
    pub state: String,
    /// The assignor.
    pub assignor: String,
    pub coordinator: i32,
    pub group_epoch: Option<i32>,
    pub target_assignment_epoch: Option<i32>,
    pub members: Vec<GroupMember>,
}

impl Cluster {
    /// The groups of all nodes, ascending by id.
    ///
    /// # Errors
    /// `Refused`, or those of [`Cluster::call_node`].
    pub async fn list_groups(&mut self) -> Result<Vec<ListedGroup>> {
        let nodes: Vec<i32> = self.metadata().nodes.keys().copied().collect();
        let mut groups = Vec::new();
        for node in nodes {
            let answer = self.call_node(node, &ListGroupsRequest::default()).await?;
            let response: ListGroupsResponse<'_> = answer.decode()?;
            Refusal::check(response.error_code, None)?;
            groups.extend(response.groups.iter().map(|group| ListedGroup {
                group_id: group.group_id.to_owned(),
                protocol_type: group.protocol_type.to_owned(),
                state: group.group_state.to_owned(),
                group_type: group.group_type.to_lowercase(),
            }));
        }
        groups.sort_by(|left, right| left.group_id.cmp(&right.group_id));
        groups.dedup_by(|left, right| left.group_id == right.group_id);
        Ok(groups)
    }

    /// Describes a group of the new protocol or a classic one.
    ///
    /// # Errors
    /// `Refused` with GROUP_ID_NOT_FOUND when there is no such group.
    pub async fn describe_group(&mut self, group_id: &str) -> Result<GroupDescription> {
        self.with_attempts(async |cluster| cluster.describe_once(group_id).await).await
    }

    async fn describe_once(&mut self, group_id: &str) -> Result<GroupDescription> {
        let coordinator = self.coordinator(group_id).await?;
        if self.offers(ApiKey::ConsumerGroupDescribe).await? {
            let request =
                ConsumerGroupDescribeRequest { group_ids: vec![group_id], ..Default::default() };
            let answer = self.call_node(coordinator, &request).await?;
            let response: ConsumerGroupDescribeResponse<'_> = answer.decode()?;
            if let Some(group) = response.groups.first()
                && !is_of_another_kind(group.error_code)
            {
                Refusal::check(group.error_code, group.error_message)?;
                return Ok(consumer_group(group, coordinator));
            }
        }
        let groups = vec![group_id];
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        let answer = self.call_node(coordinator, &request).await?;
        let response: DescribeGroupsResponse<'_> = answer.decode()?;
        let missing = || Refusal {
            code: ErrorCode::GroupIdNotFound,
            message: Some(format!("Group {group_id} not found.")),
        };
        let group = response.groups.first().ok_or_else(missing)?;
        Refusal::check(group.error_code, group.error_message)?;
        // Versions before 6 answer with a dead group for one that does not exist (KIP-1043).
        if group.group_state == "Dead" {
            return Err(missing().into());
        }
        Ok(classic_group(group, coordinator))
    }

    /// # Errors
    /// `Refused` when the group has members or does not exist.
    pub async fn delete_group(&mut self, group_id: &str) -> Result<()> {
        self.with_attempts(async |cluster| cluster.delete_group_once(group_id).await).await
    }

    async fn delete_group_once(&mut self, group_id: &str) -> Result<()> {
        let coordinator = self.coordinator(group_id).await?;
        let request = DeleteGroupsRequest { groups_names: vec![group_id], ..Default::default() };
        let answer = self.call_node(coordinator, &request).await?;
        let response: DeleteGroupsResponse<'_> = answer.decode()?;
        for result in &response.results {
            Refusal::check(result.error_code, None)?;
        }
        Ok(())
    }
}

/// The answers of the new protocol's API for a group that is classic or unknown to it.
fn is_of_another_kind(code: i16) -> bool {
    matches!(ErrorCode::from_code(code), ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion)
}

fn classic_group(group: &DescribedGroup<'_>, coordinator: i32) -> GroupDescription {
    GroupDescription {
        group_id: group.group_id.to_owned(),
        state: group.group_state.to_owned(),
        assignor: group.protocol_data.to_owned(),
        coordinator,
        group_epoch: None,
        target_assignment_epoch: None,
        members: group.members.iter().map(classic_member).collect(),
    }
}

fn classic_member(member: &DescribedGroupMember<'_>) -> GroupMember {
    GroupMember {
        member_id: member.member_id.to_owned(),
        group_instance_id: member.group_instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        host: member.client_host.to_owned(),
        // Other kinds of groups (Connect) carry bytes of their own.
        assignment: assignor::decode_assignment(member.member_assignment).unwrap_or_default(),
        member_epoch: None,
        target_assignment: None,
    }
}

fn consumer_group(group: &DescribedConsumerGroup<'_>, coordinator: i32) -> GroupDescription {
    let members = group.members.iter().map(|member| GroupMember {
        member_id: member.member_id.to_owned(),
        group_instance_id: member.instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        host: member.client_host.to_owned(),
        assignment: partitions_of(&member.assignment),
        member_epoch: Some(member.member_epoch),
        target_assignment: Some(partitions_of(&member.target_assignment)),
    });
    GroupDescription {
        group_id: group.group_id.to_owned(),
        state: group.group_state.to_owned(),
        assignor: group.assignor_name.to_owned(),
        coordinator,
        group_epoch: Some(group.group_epoch),
        target_assignment_epoch: Some(group.assignment_epoch),
        members: members.collect(),
    }
}

fn partitions_of(assignment: &Assignment<'_>) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in &assignment.topic_partitions {
        partitions.extend(topic.partitions.iter().map(|p| (topic.topic_name.to_owned(), *p)));
    }
    partitions
}
