//! AlterConfigs, the old way: what a resource is given replaces all it had.

use strom_metadata::Refusal;
use strom_metadata::controller::configs::Replacement;
use strom_metadata::image::{ConfigResource, ResourceType};
use strom_protocol::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use strom_protocol::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use super::config_alterations::{Asked, decide};
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
    let wire = AlterConfigsRequest::decode(reader, call.version())?;
    let asked = wire.resources.iter().map(|resource| Asked {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        change: replacement(resource),
    });
    let decision = decide(broker, asked.collect(), |controller, replacements, rules| {
        controller.replace_configs(replacements, rules)
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
    let response = AlterConfigsResponse { responses: responses.collect(), ..Default::default() };
    let records = if wire.validate_only { Vec::new() } else { decision.records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

fn replacement<'a>(wire: &AlterConfigsResource<'a>) -> Result<Replacement<'a>, Refusal> {
    let null = wire.configs.iter().filter(|config| config.value.is_none());
    let null: Vec<_> = null.map(|config| config.name).collect();
    if !null.is_empty() {
        let text = format!("Null value not supported for : {}", null.join(","));
        return Err(Refusal::new(ErrorCode::InvalidRequest, text));
    }
    let resource = ConfigResource {
        kind: ResourceType::from_code(wire.resource_type),
        name: wire.resource_name.to_owned(),
    };
    let values = wire.configs.iter().map(|config| (config.name, config.value)).collect();
    Ok(Replacement { resource, values })
}
