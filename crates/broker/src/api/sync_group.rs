//! SyncGroup: the leader hands in the assignment, every member gets its part.

use strom_coordinator::request::{SyncAssignment, SyncRequest};
use strom_coordinator::{Request, response::SyncResponse};
use strom_protocol::sync_group_request::SyncGroupRequest;
use strom_protocol::sync_group_response::SyncGroupResponse;
use strom_protocol::{Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use crate::groups::Extra;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = SyncGroupRequest::decode(reader, call.version())?;
    let assignments = wire.assignments.iter().map(|assignment| SyncAssignment {
        member_id: assignment.member_id,
        assignment: assignment.assignment,
    });
    let request = Request::Sync(SyncRequest {
        group_id: wire.group_id,
        generation_id: wire.generation_id,
        member_id: wire.member_id,
        group_instance_id: wire.group_instance_id,
        protocol_type: wire.protocol_type,
        protocol_name: wire.protocol_name,
        assignments: assignments.collect(),
    });
    Ok(broker.ask_groups(turn, call.address, Extra::Nothing, &request).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    synced: &SyncResponse,
) -> Result<Response, RequestError> {
    address.encode(&SyncGroupResponse {
        error_code: synced.error.code(),
        protocol_type: synced.protocol_type.as_deref(),
        protocol_name: synced.protocol_name.as_deref(),
        assignment: &synced.assignment,
        ..Default::default()
    })
}
