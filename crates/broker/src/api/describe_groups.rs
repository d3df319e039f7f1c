//! DescribeGroups: state, protocol and members of classic groups.

use std::collections::BTreeSet;

use strom_coordinator::Request;
use strom_coordinator::request::DescribeGroupsRequest as CoreRequest;
use strom_coordinator::response::{DescribedGroup as CoreGroup, DescribedMember};
use strom_protocol::describe_groups_request::DescribeGroupsRequest;
use strom_protocol::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::authorized_operations::{GROUP_OPERATIONS, NOT_ASKED};
use crate::call::{Call, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::Extra;

/// More than that nobody has; what is said of a group that does not exist takes some memory too.
const GROUPS_MAX: usize = 100_000;
const FIRST_VERSION_WITH_ERROR_MESSAGE: i16 = 6;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let mut wire = DescribeGroupsRequest::decode(reader, call.version())?;
    // A few bytes ask for many: each group is described once.
    let mut named = BTreeSet::new();
    wire.groups.retain(|group_id| named.insert(*group_id));
    if wire.groups.len() > GROUPS_MAX {
        let text = format!("more than {GROUPS_MAX} groups are to be described at once");
        return Err(RequestError::Refused(text));
    }
    let extra = if wire.include_authorized_operations {
        Extra::WithAuthorizedOperations
    } else {
        Extra::Nothing
    };
    let core = CoreRequest { version: call.version(), group_ids: wire.groups };
    Ok(broker.ask_groups(turn, call.address, extra, &Request::DescribeGroups(core)).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    extra: &Extra,
    groups: &[CoreGroup],
) -> Result<Response, RequestError> {
    let groups = groups.iter().map(|group| {
        let is_asked = matches!(extra, Extra::WithAuthorizedOperations);
        let tells_operations = is_asked && group.error == ErrorCode::None;
        let message = group.error_message.as_deref();
        DescribedGroup {
            error_code: group.error.code(),
            error_message: message.filter(|_| address.version >= FIRST_VERSION_WITH_ERROR_MESSAGE),
            group_id: &group.group_id,
            group_state: group.state,
            protocol_type: &group.protocol_type,
            protocol_data: &group.protocol,
            members: group.members.iter().map(member).collect(),
            authorized_operations: if tells_operations { GROUP_OPERATIONS } else { NOT_ASKED },
            ..Default::default()
        }
    });
    address.encode(&DescribeGroupsResponse { groups: groups.collect(), ..Default::default() })
}

fn member(member: &DescribedMember) -> DescribedGroupMember<'_> {
    DescribedGroupMember {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
        ..Default::default()
    }
}
