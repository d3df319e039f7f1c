//! AlterConfigs, the old way: what a resource is given replaces all it had.

use std::sync::Arc;

use strom_metadata::Refusal;
use strom_metadata::controller::configs::Replacement;
use strom_metadata::image::{ConfigResource, ResourceType};
use strom_protocol::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use strom_protocol::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::config_rules::Rules;
use crate::decisions::told;
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = AlterConfigsRequest::decode(reader, call.version())?;
    let names = wire.resources.iter().map(|it| (it.resource_type, it.resource_name));
    let names: Vec<_> = names.collect();
    let mut outcomes: Vec<Result<(), Refusal>> = Vec::new();
    let (mut replacements, mut places) = (Vec::new(), Vec::new());
    for (index, resource) in wire.resources.iter().enumerate() {
        outcomes.push(precheck(broker, &names, index).and_then(|()| check_values(resource)));
        if outcomes.last().is_some_and(Result::is_ok) {
            places.push(index);
            replacements.push(replacement(resource));
        }
    }
    let settings = Arc::clone(&broker.settings);
    let decision = broker.metadata.controller.replace_configs(&replacements, &Rules(&settings));
    for (index, outcome) in places.into_iter().zip(decision.reply) {
        if let Some(place) = outcomes.get_mut(index) {
            *place = outcome;
        }
    }
    let responses = wire.resources.iter().zip(&outcomes).map(|(resource, outcome)| {
        let (error_code, error_message) = told(outcome);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            ..Default::default()
        }
    });
    let response = AlterConfigsResponse { responses: responses.collect(), ..Default::default() };
    let records = if wire.validate_only { Vec::new() } else { decision.records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

fn replacement<'a>(wire: &AlterConfigsResource<'a>) -> Replacement<'a> {
    Replacement {
        resource: ConfigResource {
            kind: ResourceType::from_code(wire.resource_type),
            name: wire.resource_name.to_owned(),
        },
        values: wire.configs.iter().map(|config| (config.name, config.value)).collect(),
    }
}

fn check_values(wire: &AlterConfigsResource<'_>) -> Result<(), Refusal> {
    let null = wire.configs.iter().filter(|config| config.value.is_none());
    let null: Vec<_> = null.map(|config| config.name).collect();
    if null.is_empty() {
        return Ok(());
    }
    let text = format!("Null value not supported for : {}", null.join(","));
    Err(Refusal::new(ErrorCode::InvalidRequest, text))
}

/// What the broker itself refuses of the `index`-th of these resources (type and name), for both
/// ways to alter.
pub(super) fn precheck(
    broker: &Broker,
    resources: &[(i8, &str)],
    index: usize,
) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    let Some((code, name)) = resources.get(index).copied() else { return Ok(()) };
    if resources.iter().filter(|other| **other == (code, name)).count() > 1 {
        return invalid("Each resource must appear at most once.".to_owned());
    }
    match ResourceType::from_code(code) {
        ResourceType::Broker if !name.is_empty() => {
            let node_id = broker.identity.node_id;
            match name.parse::<i32>() {
                Ok(id) if id == node_id => Ok(()),
                Ok(_) => invalid(format!(
                    "Unexpected broker id, expected {node_id}, but received {name}"
                )),
                Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
            }
        }
        ResourceType::Other(code) => invalid(format!("Unknown resource type {code}")),
        _ => Ok(()),
    }
}
