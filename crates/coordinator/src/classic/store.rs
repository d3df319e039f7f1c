//! A classic group as it is stored, listed and described.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::group::ClassicGroup;
use super::member::Member;
use super::state::State;
use super::turn::Write;
use crate::ErrorCode;
use crate::record::{StoredGroup, StoredMember};
use crate::response::{DescribedGroup, DescribedMember, ListedGroup};

/// Kafka's name for the type of these groups.
const GROUP_TYPE: &str = "classic";

impl ClassicGroup {
    /// The record that `write` asks for.
    pub(crate) fn stored(&self, write: &Write) -> StoredGroup {
        match write {
            // Written before anybody is a member, whatever the first join may have changed.
            Write::Created { .. } => {
                StoredGroup { state_timestamp_ms: self.state_timestamp_ms, ..Default::default() }
            }
            Write::Assignment { assignments, .. } => self.stored_with(Some(assignments)),
            Write::Emptied | Write::Replacement(_) => self.stored_with(None),
        }
    }

    fn stored_with(&self, assignments: Option<&BTreeMap<Arc<str>, Bytes>>) -> StoredGroup {
        let assigned = |member: &Member| match assignments {
            Some(assignments) => assignments.get(&member.member_id).cloned().unwrap_or_default(),
            None => member.assignment.clone(),
        };
        let members = self.members.values().map(|member| StoredMember {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol_name.as_deref()),
            assignment: assigned(member),
        });
        StoredGroup {
            protocol_type: self.protocol_type.clone(),
            generation_id: self.generation_id,
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_timestamp_ms: self.state_timestamp_ms,
            members: members.collect(),
        }
    }

    pub(crate) fn listed(&self, group_id: &str) -> ListedGroup {
        ListedGroup {
            group_id: group_id.to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.name(),
            group_type: GROUP_TYPE,
        }
    }

    pub(crate) fn described(&self, group_id: &str) -> DescribedGroup {
        // Before a group is stable its protocol and metadata mean nothing to an onlooker.
        let stable = self.state == State::Stable;
        let protocol_name = self.protocol_name.as_deref().filter(|_| stable);
        let members = self.members.values().map(|member| DescribedMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id_text(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol_name),
            assignment: member.assignment.clone(),
        });
        DescribedGroup {
            group_id: group_id.to_owned(),
            error: ErrorCode::None,
            error_message: None,
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol_name.unwrap_or_default().to_owned(),
            members: members.collect(),
        }
    }
}
