//! AlterClientQuotas: limits for users, client ids and addresses (KIP-546). They are kept and told;
//! nobody is slowed down by them yet.

use strom_metadata::controller::client_quotas::QuotaAlteration;
use strom_metadata::image::QuotaEntity;
use strom_protocol::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntryData as WireAlteration,
};
use strom_protocol::alter_client_quotas_response::{
    AlterClientQuotasResponse, EntityData, EntryData,
};
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
    let wire = AlterClientQuotasRequest::decode(reader, call.version())?;
    let alterations: Vec<_> = wire.entries.iter().map(alteration).collect();
    let decision = broker.metadata.controller.alter_client_quotas(&alterations);
    let entries = decision.reply.iter().map(|(whose, outcome)| {
        let (error_code, error_message) = told(outcome);
        let entity = entity(whose);
        EntryData { error_code, error_message, entity, ..Default::default() }
    });
    let response = AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() };
    let records = if wire.validate_only { Vec::new() } else { decision.records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

fn alteration<'a>(wire: &WireAlteration<'a>) -> QuotaAlteration<'a> {
    let name = |name: Option<&str>| name.map(str::to_owned);
    let entity = wire.entity.iter().map(|it| (it.entity_type.to_owned(), name(it.entity_name)));
    let changes = wire.ops.iter().map(|op| (op.key, Some(op.value).filter(|_| !op.remove)));
    QuotaAlteration { entity: entity.collect(), changes: changes.collect() }
}

fn entity(entity: &QuotaEntity) -> Vec<EntityData<'_>> {
    let parts = entity.iter().map(|(entity_type, entity_name)| EntityData {
        entity_type,
        entity_name: entity_name.as_deref(),
        ..Default::default()
    });
    parts.collect()
}
