//! One member of a classic consumer group: joins, takes its assignment, keeps alive, leaves.
//!
//! The driver asks what to send, sends it, and hands back the answer.

use super::assignor::{self, Member, Partitions};
use crate::error::{ClientError, Refusal, Result};
use std::collections::BTreeMap;
use strom_base::Now;
use strom_protocol::ErrorCode;
use strom_protocol::heartbeat_request::HeartbeatRequest;
use strom_protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use strom_protocol::join_group_response::JoinGroupResponse;
use strom_protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use strom_protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use strom_protocol::sync_group_response::SyncGroupResponse;

#[derive(Clone, Debug)]
pub struct GroupSettings {
    pub group_id: String,
    pub group_instance_id: Option<String>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub heartbeat_interval_ms: i32,
}

impl GroupSettings {
    #[must_use]
    pub fn new(group_id: &str) -> Self {
        GroupSettings {
            group_id: group_id.to_owned(),
            group_instance_id: None,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            heartbeat_interval_ms: 3_000,
        }
    }
}

/// What the group wants of the member after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Join,
    Sync,
    /// The assignment is in force until the next heartbeat says otherwise.
    Work,
    /// The coordinator has moved: find it, then join or go on.
    FindCoordinator,
}

#[derive(Debug)]
pub struct Membership {
    settings: GroupSettings,
    topics: Vec<String>,
    /// The subscription in the protocol's bytes.
    subscription: Vec<u8>,
    member_id: String,
    generation_id: i32,
    /// What this member, as leader, deals to the others: member id to assignment bytes.
    dealt: Vec<(String, Vec<u8>)>,
    assignment: Partitions,
    next_heartbeat_ms: u64,
}

impl Membership {
    /// # Errors
    /// `Unwritable` when a topic's name cannot be written.
    pub fn new(settings: GroupSettings, topics: Vec<String>) -> Result<Self> {
        let subscription = assignor::encode_subscription(&topics).map_err(unwritable)?;
        Ok(Membership {
            settings,
            topics,
            subscription,
            member_id: String::new(),
            generation_id: -1,
            dealt: Vec::new(),
            assignment: Partitions::new(),
            next_heartbeat_ms: 0,
        })
    }

    #[must_use]
    pub fn group_id(&self) -> &str {
        &self.settings.group_id
    }

    #[must_use]
    pub fn group_instance_id(&self) -> Option<&str> {
        self.settings.group_instance_id.as_deref()
    }

    #[must_use]
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    #[must_use]
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    #[must_use]
    pub fn assignment(&self) -> &Partitions {
        &self.assignment
    }

    #[must_use]
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// How long the node may hold the answer to a join.
    #[must_use]
    pub fn rebalance_timeout_ms(&self) -> i32 {
        self.settings.rebalance_timeout_ms
    }

    #[must_use]
    pub fn is_heartbeat_due(&self, now: Now) -> bool {
        self.generation_id >= 0 && now.monotonic_ms >= self.next_heartbeat_ms
    }

    #[must_use]
    pub fn join_request(&self) -> JoinGroupRequest<'_> {
        JoinGroupRequest {
            group_id: &self.settings.group_id,
            session_timeout_ms: self.settings.session_timeout_ms,
            rebalance_timeout_ms: self.settings.rebalance_timeout_ms,
            member_id: &self.member_id,
            group_instance_id: self.group_instance_id(),
            protocol_type: assignor::PROTOCOL_TYPE,
            protocols: vec![JoinGroupRequestProtocol {
                name: assignor::RANGE,
                metadata: &self.subscription,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    /// Takes the answer to a join; as leader, deals the partitions of `partition_counts`.
    ///
    /// # Errors
    /// `Refused` when another attempt would not help.
    pub fn on_joined(
        &mut self,
        response: &JoinGroupResponse<'_>,
        partition_counts: &BTreeMap<String, i32>,
    ) -> Result<Step> {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            // KIP-394: the first join only hands out the member id.
            ErrorCode::MemberIdRequired => {
                self.member_id = response.member_id.to_owned();
                return Ok(Step::Join);
            }
            code => return self.on_refused(code),
        }
        self.member_id = response.member_id.to_owned();
        self.generation_id = response.generation_id;
        self.dealt.clear();
        if response.leader == response.member_id && !response.skip_assignment {
            self.deal(response, partition_counts)?;
        }
        Ok(Step::Sync)
    }

    fn deal(
        &mut self,
        response: &JoinGroupResponse<'_>,
        partition_counts: &BTreeMap<String, i32>,
    ) -> Result<()> {
        let members: Vec<Member> = response
            .members
            .iter()
            .map(|member| Member {
                member_id: member.member_id.to_owned(),
                group_instance_id: member.group_instance_id.map(str::to_owned),
                // A member whose subscription is unreadable gets nothing; the others go on.
                topics: assignor::decode_subscription(member.metadata).unwrap_or_default(),
            })
            .collect();
        for (member_id, partitions) in assignor::range(&members, partition_counts) {
            let bytes = assignor::encode_assignment(&partitions).map_err(unwritable)?;
            self.dealt.push((member_id, bytes));
        }
        Ok(())
    }

    /// The topics that the members of the group, as far as the leader knows, subscribe to.
    #[must_use]
    pub fn topics_of(response: &JoinGroupResponse<'_>) -> Vec<String> {
        let mut topics: Vec<String> = response
            .members
            .iter()
            .flat_map(|member| assignor::decode_subscription(member.metadata).unwrap_or_default())
            .collect();
        topics.sort();
        topics.dedup();
        topics
    }

    #[must_use]
    pub fn sync_request(&self) -> SyncGroupRequest<'_> {
        let assignments = self
            .dealt
            .iter()
            .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                member_id,
                assignment,
                ..Default::default()
            })
            .collect();
        SyncGroupRequest {
            group_id: &self.settings.group_id,
            generation_id: self.generation_id,
            member_id: &self.member_id,
            group_instance_id: self.group_instance_id(),
            protocol_type: Some(assignor::PROTOCOL_TYPE),
            protocol_name: Some(assignor::RANGE),
            assignments,
            ..Default::default()
        }
    }

    /// # Errors
    /// `Refused` when another attempt would not help; `Malformed` assignments count as refused.
    pub fn on_synced(&mut self, now: Now, response: &SyncGroupResponse<'_>) -> Result<Step> {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            code => return self.on_refused(code),
        }
        self.assignment = assignor::decode_assignment(response.assignment).map_err(|error| {
            ClientError::MalformedBatch {
                partition: format!("the assignment of group {}", self.settings.group_id),
                reason: error.to_string(),
            }
        })?;
        self.next_heartbeat_ms = self.heartbeat_after(now);
        Ok(Step::Work)
    }

    #[must_use]
    pub fn heartbeat_request(&self) -> HeartbeatRequest<'_> {
        HeartbeatRequest {
            group_id: &self.settings.group_id,
            generation_id: self.generation_id,
            member_id: &self.member_id,
            group_instance_id: self.group_instance_id(),
            ..Default::default()
        }
    }

    /// # Errors
    /// `Refused` when another attempt would not help.
    pub fn on_heartbeat(&mut self, now: Now, code: ErrorCode) -> Result<Step> {
        self.next_heartbeat_ms = self.heartbeat_after(now);
        match code {
            ErrorCode::None => Ok(Step::Work),
            code => self.on_refused(code),
        }
    }

    /// What a refusal of the group means for the member.
    ///
    /// # Errors
    /// `Refused` when another attempt would not help.
    pub fn on_refused(&mut self, code: ErrorCode) -> Result<Step> {
        match code {
            ErrorCode::RebalanceInProgress => Ok(Step::Join),
            ErrorCode::IllegalGeneration => {
                self.generation_id = -1;
                Ok(Step::Join)
            }
            ErrorCode::UnknownMemberId => {
                self.member_id.clear();
                self.generation_id = -1;
                Ok(Step::Join)
            }
            ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress => Ok(Step::FindCoordinator),
            code => Err(Refusal { code, message: None }.into()),
        }
    }

    /// Versions before 3 name one member in its own field.
    #[must_use]
    pub fn leave_request(&self, version: i16) -> LeaveGroupRequest<'_> {
        let group_id = self.settings.group_id.as_str();
        if version < 3 {
            let member_id = self.member_id.as_str();
            return LeaveGroupRequest { group_id, member_id, ..Default::default() };
        }
        let member = MemberIdentity {
            member_id: &self.member_id,
            group_instance_id: self.group_instance_id(),
            reason: Some("the consumer is being closed"),
            ..Default::default()
        };
        LeaveGroupRequest { group_id, members: vec![member], ..Default::default() }
    }

    /// A static member does not leave: its partitions wait for it until the session ends.
    #[must_use]
    pub fn leaves_at_close(&self) -> bool {
        !self.member_id.is_empty() && self.settings.group_instance_id.is_none()
    }

    fn heartbeat_after(&self, now: Now) -> u64 {
        now.deadline_ms(i64::from(self.settings.heartbeat_interval_ms))
    }
}

fn unwritable(error: impl std::error::Error) -> ClientError {
    ClientError::Unwritable { api: "JoinGroup", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::join_group_response::JoinGroupResponseMember;

    fn membership() -> Membership {
        Membership::new(GroupSettings::new("g"), vec!["t".to_owned()]).unwrap()
    }

    #[test]
    fn a_member_without_id_joins_twice_and_then_deals_as_leader() {
        let mut member = membership();
        let counts: BTreeMap<_, _> = [("t".to_owned(), 2)].into();
        let first = JoinGroupResponse { error_code: 79, member_id: "m-1", ..Default::default() };
        assert_eq!(member.on_joined(&first, &counts).unwrap(), Step::Join);
        assert_eq!(member.join_request().member_id, "m-1");
        let subscription = assignor::encode_subscription(&["t".to_owned()]).unwrap();
        let itself = JoinGroupResponseMember {
            member_id: "m-1",
            metadata: &subscription,
            ..Default::default()
        };
        let second = JoinGroupResponse {
            generation_id: 1,
            leader: "m-1",
            member_id: "m-1",
            members: vec![itself],
            ..Default::default()
        };
        assert_eq!(member.on_joined(&second, &counts).unwrap(), Step::Sync);
        let assignment = member.sync_request().assignments[0].assignment.to_vec();
        let synced = SyncGroupResponse { assignment: &assignment, ..Default::default() };
        assert_eq!(member.on_synced(Now::default(), &synced).unwrap(), Step::Work);
        assert_eq!(member.assignment().len(), 2);
        assert!(!member.is_heartbeat_due(Now { monotonic_ms: 2_999, wall_ms: 0 }));
        assert!(member.is_heartbeat_due(Now { monotonic_ms: 3_000, wall_ms: 0 }));
    }

    #[test]
    fn a_forgotten_member_starts_over_and_a_fenced_one_gives_up() {
        let mut member = membership();
        member.member_id = "m".to_owned();
        assert_eq!(member.on_refused(ErrorCode::UnknownMemberId).unwrap(), Step::Join);
        assert_eq!(member.member_id(), "");
        assert!(member.on_refused(ErrorCode::FencedInstanceId).is_err());
    }

    #[test]
    fn only_a_member_that_nobody_waits_for_leaves_at_the_close() {
        let mut member = membership();
        assert!(!member.leaves_at_close(), "it is no member yet");
        member.member_id = "m".to_owned();
        assert!(member.leaves_at_close());
        assert!(member.leave_request(5).members[0].reason.is_some(), "the operator's log names it");
        let settings =
            GroupSettings { group_instance_id: Some("i".to_owned()), ..GroupSettings::new("g") };
        let mut fixed = Membership::new(settings, vec!["t".to_owned()]).unwrap();
        fixed.member_id = "m".to_owned();
        assert!(!fixed.leaves_at_close(), "its partitions wait for it");
    }
}
