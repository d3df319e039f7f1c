//! JoinGroup: a member enters a group, or asks for the next generation.

use strom_coordinator::request::{JoinProtocol, JoinRequest};
use strom_coordinator::{Request, response::JoinResponse};
use strom_protocol::join_group_request::JoinGroupRequest;
use strom_protocol::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use strom_protocol::{Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::Extra;

/// Since this version the chosen protocol may be null.
const FIRST_VERSION_WITH_NULL_PROTOCOL: i16 = 7;
const FIRST_VERSION_TO_SKIP_ASSIGNMENT: i16 = 9;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = JoinGroupRequest::decode(reader, call.version())?;
    // Groups name their members' hosts as Java prints an address: `/127.0.0.1`.
    let connection = broker.connections.get(call.address.to.connection);
    let client_host = format!("/{}", connection.map_or("", |it| &it.client_host));
    let request = Request::Join(JoinRequest {
        version: call.version(),
        group_id: wire.group_id,
        member_id: wire.member_id,
        group_instance_id: wire.group_instance_id,
        client_id: call.client_id.unwrap_or_default(),
        client_host: &client_host,
        session_timeout_ms: wire.session_timeout_ms,
        rebalance_timeout_ms: wire.rebalance_timeout_ms,
        protocol_type: wire.protocol_type,
        protocols: wire
            .protocols
            .iter()
            .map(|protocol| JoinProtocol { name: protocol.name, metadata: protocol.metadata })
            .collect(),
    });
    Ok(broker.ask_groups(turn, call.address, Extra::Nothing, &request).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    joined: &JoinResponse,
) -> Result<Response, RequestError> {
    let protocol_name = match joined.protocol_name.as_deref() {
        None if address.version < FIRST_VERSION_WITH_NULL_PROTOCOL => Some(""),
        name => name,
    };
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        metadata: &member.metadata,
        ..Default::default()
    });
    let may_skip = address.version >= FIRST_VERSION_TO_SKIP_ASSIGNMENT;
    address.encode(&JoinGroupResponse {
        error_code: joined.error.code(),
        generation_id: joined.generation_id,
        protocol_type: joined.protocol_type.as_deref(),
        protocol_name,
        leader: &joined.leader,
        skip_assignment: joined.skip_assignment && may_skip,
        member_id: &joined.member_id,
        members: members.collect(),
        ..Default::default()
    })
}
