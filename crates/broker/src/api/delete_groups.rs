//! DeleteGroups: empty groups go, with their offsets.

use strom_coordinator::{Request, response::DeletedGroup};
use strom_protocol::delete_groups_request::DeleteGroupsRequest;
use strom_protocol::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
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
    let mut wire = DeleteGroupsRequest::decode(reader, call.version())?;
    // Apache Kafka takes a group that is named twice once.
    let mut seen = std::collections::BTreeSet::new();
    wire.groups_names.retain(|group_id| seen.insert(*group_id));
    let request = Request::DeleteGroups(wire.groups_names);
    Ok(broker.ask_groups(turn, call.address, Extra::Nothing, &request).into())
}

pub(crate) fn answer(
    address: &ReturnAddress,
    groups: &[DeletedGroup],
) -> Result<Response, RequestError> {
    let results = groups.iter().map(|group| DeletableGroupResult {
        group_id: &group.group_id,
        error_code: group.error.code(),
        ..Default::default()
    });
    address.encode(&DeleteGroupsResponse { results: results.collect(), ..Default::default() })
}
