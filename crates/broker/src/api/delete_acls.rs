//! DeleteAcls: refused as by an Apache Kafka without an authorizer.

use strom_protocol::delete_acls_request::DeleteAclsRequest;
use strom_protocol::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use super::describe_acls::NO_AUTHORIZER;
use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    _broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DeleteAclsRequest::decode(reader, call.version())?;
    let filter_results = wire.filters.iter().map(|_| DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER),
        ..Default::default()
    });
    let response =
        DeleteAclsResponse { filter_results: filter_results.collect(), ..Default::default() };
    Ok(call.reply(&response)?.into())
}
