//! ListConfigResources: what has configurations (KIP-1142); version 0 knows client metrics only.

use strom_metadata::image::ResourceType;
use strom_protocol::list_config_resources_request::ListConfigResourcesRequest;
use strom_protocol::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

const TOPIC: i8 = ResourceType::Topic.code();
const BROKER: i8 = ResourceType::Broker.code();
const BROKER_LOGGER: i8 = ResourceType::BrokerLogger.code();
const CLIENT_METRICS: i8 = ResourceType::ClientMetrics.code();
const GROUP: i8 = ResourceType::Group.code();

/// In the order in which Apache Kafka answers.
const SUPPORTED: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = ListConfigResourcesRequest::decode(reader, call.version())?;
    let asked: &[i8] = match wire.resource_types.as_slice() {
        _ if call.version() == 0 => &[CLIENT_METRICS],
        [] => &SUPPORTED,
        types => types,
    };
    if asked.iter().any(|resource_type| !SUPPORTED.contains(resource_type)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        let response = ListConfigResourcesResponse { error_code, ..Default::default() };
        return Ok(call.reply(&response)?.into());
    }
    let image = broker.metadata.image();
    let broker_ids: Vec<String> = image.cluster.brokers().map(|it| it.id.to_string()).collect();
    let mut resources = Vec::new();
    for resource_type in SUPPORTED.into_iter().filter(|supported| asked.contains(supported)) {
        let resource =
            |resource_name| ConfigResource { resource_name, resource_type, ..Default::default() };
        match resource_type {
            TOPIC => resources.extend(image.topics.iter().map(|topic| resource(&*topic.name))),
            BROKER | BROKER_LOGGER => {
                resources.extend(broker_ids.iter().map(|id| resource(id.as_str())));
            }
            _ => {
                let configured = image.configs.resources();
                let of_type = configured.filter(|it| it.kind.code() == resource_type);
                resources.extend(of_type.map(|it| resource(&it.name)));
            }
        }
    }
    let response =
        ListConfigResourcesResponse { config_resources: resources, ..Default::default() };
    Ok(call.reply(&response)?.into())
}
