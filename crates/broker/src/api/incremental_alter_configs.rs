//! IncrementalAlterConfigs: single keys are set, deleted, or their lists grown and cut (KIP-339).

use std::collections::BTreeSet;

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

use super::config_alterations::{Asked, decide};
use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
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
    let asked = wire.resources.iter().map(|resource| Asked {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        change: alteration(resource),
    });
    let decision = decide(broker, asked.collect(), |controller, alterations, rules| {
        controller.alter_configs(alterations, rules)
    });
    let responses = wire.resources.iter().zip(&decision.reply).map(|(resource, outcome)| {
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
