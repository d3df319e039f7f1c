//! UnregisterBroker: the cluster forgets a broker that will not come back (KIP-631).

use strom_protocol::unregister_broker_request::UnregisterBrokerRequest;
use strom_protocol::unregister_broker_response::UnregisterBrokerResponse;
use strom_protocol::{Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::decisions::told;
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = UnregisterBrokerRequest::decode(reader, call.version())?;
    let decision = broker.metadata.controller.unregister_broker(wire.broker_id);
    let (error_code, error_message) = told(&decision);
    let response = UnregisterBrokerResponse { error_code, error_message, ..Default::default() };
    let records = decision.as_ref().map(|it| it.records.clone()).unwrap_or_default();
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}
