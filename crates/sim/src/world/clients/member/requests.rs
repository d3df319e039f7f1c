//! What a member asks.

use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::find_coordinator_request::FindCoordinatorRequest;
use strom_protocol::heartbeat_request::HeartbeatRequest;
use strom_protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use strom_protocol::leave_group_request::LeaveGroupRequest;
use strom_protocol::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use strom_protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use strom_protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::{Member, by_topic};
use crate::world::clients::wire::{
    FETCH, FIND_COORDINATOR, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, OFFSET_COMMIT, OFFSET_FETCH,
    SYNC_GROUP,
};
use crate::world::clients::{Context, Link};
use crate::world::committed::Offsets;

const GROUP: &str = "readers";

type Sent = Result<i32, String>;

impl Member {
    pub(super) fn ask_coordinator(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let request = FindCoordinatorRequest { key: GROUP, ..Default::default() };
        link.send(FIND_COORDINATOR, &request, context)
    }

    pub(super) fn ask_join(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let protocol = JoinGroupRequestProtocol { name: "in-turn", ..Default::default() };
        let request = JoinGroupRequest {
            group_id: GROUP,
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.session_ms,
            member_id: &self.member_id,
            protocol_type: "consumer",
            protocols: vec![protocol],
            ..Default::default()
        };
        link.send(JOIN_GROUP, &request, context)
    }

    pub(super) fn ask_sync(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let shares = self.shares.iter().map(|(member_id, assignment)| SyncGroupRequestAssignment {
            member_id,
            assignment,
            ..Default::default()
        });
        let request = SyncGroupRequest {
            group_id: GROUP,
            generation_id: self.generation,
            member_id: &self.member_id,
            assignments: shares.collect(),
            ..Default::default()
        };
        link.send(SYNC_GROUP, &request, context)
    }

    pub(super) fn ask_heartbeat(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let request = HeartbeatRequest {
            group_id: GROUP,
            generation_id: self.generation,
            member_id: &self.member_id,
            ..Default::default()
        };
        link.send(HEARTBEAT, &request, context)
    }

    pub(super) fn ask_leave(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let request =
            LeaveGroupRequest { group_id: GROUP, member_id: &self.member_id, ..Default::default() };
        link.send(LEAVE_GROUP, &request, context)
    }

    pub(super) fn ask_offsets(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let places = self.assigned.iter().map(|place| (*place, 0)).collect();
        let topics = by_topic(&self.places, &places);
        let topics = topics.into_iter().map(|(name, parts)| OffsetFetchRequestTopic {
            name,
            partition_indexes: parts.into_iter().map(|(partition, _)| partition).collect(),
            ..Default::default()
        });
        let request = OffsetFetchRequest {
            group_id: GROUP,
            topics: Some(topics.collect()),
            ..Default::default()
        };
        link.send(OFFSET_FETCH, &request, context)
    }

    pub(super) fn ask_commit(
        &self,
        generation: i32,
        offsets: &Offsets,
        link: &mut Link,
        context: &mut Context<'_>,
    ) -> Sent {
        let part = |(partition_index, committed_offset)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(""),
            ..Default::default()
        };
        let topics = by_topic(&self.places, offsets).into_iter().map(|(name, parts)| {
            OffsetCommitRequestTopic {
                name,
                partitions: parts.into_iter().map(part).collect(),
                ..Default::default()
            }
        });
        let request = OffsetCommitRequest {
            group_id: GROUP,
            generation_id_or_member_epoch: generation,
            member_id: &self.member_id,
            topics: topics.collect(),
            ..Default::default()
        };
        link.send(OFFSET_COMMIT, &request, context)
    }

    pub(super) fn ask_fetch(&self, link: &mut Link, context: &mut Context<'_>) -> Sent {
        let part = |(partition, fetch_offset)| FetchPartition {
            partition,
            current_leader_epoch: -1,
            fetch_offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 20_000,
            ..Default::default()
        };
        let topics =
            by_topic(&self.places, &self.positions).into_iter().map(|(topic, parts)| FetchTopic {
                topic,
                partitions: parts.into_iter().map(part).collect(),
                ..Default::default()
            });
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: context.random.below(20) as i32,
            min_bytes: 1,
            max_bytes: 100_000,
            session_epoch: -1,
            topics: topics.collect(),
            ..Default::default()
        };
        link.send(FETCH, &request, context)
    }
}
