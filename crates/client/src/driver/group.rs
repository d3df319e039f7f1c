//! Carries a member's requests to its coordinator.

use super::{Clock, Cluster};
use crate::core::membership::{Membership, Step};
use crate::driver::admin::offsets::Committer;
use crate::error::{ClientError, Refusal, Result};
use std::collections::BTreeMap;
use strom_protocol::ErrorCode;
use strom_protocol::heartbeat_response::HeartbeatResponse;
use strom_protocol::join_group_response::JoinGroupResponse;
use strom_protocol::leave_group_request::LeaveGroupRequest;
use strom_protocol::leave_group_response::LeaveGroupResponse;
use strom_protocol::sync_group_response::SyncGroupResponse;

/// The node may take a little longer than the rebalance timeout to answer a join.
const JOIN_GRACE_MS: u64 = 5_000;
const PAUSE_MS: u64 = 100;

pub(crate) struct GroupMember {
    pub(crate) membership: Membership,
    coordinator: Option<i32>,
}

impl GroupMember {
    pub(crate) fn new(membership: Membership) -> Self {
        GroupMember { membership, coordinator: None }
    }

    pub(crate) fn committer(&self) -> Committer<'_> {
        Committer {
            group_id: self.membership.group_id(),
            generation_id: self.membership.generation_id(),
            member_id: self.membership.member_id(),
            group_instance_id: self.membership.group_instance_id(),
        }
    }

    /// Joins and synchronises until the member has an assignment.
    pub(crate) async fn join(&mut self, cluster: &mut Cluster, clock: Clock) -> Result<()> {
        let mut step = Step::Join;
        loop {
            step = match step {
                Step::Join => self.join_once(cluster).await,
                Step::Sync => self.sync_once(cluster, clock).await,
                Step::Work => return Ok(()),
                Step::FindCoordinator => {
                    self.coordinator = None;
                    tokio::time::sleep(std::time::Duration::from_millis(PAUSE_MS)).await;
                    Ok(Step::Join)
                }
            }
            .or_else(lost_means_moved)?;
        }
    }

    /// Keeps alive when it is time; says whether the member has to join again.
    pub(crate) async fn keep_alive(&mut self, cluster: &mut Cluster, clock: Clock) -> Result<bool> {
        if !self.membership.is_heartbeat_due(clock.now()) {
            return Ok(false);
        }
        let step = self.heartbeat_once(cluster, clock).await.or_else(lost_means_moved)?;
        match step {
            Step::Join | Step::Sync => Ok(true),
            Step::Work => Ok(false),
            Step::FindCoordinator => {
                self.coordinator = None;
                Ok(false)
            }
        }
    }

    async fn find(&mut self, cluster: &mut Cluster) -> Result<i32> {
        match self.coordinator {
            Some(node) => Ok(node),
            None => {
                let node = cluster.coordinator(self.membership.group_id()).await?;
                Ok(*self.coordinator.insert(node))
            }
        }
    }

    async fn join_once(&mut self, cluster: &mut Cluster) -> Result<Step> {
        let node = self.find(cluster).await?;
        let timeout_ms = self.membership.rebalance_timeout_ms().max(0) as u64 + JOIN_GRACE_MS;
        let request = self.membership.join_request();
        let answer = cluster.call_node_within(node, &request, timeout_ms).await?;
        let response: JoinGroupResponse<'_> = answer.decode()?;
        let topics = Membership::topics_of(&response);
        let mut counts = BTreeMap::new();
        if !topics.is_empty() {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            let metadata = cluster.refresh(Some(&names)).await?;
            for topic in topics.iter().filter_map(|name| metadata.topics.get(name)) {
                counts.insert(topic.name.clone(), topic.partitions.len() as i32);
            }
        }
        self.membership.on_joined(&response, &counts)
    }

    async fn sync_once(&mut self, cluster: &mut Cluster, clock: Clock) -> Result<Step> {
        let node = self.find(cluster).await?;
        let answer = cluster.call_node(node, &self.membership.sync_request()).await?;
        let response: SyncGroupResponse<'_> = answer.decode()?;
        self.membership.on_synced(clock.now(), &response)
    }

    async fn heartbeat_once(&mut self, cluster: &mut Cluster, clock: Clock) -> Result<Step> {
        let node = self.find(cluster).await?;
        let answer = cluster.call_node(node, &self.membership.heartbeat_request()).await?;
        let response: HeartbeatResponse<'_> = answer.decode()?;
        self.membership.on_heartbeat(clock.now(), ErrorCode::from_code(response.error_code))
    }

    /// Leaves, so that the others need not wait for the session to end.
    pub(crate) async fn leave(&mut self, cluster: &mut Cluster) -> Result<()> {
        if !self.membership.leaves_at_close() {
            return Ok(());
        }
        let node = self.find(cluster).await?;
        let connection = cluster.node(node).await?;
        let version = connection.core().version_of::<LeaveGroupRequest<'_>>()?;
        let answer = connection.call(&self.membership.leave_request(version)).await?;
        let response: LeaveGroupResponse<'_> = answer.decode()?;
        Ok(Refusal::check(response.error_code, None)?)
    }
}

fn lost_means_moved(error: ClientError) -> Result<Step> {
    match error {
        ClientError::Lost { .. } | ClientError::TimedOut { .. } => Ok(Step::FindCoordinator),
        error => Err(error),
    }
}
