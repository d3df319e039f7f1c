//! The controller's listener: the same node, seen by tools that ask controllers (KIP-919).

use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::api_versions_response::ApiVersionsResponse;
use strom_protocol::describe_cluster_request::DescribeClusterRequest;
use strom_protocol::describe_cluster_response::DescribeClusterResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::node::Node;
use crate::topics::create_topic;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

fn combined() -> Node {
    Node::with(&[
        ("process.roles", "broker,controller"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", "CONTROLLER://127.0.0.1:9093,PLAINTEXT://127.0.0.1:9092"),
    ])
}

/// The APIs that are offered here.
fn offered(node: &mut Node) -> Vec<ApiKey> {
    let request = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        ..Default::default()
    };
    let bytes = node.send(ApiKey::ApiVersions, 4, &request).expect("an answer");
    let response = ApiVersionsResponse::from_bytes(&bytes, 4).expect("decodes");
    response.api_keys.iter().filter_map(|it| ApiKey::from_code(it.api_key)).collect()
}

/// The ports of the nodes, or the error.
fn ports(node: &mut Node, endpoint_type: i8) -> Result<Vec<i32>, ErrorCode> {
    let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
    let bytes = node.send(ApiKey::DescribeCluster, 2, &request).expect("an answer");
    let response = DescribeClusterResponse::from_bytes(&bytes, 2).expect("decodes");
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => {
            assert_eq!(response.endpoint_type, endpoint_type);
            assert!(!response.cluster_id.is_empty());
            assert!(response.brokers.iter().all(|it| it.host == "127.0.0.1"), "{response:?}");
            Ok(response.brokers.iter().map(|it| it.port).collect())
        }
        error => Err(error),
    }
}

#[test]
fn each_listener_offers_its_own_apis() {
    let mut node = combined();
    let at_broker = offered(&mut node);
    assert!(node.would_serve(ApiKey::Produce, 9));
    node.reconnect_by(1);
    let at_controller = offered(&mut node);
    for api in [ApiKey::CreateTopics, ApiKey::DescribeQuorum, ApiKey::UpdateFeatures] {
        assert!(at_broker.contains(&api) && at_controller.contains(&api), "{}", api.name());
    }
    for api in [ApiKey::Produce, ApiKey::Fetch, ApiKey::Metadata, ApiKey::JoinGroup] {
        assert!(at_broker.contains(&api) && !at_controller.contains(&api), "{}", api.name());
    }
    // No memory is spent on what will be refused.
    assert!(!node.would_serve(ApiKey::Produce, 9) && node.would_serve(ApiKey::CreateTopics, 7));
    create_topic(&mut node, 7, "by-the-controller");
    let said = node.refusal_of_bytes(ApiKey::Metadata, 9, &[0; 8]);
    assert!(said.contains("is not served"), "{said}");
}

#[test]
fn each_listener_tells_the_nodes_of_its_kind() {
    let mut node = combined();
    assert_eq!(ports(&mut node, BROKERS), Ok(vec![9092]));
    assert_eq!(ports(&mut node, CONTROLLERS), Err(ErrorCode::MismatchedEndpointType));
    node.reconnect_by(1);
    assert_eq!(ports(&mut node, CONTROLLERS), Ok(vec![9093]));
    assert_eq!(ports(&mut node, BROKERS), Err(ErrorCode::MismatchedEndpointType));
}
