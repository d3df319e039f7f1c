//! DescribeConfigs: keys and values of topics, brokers, groups and client metrics.

use std::collections::BTreeSet;

use strom_base::config::describe::{self, ConfigSynonym, NameFilter};
use strom_base::config::{ConfigEntry, ConfigMap};
use strom_coordinator::AnswerRoom;
use strom_metadata::image::{ConfigResource, ResourceType};
use strom_metadata::topic_name;
use strom_protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use strom_protocol::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::{Handled, UNKNOWN_PARTITION};
use crate::call::{Call, RequestError};
use crate::effect::Turn;

type Refusal = (ErrorCode, String);

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let mut wire = DescribeConfigsRequest::decode(reader, call.version())?;
    // A few bytes ask for many: each resource is described once.
    let mut named = BTreeSet::new();
    wire.resources.retain(|it| named.insert((it.resource_type, it.resource_name)));
    let mut room = AnswerRoom::default();
    let described: Vec<_> = wire
        .resources
        .iter()
        .map(|resource| describe_within(broker, resource, &wire, &mut room))
        .collect();
    let results = wire.resources.iter().zip(&described).map(|(resource, described)| {
        let mut result = DescribeConfigsResult {
            error_message: None,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            ..Default::default()
        };
        match described {
            Ok(entries) => {
                result.configs = entries.iter().map(|entry| config(entry, &wire)).collect();
            }
            Err((error, text)) => {
                result.error_code = error.code();
                result.error_message = Some(text);
            }
        }
        result
    });
    let response = DescribeConfigsResponse { results: results.collect(), ..Default::default() };
    Ok(call.reply(&response)?.into())
}

/// Without what is not asked for, as long as there is room.
fn describe_within(
    broker: &Broker,
    resource: &DescribeConfigsResource<'_>,
    wire: &DescribeConfigsRequest<'_>,
    room: &mut AnswerRoom,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let too_large = || (ErrorCode::InvalidRequest, AnswerRoom::REFUSAL.to_owned());
    if room.is_used_up() {
        return Err(too_large());
    }
    let mut entries = describe(broker, resource)?;
    if !wire.include_synonyms {
        entries.iter_mut().for_each(|entry| entry.synonyms = Vec::new());
    }
    let size: usize = entries.iter().map(|it| size_of_entry(it, wire.include_documentation)).sum();
    if room.take(size) { Ok(entries) } else { Err(too_large()) }
}

fn size_of_entry(entry: &ConfigEntry, with_documentation: bool) -> usize {
    let text =
        |name: &str, value: &Option<String>| name.len() + value.as_ref().map_or(0, String::len);
    let synonyms = entry.synonyms.iter();
    let synonyms = synonyms.map(|it| size_of::<ConfigSynonym>() + 2 * text(&it.name, &it.value));
    let documentation = entry.documentation.filter(|_| with_documentation).map_or(0, str::len);
    2 * size_of::<ConfigEntry>()
        + 2 * text(&entry.name, &entry.value)
        + documentation
        + synonyms.sum::<usize>()
}

fn describe(
    broker: &Broker,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let kind = ResourceType::from_code(resource.resource_type);
    let name = resource.resource_name;
    // No names at all is every name, also to Kafka.
    let asked: NameFilter<'_> =
        resource.configuration_keys.as_deref().filter(|names| !names.is_empty());
    let layers = broker.settings.layers();
    let configs = &broker.metadata.image().configs;
    let nothing = ConfigMap::new();
    let own = configs.of(&ConfigResource { kind, name: name.to_owned() }).unwrap_or(&nothing);
    let invalid = |text: String| (ErrorCode::InvalidRequest, text);
    match kind {
        ResourceType::Topic => {
            topic_name::check(name).map_err(|text| (ErrorCode::InvalidTopicException, text))?;
            let image = broker.metadata.image();
            if image.topics.by_name(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, UNKNOWN_PARTITION.to_owned()));
            }
            Ok(describe::describe_topic(&layers, own, asked))
        }
        ResourceType::Broker if name.is_empty() => {
            Ok(describe::describe_broker_default(own, asked))
        }
        ResourceType::Broker => {
            let node_id = broker.identity.node_id;
            match name.parse::<i32>() {
                Ok(id) if id == node_id => Ok(describe::describe_broker(&layers, asked)),
                Ok(_) => Err(invalid(format!(
                    "Unexpected broker id, expected {node_id} or empty string, but received {name}"
                ))),
                Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
            }
        }
        ResourceType::Group if name.is_empty() => {
            Err(invalid("Group name must not be empty".to_owned()))
        }
        ResourceType::ClientMetrics if name.is_empty() => {
            Err(invalid("Client metrics subscription name must not be empty".to_owned()))
        }
        ResourceType::Group => Ok(describe::describe_group(&layers, own, asked)),
        ResourceType::ClientMetrics => Ok(describe::describe_client_metrics(own, asked)),
        // There is one logger, and nobody can set its level from outside.
        ResourceType::BrokerLogger => Ok(Vec::new()),
        ResourceType::Other(code) => Err(invalid(format!("Unsupported resource type: {code}"))),
    }
}

fn config<'a>(
    entry: &'a ConfigEntry,
    wire: &DescribeConfigsRequest<'_>,
) -> DescribeConfigsResourceResult<'a> {
    let synonyms = entry.synonyms.iter().filter(|_| wire.include_synonyms);
    DescribeConfigsResourceResult {
        name: &entry.name,
        value: entry.value.as_deref(),
        read_only: entry.is_read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms
            .map(|synonym| DescribeConfigsSynonym {
                name: &synonym.name,
                value: synonym.value.as_deref(),
                source: synonym.source.code(),
                ..Default::default()
            })
            .collect(),
        config_type: entry.type_code,
        documentation: entry.documentation.filter(|_| wire.include_documentation),
        ..Default::default()
    }
}
