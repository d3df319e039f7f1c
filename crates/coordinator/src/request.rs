//! What clients ask of groups, free of wire versions where they do not matter.
//!
//! Strings and bytes are borrowed from the frame. Topic names and ids are resolved by the caller:
//! topics it does not know never come here.

use strom_base::Uuid;

/// Every request to the group coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    Join(JoinRequest<'a>),
    Sync(SyncRequest<'a>),
    Heartbeat(HeartbeatRequest<'a>),
    Leave(LeaveRequest<'a>),
    OffsetCommit(OffsetCommitRequest<'a>),
    OffsetFetch(OffsetFetchRequest<'a>),
    OffsetDelete(OffsetDeleteRequest<'a>),
    /// Group ids.
    DeleteGroups(Vec<&'a str>),
    ListGroups(ListGroupsRequest<'a>),
    DescribeGroups(DescribeGroupsRequest<'a>),
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct JoinRequest<'a> {
    /// JoinGroup's version: from 4 a member id is required (KIP-394), from 9 the assignment
    /// may be skipped (KIP-814), in 0 the session timeout is the rebalance timeout.
    pub version: i16,
    pub group_id: &'a str,
    /// Empty for a member that has none yet.
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub client_id: &'a str,
    /// As Java prints an address: `/127.0.0.1`.
    pub client_host: &'a str,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: &'a str,
    /// In order of preference.
    pub protocols: Vec<JoinProtocol<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct JoinProtocol<'a> {
    pub name: &'a str,
    pub metadata: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct SyncRequest<'a> {
    pub group_id: &'a str,
    pub generation_id: i32,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    /// From version 5 (KIP-559).
    pub protocol_type: Option<&'a str>,
    /// From version 5 (KIP-559).
    pub protocol_name: Option<&'a str>,
    /// From the leader only.
    pub assignments: Vec<SyncAssignment<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct SyncAssignment<'a> {
    pub member_id: &'a str,
    pub assignment: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct HeartbeatRequest<'a> {
    pub group_id: &'a str,
    pub generation_id: i32,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
}

/// Versions below 3 name one member; its error is then the response's error.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LeaveRequest<'a> {
    pub group_id: &'a str,
    pub members: Vec<LeavingMember<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct LeavingMember<'a> {
    /// Empty when an administrator removes a static member by its instance id.
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct OffsetCommitRequest<'a> {
    /// OffsetCommit's version: from 9 a missing group is GROUP_ID_NOT_FOUND, before that
    /// ILLEGAL_GENERATION.
    pub version: i16,
    pub group_id: &'a str,
    /// -1 for a consumer without membership.
    pub generation_id: i32,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    /// Versions 2 to 4; -1 elsewhere.
    pub retention_time_ms: i64,
    pub topics: Vec<CommitTopic<'a>>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct CommitTopic<'a> {
    pub name: &'a str,
    pub topic_id: Uuid,
    pub partitions: Vec<CommitPartition<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct CommitPartition<'a> {
    pub partition: i32,
    pub offset: i64,
    /// -1 when the client gave none.
    pub leader_epoch: i32,
    pub metadata: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct OffsetFetchRequest<'a> {
    pub require_stable: bool,
    pub groups: Vec<FetchGroup<'a>>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchGroup<'a> {
    pub group_id: &'a str,
    /// None: every offset of the group.
    pub topics: Option<Vec<FetchTopic<'a>>>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchTopic<'a> {
    pub name: &'a str,
    /// The topic's id where the request named it (version 10), else zero.
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct OffsetDeleteRequest<'a> {
    pub group_id: &'a str,
    pub topics: Vec<DeleteTopic<'a>>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteTopic<'a> {
    pub name: &'a str,
    pub partitions: Vec<i32>,
}

/// Empty filters let everything pass. Both ignore case.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ListGroupsRequest<'a> {
    pub states: Vec<&'a str>,
    pub types: Vec<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeGroupsRequest<'a> {
    /// DescribeGroups' version: from 6 a missing group is an error (KIP-1043), before that it is
    /// described as Dead.
    pub version: i16,
    pub group_ids: Vec<&'a str>,
}
