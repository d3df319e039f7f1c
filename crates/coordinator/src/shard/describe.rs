//! ListGroups and DescribeGroups: what an onlooker sees. Both show committed groups only.

use super::{Group, GroupShard};
use crate::classic::{ClassicGroup, State};
use crate::request::ListGroupsRequest;
use crate::response::{DescribedGroup, DescribedMember, ListedGroup};
use crate::{AnswerRoom, ErrorCode};

/// From this version on a missing group is an error (KIP-1043).
const GROUP_ID_NOT_FOUND_SINCE: i16 = 6;

impl GroupShard {
    pub(crate) fn list_groups(&self, request: &ListGroupsRequest<'_>) -> Vec<ListedGroup> {
        let listed = self
            .groups
            .iter()
            .filter_map(|(group_id, group)| group.committed(|classic| classic.listed(group_id)));
        listed.filter(|group| passes(group, request)).collect()
    }

    pub(crate) fn describe_group(
        &self,
        version: i16,
        group_id: &str,
        room: &mut AnswerRoom,
    ) -> DescribedGroup {
        if room.is_used_up() {
            return too_large(group_id);
        }
        let group = self.groups.get(group_id);
        let described =
            group.and_then(|group| group.committed(|classic| classic.described(group_id)));
        let described = described.unwrap_or_else(|| missing(version, group_id));
        if room.take(size_of_group(&described)) { described } else { too_large(group_id) }
    }
}

impl Group {
    /// Looks at the group if its existence is committed. One about to be deleted is seen as stored.
    fn committed<T>(&self, look: impl FnOnce(&ClassicGroup) -> T) -> Option<T> {
        let stored = self.metadata.committed()?;
        Some(match &self.classic {
            Some(classic) => look(classic),
            None => look(&ClassicGroup::from_stored(stored)),
        })
    }
}

fn passes(group: &ListedGroup, request: &ListGroupsRequest<'_>) -> bool {
    let state_passes = request.states.is_empty()
        || request.states.iter().any(|state| state.trim().eq_ignore_ascii_case(group.state));
    let type_passes = request.types.is_empty()
        || request.types.iter().any(|kind| kind.eq_ignore_ascii_case(group.group_type));
    state_passes && type_passes
}

fn size_of_group(group: &DescribedGroup) -> usize {
    let members = group.members.iter().map(|member| {
        let instance_id = member.group_instance_id.as_ref().map_or(0, String::len);
        let names = member.member_id.len() + member.client_id.len() + member.client_host.len();
        let bytes = member.metadata.len() + member.assignment.len();
        2 * size_of::<DescribedMember>() + names + instance_id + bytes
    });
    2 * size_of::<DescribedGroup>() + members.sum::<usize>()
}

fn too_large(group_id: &str) -> DescribedGroup {
    let refused = crate::failure::describe_refused(group_id, ErrorCode::InvalidRequest);
    DescribedGroup { error_message: Some(AnswerRoom::REFUSAL.to_owned()), ..refused }
}

fn missing(version: i16, group_id: &str) -> DescribedGroup {
    let is_error = version >= GROUP_ID_NOT_FOUND_SINCE;
    DescribedGroup {
        group_id: group_id.to_owned(),
        error: if is_error { ErrorCode::GroupIdNotFound } else { ErrorCode::None },
        error_message: is_error.then(|| format!("Group {group_id} not found.")),
        state: State::Dead.name(),
        protocol_type: String::new(),
        protocol: String::new(),
        members: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What describes it takes memory until it is encoded, and all of that is bounded together.
    #[test]
    fn every_byte_of_a_members_description_is_counted() {
        let text = |length| "x".repeat(length);
        let member = |lengths: [usize; 6]| DescribedMember {
            member_id: text(lengths[0]),
            group_instance_id: (lengths[1] > 0).then(|| text(lengths[1])),
            client_id: text(lengths[2]),
            client_host: text(lengths[3]),
            metadata: text(lengths[4]).into_bytes().into(),
            assignment: text(lengths[5]).into_bytes().into(),
        };
        let size = |members: &[[usize; 6]]| {
            let members = members.iter().map(|lengths| member(*lengths)).collect();
            size_of_group(&DescribedGroup { members, ..missing(0, "") })
        };
        let (none, small) = (size(&[]), size(&[[0; 6]]));
        assert!(none >= size_of::<DescribedGroup>());
        assert!(small - none >= size_of::<DescribedMember>());
        for longer in 0..6 {
            let mut lengths = [0; 6];
            lengths[longer] = 100;
            assert_eq!(size(&[lengths]) - small, 100, "the text number {longer}");
        }
        assert_eq!(size(&[[10; 6], [10; 6]]) - none, 2 * (small - none + 60));
    }
}
