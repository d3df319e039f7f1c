//! InitProducerId: an id for an idempotent producer, out of the block the controller gave this node.

use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::{ErrorCode, Message, Reader};

use super::Handled;
use crate::Broker;
use crate::call::{Call, RequestError};
use crate::effect::Turn;
use crate::producer_ids::NextId;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = InitProducerIdRequest::decode(reader, call.version())?;
    let mut response =
        InitProducerIdResponse { producer_id: -1, producer_epoch: -1, ..Default::default() };
    if request.transactional_id.is_some() {
        // No transaction coordinator is served yet; this code makes clients give up at once.
        response.error_code = ErrorCode::UnsupportedVersion.code();
        return Ok(call.reply(&response)?.into());
    }
    match broker.next_producer_id(turn) {
        NextId::Id(producer_id) => {
            response.producer_id = producer_id;
            response.producer_epoch = 0;
            Ok(call.reply(&response)?.into())
        }
        NextId::AfterCommit(offset) => Ok(Handled::AfterCommit(offset)),
        NextId::Refused(error) => {
            response.error_code = error.code();
            Ok(call.reply(&response)?.into())
        }
    }
}
