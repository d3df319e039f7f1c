//! DescribeCluster: the brokers, or at a controller's listener the controllers, where they are reached,
//! and the cluster's id (KIP-700, KIP-919).

use strom_protocol::describe_cluster_request::DescribeClusterRequest;
use strom_protocol::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::authorized_operations::{CLUSTER_OPERATIONS, NOT_ASKED};
use crate::call::{Call, RequestError};
use crate::cluster::EndpointType;
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DescribeClusterRequest::decode(reader, call.version())?;
    let here = broker.endpoint_type(call.address.to.connection);
    if wire.endpoint_type != here as i8 {
        let (error, text) = refuse_endpoints(call.version(), here, wire.endpoint_type);
        let response = DescribeClusterResponse {
            error_code: error.code(),
            error_message: Some(&text),
            ..Default::default()
        };
        return Ok(call.reply(&response)?.into());
    }
    let listener = broker.listener_of(call.address.to.connection);
    let brokers = match here {
        EndpointType::Broker => brokers(broker, &listener, wire.include_fenced_brokers),
        EndpointType::Controller => controllers(broker, &listener),
    };
    let response = DescribeClusterResponse {
        error_message: None,
        endpoint_type: here as i8,
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

fn brokers<'a>(
    broker: &'a Broker,
    listener: &str,
    with_fenced: bool,
) -> Vec<DescribeClusterBroker<'a>> {
    let registered = broker.metadata.image().cluster.brokers();
    let told = registered.filter(|it| !it.is_fenced || with_fenced).filter_map(|it| {
        let endpoint = it.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
        Some(DescribeClusterBroker {
            broker_id: it.id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: it.rack.as_deref(),
            is_fenced: it.is_fenced,
            ..Default::default()
        })
    });
    told.collect()
}

fn controllers<'a>(broker: &'a Broker, listener: &str) -> Vec<DescribeClusterBroker<'a>> {
    let registered = broker.metadata.image().cluster.controllers();
    let told = registered.filter_map(|it| {
        let endpoint = it.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
        Some(DescribeClusterBroker {
            broker_id: it.id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: None,
            ..Default::default()
        })
    });
    told.collect()
}

fn refuse_endpoints(version: i16, here: EndpointType, wanted: i8) -> (ErrorCode, String) {
    let (error, text) = match EndpointType::from_code(wanted) {
        Some(wanted) => (
            ErrorCode::MismatchedEndpointType,
            format!(
                "The request was sent to an endpoint of type {}, but we wanted an endpoint of \
                 type {}",
                here.name(),
                wanted.name()
            ),
        ),
        None => (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {wanted}")),
    };
    (if version == 0 { ErrorCode::InvalidRequest } else { error }, text)
}
