//! DescribeAcls: refused as by an Apache Kafka without an authorizer.

use strom_protocol::describe_acls_request::DescribeAclsRequest;
use strom_protocol::describe_acls_response::DescribeAclsResponse;
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub(crate) fn handle(
    _broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    DescribeAclsRequest::decode(reader, call.version())?;
    let response = DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER),
        ..Default::default()
    };
    Ok(call.reply(&response)?.into())
}
