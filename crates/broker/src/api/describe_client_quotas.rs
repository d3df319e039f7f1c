//! DescribeClientQuotas: the limits of users, client ids and addresses (KIP-546).

use std::collections::BTreeMap;

use strom_metadata::Refusal;
use strom_metadata::image::QuotaEntity;
use strom_metadata::image::client_quotas::entity_type::{CLIENT_ID, IP, USER};
use strom_protocol::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use strom_protocol::describe_client_quotas_response::{
    DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

/// What an entity must have of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted<'a> {
    Name(&'a str),
    /// The default of the type.
    Default,
    /// A name or the default.
    Any,
}

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DescribeClientQuotasRequest::decode(reader, call.version())?;
    let filter = match filter(&wire.components) {
        Ok(filter) => filter,
        Err(refusal) => {
            let response = DescribeClientQuotasResponse {
                error_code: refusal.error.code(),
                error_message: Some(&refusal.message),
                entries: None,
                ..Default::default()
            };
            return Ok(call.reply(&response)?.into());
        }
    };
    let quotas = broker.metadata.image().quotas.iter();
    let entries = quotas
        .filter(|(entity, _)| matches(entity, &filter, wire.strict))
        .map(|(entity, values)| entry(entity, values));
    let response =
        DescribeClientQuotasResponse { entries: Some(entries.collect()), ..Default::default() };
    Ok(call.reply(&response)?.into())
}

fn entry<'a>(entity: &'a QuotaEntity, values: &'a BTreeMap<String, f64>) -> EntryData<'a> {
    let entity = entity.iter().map(|(entity_type, entity_name)| EntityData {
        entity_type,
        entity_name: entity_name.as_deref(),
        ..Default::default()
    });
    let values =
        values.iter().map(|(key, value)| ValueData { key, value: *value, ..Default::default() });
    EntryData { entity: entity.collect(), values: values.collect(), ..Default::default() }
}

fn filter<'a>(components: &[ComponentData<'a>]) -> Result<BTreeMap<&'a str, Wanted<'a>>, Refusal> {
    let invalid = |text: String| Refusal::new(ErrorCode::InvalidRequest, text);
    let mut filter = BTreeMap::new();
    for component in components {
        let entity_type = component.entity_type;
        if entity_type.is_empty() {
            return Err(invalid("Invalid empty entity type.".to_owned()));
        }
        if filter.contains_key(entity_type) {
            return Err(invalid(format!(
                "Entity type {entity_type} cannot appear more than once in the filter."
            )));
        }
        if ![USER, CLIENT_ID, IP].contains(&entity_type) {
            let text = format!("Unsupported entity type {entity_type}");
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, text));
        }
        filter.insert(entity_type, wanted(component).map_err(invalid)?);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        let text = "Invalid entity filter component combination. IP filter component should not \
                    be used with user or clientId filter component.";
        return Err(invalid(text.to_owned()));
    }
    Ok(filter)
}

fn wanted<'a>(component: &ComponentData<'a>) -> Result<Wanted<'a>, String> {
    let but_named = |kind| {
        Err(format!("Request specified MATCH_TYPE_{kind}, but also specified a match string."))
    };
    match (component.match_type, component.match_) {
        (0, Some(name)) => Ok(Wanted::Name(name)),
        (0, None) => {
            Err("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned())
        }
        (1, None) => Ok(Wanted::Default),
        (1, Some(_)) => but_named("DEFAULT"),
        (2, None) => Ok(Wanted::Any),
        (2, Some(_)) => but_named("SPECIFIED"),
        (other, _) => Err(format!("Unknown match type {other}")),
    }
}

/// Whether the entity has all that is wanted; a strict filter allows nothing more.
fn matches(entity: &QuotaEntity, filter: &BTreeMap<&str, Wanted<'_>>, is_strict: bool) -> bool {
    if is_strict && entity.len() != filter.len() {
        return false;
    }
    filter.iter().all(|(entity_type, wanted)| match (entity.get(*entity_type), wanted) {
        (None, _) => false,
        (Some(_), Wanted::Any) => true,
        (Some(name), Wanted::Name(wanted)) => name.as_deref() == Some(wanted),
        (Some(name), Wanted::Default) => name.is_none(),
    })
}
