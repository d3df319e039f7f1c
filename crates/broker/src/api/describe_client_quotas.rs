//! DescribeClientQuotas: this node keeps no quotas yet, so there are none to tell of.

use strom_protocol::describe_client_quotas_request::DescribeClientQuotasRequest;
use strom_protocol::describe_client_quotas_response::DescribeClientQuotasResponse;
use strom_protocol::{Message, Reader};

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
    DescribeClientQuotasRequest::decode(reader, call.version())?;
    let response = DescribeClientQuotasResponse {
        error_message: None,
        entries: Some(Vec::new()),
        ..Default::default()
    };
    Ok(call.reply(&response)?.into())
}
