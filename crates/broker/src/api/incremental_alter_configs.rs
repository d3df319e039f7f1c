//! IncrementalAlterConfigs: single keys are set, deleted, or their lists grown and cut (KIP-339).

use std::collections::BTreeSet;
use std::sync::Arc;

use strom_metadata::Refusal;
use strom_metadata::controller::configs::{Alteration, Operation};
use strom_metadata::image::{ConfigResource, ResourceType};
use strom_protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use strom_protocol::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};

use super::alter_configs::precheck;
use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::config_rules::Rules;
use crate::decisions::told;
use crate::effect::Turn;

const DELETE: i8 = 1;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = IncrementalAlterConfigsRequest::decode(reader, call.version())?;
    let names = wire.resources.iter().map(|it| (it.resource_type, it.resource_name));
    let names: Vec<_> = names.collect();
    let mut outcomes: Vec<Result<(), Refusal>> = Vec::new();
    let (mut alterations, mut places) = (Vec::new(), Vec::new());
    for (index, resource) in wire.resources.iter().enumerate() {
        match precheck(broker, &names, index).and_then(|()| alteration(resource)) {
            Ok(alteration) => {
                outcomes.push(Ok(()));
                places.push(index);
                alterations.push(alteration);
            }
            Err(refusal) => outcomes.push(Err(refusal)),
        }
    }
    let settings = Arc::clone(&broker.settings);
    let decision = broker.metadata.controller.alter_configs(&alterations, &Rules(&settings));
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
    let responses = responses.collect();
    let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
    let records = if wire.validate_only { Vec::new() } else { decision.records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

fn alteration<'a>(wire: &AlterConfigsResource<'a>) -> Result<Alteration<'a>, Refusal> {
    let invalid = |text: String| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    let mut names = BTreeSet::new();
    if !wire.configs.iter().all(|config| names.insert(config.name)) {
        return invalid("Error due to duplicate config keys".to_owned());
    }
    let is_null =
        |config: &&AlterableConfig<'_>| config.config_operation != DELETE && config.value.is_none();
    let null: Vec<_> = wire.configs.iter().filter(is_null).map(|config| config.name).collect();
    if !null.is_empty() {
        return invalid(format!("Null value not supported for : {}", null.join(",")));
    }
    let mut operations = Vec::with_capacity(wire.configs.len());
    for config in &wire.configs {
        let value = config.value.unwrap_or_default();
        let operation = match config.config_operation {
            0 => Operation::Set(value),
            DELETE => Operation::Delete,
            2 => Operation::Append(value),
            3 => Operation::Subtract(value),
            other => return invalid(format!("Unknown operations type {other}")),
        };
        operations.push((config.name, operation));
    }
    let resource = ConfigResource {
        kind: ResourceType::from_code(wire.resource_type),
        name: wire.resource_name.to_owned(),
    };
    Ok(Alteration { resource, operations })
}
