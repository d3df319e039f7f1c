//! LeaveGroup: members go without waiting for their sessions to end.

use strom_coordinator::Request;
use strom_coordinator::request::{LeaveRequest, LeavingMember};
use strom_coordinator::response::LeaveResponse;
use strom_protocol::leave_group_request::LeaveGroupRequest;
use strom_protocol::leave_group_response::{LeaveGroupResponse, MemberResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::Extra;

/// Since this version (KIP-345) several members leave by one request, each with its own error.
const FIRST_VERSION_WITH_MEMBERS: i16 = 3;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = LeaveGroupRequest::decode(reader, call.version())?;
    let members = if call.version() < FIRST_VERSION_WITH_MEMBERS {
        vec![LeavingMember { member_id: wire.member_id, group_instance_id: None }]
    } else {
        let leaving = wire.members.iter().map(|member| LeavingMember {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
        });
        leaving.collect()
    };
    let request = Request::Leave(LeaveRequest { group_id: wire.group_id, members });
    Ok(broker.ask_groups(turn, call.address, Extra::Nothing, &request).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    left: &LeaveResponse,
) -> Result<Response, RequestError> {
    if address.version < FIRST_VERSION_WITH_MEMBERS {
        let of_member = left.members.first().map_or(ErrorCode::None, |member| member.error);
        let error = if left.error == ErrorCode::None { of_member } else { left.error };
        let response = LeaveGroupResponse { error_code: error.code(), ..Default::default() };
        return address.encode(&response);
    }
    let members = left.members.iter().map(|member| MemberResponse {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        error_code: member.error.code(),
        ..Default::default()
    });
    address.encode(&LeaveGroupResponse {
        error_code: left.error.code(),
        members: members.collect(),
        ..Default::default()
    })
}
