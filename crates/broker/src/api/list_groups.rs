//! ListGroups: the groups this node coordinates, filtered by state (KIP-518) and type (KIP-848).

use strom_coordinator::request::ListGroupsRequest as CoreRequest;
use strom_coordinator::{Request, response::ListGroupsResponse as CoreResponse};
use strom_protocol::list_groups_request::ListGroupsRequest;
use strom_protocol::list_groups_response::{ListGroupsResponse, ListedGroup};
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
    let wire = ListGroupsRequest::decode(reader, call.version())?;
    let request =
        Request::ListGroups(CoreRequest { states: wire.states_filter, types: wire.types_filter });
    Ok(broker.ask_groups(turn, call.address, Extra::Nothing, &request).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    listed: &CoreResponse,
) -> Result<Response, RequestError> {
    let groups = listed.groups.iter().map(|group| ListedGroup {
        group_id: &group.group_id,
        protocol_type: &group.protocol_type,
        group_state: group.state,
        group_type: group.group_type,
        ..Default::default()
    });
    address.encode(&ListGroupsResponse {
        error_code: listed.error.code(),
        groups: groups.collect(),
        ..Default::default()
    })
}
