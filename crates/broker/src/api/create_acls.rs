//! CreateAcls: refused as by an Apache Kafka without an authorizer.

use strom_protocol::create_acls_request::CreateAclsRequest;
use strom_protocol::create_acls_response::{AclCreationResult, CreateAclsResponse};
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
    let wire = CreateAclsRequest::decode(reader, call.version())?;
    let results = wire.creations.iter().map(|_| AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER),
        ..Default::default()
    });
    let response = CreateAclsResponse { results: results.collect(), ..Default::default() };
    Ok(call.reply(&response)?.into())
}
