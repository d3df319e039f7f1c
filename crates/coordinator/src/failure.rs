//! Answers to requests that could not be tried, or whose records were lost.

use crate::request::{FetchGroup, LeaveRequest};
use crate::response::{
    DeletedGroup, DescribedGroup, FetchedGroup, JoinResponse, LeaveResponse, ListGroupsResponse,
    OffsetDeleteResponse, SyncResponse,
};
use crate::shard::commit_refused;
use crate::{ErrorCode, Request, Response};

/// How clients of groups are told that an append failed.
pub(crate) fn append_error(cause: ErrorCode) -> ErrorCode {
    match cause {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}

/// Consumers before 3.9 retry a fetch of offsets after NOT_COORDINATOR alone.
fn fetch_error(cause: ErrorCode) -> ErrorCode {
    match append_error(cause) {
        ErrorCode::CoordinatorNotAvailable => ErrorCode::NotCoordinator,
        error => error,
    }
}

impl Response {
    /// The same response, had the append it waited for failed for `cause`.
    pub(crate) fn failed(self, cause: ErrorCode) -> Response {
        let error = append_error(cause);
        match self {
            Response::Join(response) => {
                Response::Join(JoinResponse::refused(error, &response.member_id))
            }
            Response::Sync(_) => Response::Sync(SyncResponse::refused(error)),
            Response::Heartbeat(_) => Response::Heartbeat(error),
            Response::Leave(_) => Response::Leave(LeaveResponse { error, members: Vec::new() }),
            Response::OffsetCommit(mut topics) => {
                for topic in &mut topics {
                    topic.partitions.iter_mut().for_each(|partition| partition.error = error);
                }
                Response::OffsetCommit(topics)
            }
            Response::OffsetFetch(groups) => {
                let groups = groups.iter();
                let groups = groups.map(|group| fetch_refused(&group.group_id, fetch_error(cause)));
                Response::OffsetFetch(groups.collect())
            }
            Response::OffsetDelete(_) => {
                Response::OffsetDelete(OffsetDeleteResponse { error, topics: Vec::new() })
            }
            Response::DeleteGroups(mut groups) => {
                groups.iter_mut().for_each(|group| group.error = error);
                Response::DeleteGroups(groups)
            }
            Response::ListGroups(_) => {
                Response::ListGroups(ListGroupsResponse { error, groups: Vec::new() })
            }
            Response::DescribeGroups(groups) => {
                let groups = groups.iter();
                let groups = groups.map(|group| describe_refused(&group.group_id, error));
                Response::DescribeGroups(groups.collect())
            }
        }
    }
}

impl Request<'_> {
    /// The answer when the group's shard is not here or not ready.
    pub(crate) fn refused(&self, error: ErrorCode) -> Response {
        match self {
            Request::Join(_) => Response::Join(JoinResponse::refused(error, "")),
            Request::Sync(_) => Response::Sync(SyncResponse::refused(error)),
            // Nothing has been decided yet about a group that is loading: its members live.
            Request::Heartbeat(_) if error == ErrorCode::CoordinatorLoadInProgress => {
                Response::Heartbeat(ErrorCode::None)
            }
            Request::Heartbeat(_) => Response::Heartbeat(error),
            Request::Leave(LeaveRequest { .. }) => {
                Response::Leave(LeaveResponse { error, members: Vec::new() })
            }
            Request::OffsetCommit(request) => {
                Response::OffsetCommit(commit_refused(request, error))
            }
            Request::OffsetFetch(request) => {
                let refused = |group: &FetchGroup<'_>| fetch_refused(group.group_id, error);
                Response::OffsetFetch(request.groups.iter().map(refused).collect())
            }
            Request::OffsetDelete(_) => {
                Response::OffsetDelete(OffsetDeleteResponse { error, topics: Vec::new() })
            }
            Request::DeleteGroups(group_ids) => {
                let refused = |group_id: &&str| delete_refused(group_id, error);
                Response::DeleteGroups(group_ids.iter().map(refused).collect())
            }
            Request::ListGroups(_) => {
                Response::ListGroups(ListGroupsResponse { error, groups: Vec::new() })
            }
            Request::DescribeGroups(request) => {
                let refused = |group_id: &&str| describe_refused(group_id, error);
                Response::DescribeGroups(request.group_ids.iter().map(refused).collect())
            }
        }
    }
}

pub(crate) fn fetch_refused(group_id: &str, error: ErrorCode) -> FetchedGroup {
    FetchedGroup { group_id: group_id.to_owned(), error, topics: Vec::new() }
}

pub(crate) fn delete_refused(group_id: &str, error: ErrorCode) -> DeletedGroup {
    DeletedGroup { group_id: group_id.to_owned(), error }
}

pub(crate) fn describe_refused(group_id: &str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        group_id: group_id.to_owned(),
        error,
        error_message: None,
        state: "",
        protocol_type: String::new(),
        protocol: String::new(),
        members: Vec::new(),
    }
}
