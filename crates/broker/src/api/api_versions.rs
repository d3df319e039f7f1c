//! ApiVersions: what this node serves (KIP-35), its features (KIP-584), who the client is (KIP-511).

use strom_metadata::features::KRAFT_VERSION;
use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use strom_protocol::{ApiKey, ErrorCode, Message, Reader};

use super::{Handled, SERVED, is_offered, produce};
use crate::Broker;
use crate::call::{Call, Outcome, RequestError, ReturnAddress};
use crate::cluster::EndpointType;
use crate::effect::Turn;

/// librdkafka drops its compression when it does not see version 0 here (KAFKA-18659).
const ADVERTISED_PRODUCE_MIN: i16 = 0;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = ApiVersionsRequest::decode(reader, call.version())?;
    let (name, version) = (request.client_software_name, request.client_software_version);
    if call.version() >= 3 && !(is_software_word(name) && is_software_word(version)) {
        let response = ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..Default::default()
        };
        return Ok(call.reply(&response)?.into());
    }
    if let Some(connection) = broker.connections.get_mut(call.address.to.connection) {
        connection.client_software = (name.to_owned(), version.to_owned());
    }
    let endpoint = broker.endpoint_type(call.address.to.connection);
    Ok(call.reply(&all(broker, endpoint, call.version()))?.into())
}

/// A version we do not know is answered in version 0, with the range that we do know.
pub(crate) fn refuse_version(
    _broker: &mut Broker,
    mut address: ReturnAddress,
) -> Result<Outcome, RequestError> {
    address.version = 0;
    let mut response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        ..Default::default()
    };
    let keys = keys(EndpointType::Broker);
    response.api_keys = keys.filter(|key| key.api_key == ApiKey::ApiVersions.code()).collect();
    address.encode(&response).map(Outcome::Reply)
}

/// Letters, digits, dots and dashes, beginning and ending with a letter or digit (KIP-511).
fn is_software_word(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.chars().all(is_inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn keys<'a>(endpoint: EndpointType) -> impl Iterator<Item = ApiVersion<'a>> {
    let produce = (ApiKey::Produce, ADVERTISED_PRODUCE_MIN, *produce::VERSIONS.end());
    let mut keys: Vec<_> = SERVED
        .iter()
        .map(|served| (served.api, *served.versions.start(), *served.versions.end()))
        .chain([produce])
        .filter(|(api, ..)| is_offered(endpoint, *api))
        .collect();
    keys.sort_by_key(|(api, ..)| api.code());
    keys.into_iter().map(|(api, min_version, max_version)| ApiVersion {
        api_key: api.code(),
        min_version,
        max_version,
        ..Default::default()
    })
}

fn all(broker: &Broker, endpoint: EndpointType, version: i16) -> ApiVersionsResponse<'_> {
    let features = &broker.metadata.image().features;
    // Its level stands in control records, not among the features' (KIP-853).
    let kraft_version = broker.metadata.raft().kraft_version();
    let quorum = (kraft_version > 0).then_some((KRAFT_VERSION, kraft_version));
    // Before version 4 clients choke on a minimum of 0 (KAFKA-17492).
    let shown = |min: i16| version >= 4 || min > 0;
    ApiVersionsResponse {
        api_keys: keys(endpoint).collect(),
        supported_features: strom_metadata::features::SUPPORTED
            .iter()
            .filter(|feature| shown(feature.min_level))
            .map(|feature| SupportedFeatureKey {
                name: feature.name,
                min_version: feature.min_level,
                max_version: feature.max_level,
                ..Default::default()
            })
            .collect(),
        // Kafka's epoch is the last offset that the image has taken in.
        finalized_features_epoch: broker.metadata.committed_offset() - 1,
        finalized_features: features
            .levels()
            .chain(quorum)
            .map(|(name, level)| FinalizedFeatureKey {
                name,
                max_version_level: level,
                min_version_level: level,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
