//! The levels of the cluster's features go up and down, also over a restart.

use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::api_versions_response::ApiVersionsResponse;
use strom_protocol::unregister_broker_request::UnregisterBrokerRequest;
use strom_protocol::unregister_broker_response::UnregisterBrokerResponse;
use strom_protocol::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use strom_protocol::update_features_response::UpdateFeaturesResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

fn update(node: &mut Node, feature: &str, level: i16, upgrade_type: i8) -> (i16, String) {
    update_in(node, 2, (feature, level, upgrade_type), false)
}

fn update_in(
    node: &mut Node,
    version: i16,
    (feature, max_version_level, upgrade_type): (&str, i16, i8),
    validate_only: bool,
) -> (i16, String) {
    let update = FeatureUpdateKey {
        feature,
        max_version_level,
        upgrade_type: if version == 0 { UPGRADE } else { upgrade_type },
        allow_downgrade: version == 0 && upgrade_type == SAFE_DOWNGRADE,
        ..Default::default()
    };
    let request = UpdateFeaturesRequest {
        feature_updates: vec![update],
        validate_only,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::UpdateFeatures, version, &request).expect("an answer");
    let response = UpdateFeaturesResponse::from_bytes(&bytes, version).expect("decodes");
    assert_eq!(response.results.len(), usize::from(version < 2));
    (response.error_code, response.error_message.unwrap_or_default().to_owned())
}

fn level(node: &mut Node, feature: &str) -> i16 {
    let request = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        ..Default::default()
    };
    let bytes = node.send(ApiKey::ApiVersions, 4, &request).expect("an answer");
    let response = ApiVersionsResponse::from_bytes(&bytes, 4).expect("decodes");
    let found = response.finalized_features.iter().find(|it| it.name == feature);
    found.map_or(0, |it| it.max_version_level)
}

#[test]
fn levels_change_by_kafkas_rules_and_outlive_the_node() {
    let mut node = Node::start(MemoryDisk::default());
    let refused = ErrorCode::InvalidUpdateVersion.code();
    let (error, text) = update(&mut node, "share.version", 0, UPGRADE);
    assert_eq!(error, refused);
    assert!(text.contains("Can't downgrade the version of this feature"), "{text}");
    assert_eq!(update(&mut node, "metadata.version", 25, SAFE_DOWNGRADE).0, refused);
    assert_eq!(update(&mut node, "nosuch", 1, UPGRADE).0, refused);
    let only_checked = ("share.version", 0, SAFE_DOWNGRADE);
    assert_eq!(update_in(&mut node, 2, only_checked, true).0, 0);
    assert_eq!(level(&mut node, "share.version"), 1);
    for version in 0..=2 {
        assert_eq!(update_in(&mut node, version, only_checked, false).0, 0, "v{version}");
        assert_eq!(level(&mut node, "share.version"), 0);
        assert_eq!(update_in(&mut node, version, ("share.version", 1, UPGRADE), false).0, 0);
        assert_eq!(level(&mut node, "share.version"), 1);
    }
    assert_eq!(update(&mut node, "streams.version", 0, SAFE_DOWNGRADE).0, 0);
    let mut node = Node::start(node.stop());
    assert_eq!(level(&mut node, "streams.version"), 0);
    assert_eq!(level(&mut node, "share.version"), 1);
}

#[test]
fn a_broker_that_is_not_registered_cannot_be_forgotten() {
    let mut node = Node::start(MemoryDisk::default());
    let request = UnregisterBrokerRequest { broker_id: 7, ..Default::default() };
    let bytes = node.send(ApiKey::UnregisterBroker, 0, &request).expect("an answer");
    let response = UnregisterBrokerResponse::from_bytes(&bytes, 0).expect("decodes");
    assert_eq!(response.error_code, ErrorCode::BrokerIdNotRegistered.code());
}
