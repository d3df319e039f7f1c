//! Heartbeat: a member says that it lives and learns whether the group rebalances.

use strom_coordinator::Request;
use strom_coordinator::request::HeartbeatRequest as CoreRequest;
use strom_protocol::heartbeat_request::HeartbeatRequest;
use strom_protocol::heartbeat_response::HeartbeatResponse;
use strom_protocol::{ErrorCode, Message, Reader};

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
    let wire = HeartbeatRequest::decode(reader, call.version())?;
    let request = Request::Heartbeat(CoreRequest {
        group_id: wire.group_id,
        generation_id: wire.generation_id,
        member_id: wire.member_id,
        group_instance_id: wire.group_instance_id,
    });
    Ok(broker.ask_groups(turn, call.address, Extra::Nothing, &request).into())
}

pub(crate) fn answer(address: &ReturnAddress, error: ErrorCode) -> Result<Response, RequestError> {
    address.encode(&HeartbeatResponse { error_code: error.code(), ..Default::default() })
}
