//! DescribeCluster: the brokers, where they are reached, and the cluster's id (KIP-700).

use strom_protocol::describe_cluster_request::DescribeClusterRequest;
use strom_protocol::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::authorized_operations::{CLUSTER_OPERATIONS, NOT_ASKED};
use crate::call::{Call, RequestError};
use crate::effect::Turn;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DescribeClusterRequest::decode(reader, call.version())?;
    if wire.endpoint_type != BROKERS {
        let (error, text) = refuse_endpoints(call.version(), wire.endpoint_type);
        let response = DescribeClusterResponse {
            error_code: error.code(),
            error_message: Some(&text),
            ..Default::default()
        };
        return Ok(call.reply(&response)?.into());
    }
    let listener = broker.listener_of(call.address.to.connection);
    let mut brokers = Vec::new();
    for registered in broker.metadata.image().cluster.brokers() {
        let endpoint = registered.endpoints.iter().find(|endpoint| endpoint.name == listener);
        let Some(endpoint) = endpoint else { continue };
        if !registered.is_fenced || wire.include_fenced_brokers {
            brokers.push(DescribeClusterBroker {
                broker_id: registered.id,
                host: &endpoint.host,
                port: i32::from(endpoint.port),
                rack: registered.rack.as_deref(),
                is_fenced: registered.is_fenced,
                ..Default::default()
            });
        }
    }
    let response = DescribeClusterResponse {
        error_message: None,
        endpoint_type: BROKERS,
        cluster_id: &broker.identity.cluster_id,
        controller_id: broker.controller_id(),
        brokers,
        cluster_authorized_operations: if wire.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            NOT_ASKED
        },
        ..Default::default()
    };
    Ok(call.reply(&response)?.into())
}

fn refuse_endpoints(version: i16, endpoint_type: i8) -> (ErrorCode, String) {
    if endpoint_type == CONTROLLERS {
        let text = "The request was sent to an endpoint of type BROKER, but we wanted an \
                    endpoint of type CONTROLLER";
        let error = if version == 0 {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::MismatchedEndpointType
        };
        return (error, text.to_owned());
    }
    let text = format!("Unsupported endpoint type {endpoint_type}");
    let error =
        if version == 0 { ErrorCode::InvalidRequest } else { ErrorCode::UnsupportedEndpointType };
    (error, text)
}
