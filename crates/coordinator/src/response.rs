//! What groups answer, free of wire versions. Every response keeps the order of its request.

use bytes::Bytes;
use strom_base::Uuid;

use crate::ErrorCode;

/// The answer to the [`crate::Request`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    Join(JoinResponse),
    Sync(SyncResponse),
    Heartbeat(ErrorCode),
    Leave(LeaveResponse),
    OffsetCommit(Vec<CommittedTopic>),
    OffsetFetch(Vec<FetchedGroup>),
    OffsetDelete(OffsetDeleteResponse),
    DeleteGroups(Vec<DeletedGroup>),
    ListGroups(ListGroupsResponse),
    DescribeGroups(Vec<DescribedGroup>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct JoinResponse {
    pub error: ErrorCode,
    /// -1 with an error.
    pub generation_id: i32,
    pub protocol_type: Option<String>,
    /// Versions below 7 cannot say null: they say the empty string.
    pub protocol_name: Option<String>,
    /// Empty with an error.
    pub leader: String,
    pub skip_assignment: bool,
    pub member_id: String,
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub metadata: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SyncResponse {
    pub error: ErrorCode,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LeaveResponse {
    pub error: ErrorCode,
    pub members: Vec<LeftMember>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LeftMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CommittedTopic {
    pub name: String,
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionResult {
    pub partition: i32,
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FetchedGroup {
    pub group_id: String,
    pub error: ErrorCode,
    pub topics: Vec<FetchedTopic>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FetchedTopic {
    pub name: String,
    /// As in the request; for all topics of a group, the id its offsets were committed with.
    pub topic_id: Uuid,
    pub partitions: Vec<FetchedPartition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FetchedPartition {
    pub partition: i32,
    /// -1 when nothing is committed.
    pub offset: i64,
    /// -1 when unknown.
    pub leader_epoch: i32,
    pub metadata: String,
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OffsetDeleteResponse {
    pub error: ErrorCode,
    pub topics: Vec<DeletedTopic>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeletedTopic {
    pub name: String,
    pub partitions: Vec<PartitionResult>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeletedGroup {
    pub group_id: String,
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListGroupsResponse {
    pub error: ErrorCode,
    pub groups: Vec<ListedGroup>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListedGroup {
    pub group_id: String,
    /// Empty for a group of simple consumers.
    pub protocol_type: String,
    pub state: &'static str,
    /// Kafka's name of the group's type: `classic`.
    pub group_type: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup {
    pub group_id: String,
    pub error: ErrorCode,
    pub error_message: Option<String>,
    /// Empty with an error.
    pub state: &'static str,
    pub protocol_type: String,
    /// The chosen protocol, of a stable group only.
    pub protocol: String,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DescribedMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// Of a stable group only.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

impl JoinResponse {
    pub(crate) fn refused(error: ErrorCode, member_id: &str) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

impl SyncResponse {
    pub(crate) fn refused(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}
