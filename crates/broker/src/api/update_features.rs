//! UpdateFeatures: the levels of the cluster's features (KIP-584). They stay as they were formatted:
//! whatever would change one is refused.

use strom_protocol::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use strom_protocol::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

/// Up to this version every feature had a result of its own.
const LAST_VERSION_WITH_RESULTS: i16 = 1;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = UpdateFeaturesRequest::decode(reader, call.version())?;
    let outcomes: Vec<_> = wire
        .feature_updates
        .iter()
        .map(|update| (update.feature, refusal(broker, update)))
        .collect();
    let mut response = UpdateFeaturesResponse { error_message: None, ..Default::default() };
    if call.version() <= LAST_VERSION_WITH_RESULTS {
        response.results = outcomes
            .iter()
            .map(|(feature, refusal)| UpdatableFeatureResult {
                feature,
                error_code: code(refusal.is_some()),
                error_message: refusal.as_deref(),
                ..Default::default()
            })
            .collect();
        return Ok(call.reply(&response)?.into());
    }
    let first = outcomes.iter().find_map(|(_, refusal)| refusal.as_ref());
    let text = first.map(|text| {
        format!(
            "The update failed for all features since the following feature had an error: {text}"
        )
    });
    response.error_code = code(text.is_some());
    response.error_message = text.as_deref();
    Ok(call.reply(&response)?.into())
}

fn code(is_refused: bool) -> i16 {
    if is_refused { ErrorCode::InvalidUpdateVersion } else { ErrorCode::None }.code()
}

fn refusal(broker: &Broker, update: &FeatureUpdateKey<'_>) -> Option<String> {
    let FeatureUpdateKey { feature, max_version_level, .. } = update;
    let known = strom_metadata::features::SUPPORTED.iter().any(|it| it.name == *feature);
    let reason = if !known {
        format!("Local controller {} does not support this feature.", broker.identity.node_id)
    } else if broker.metadata.image().features.level(feature) == *max_version_level {
        return None;
    } else {
        format!(
            "Local controller {} keeps the levels it was formatted with.",
            broker.identity.node_id
        )
    };
    Some(format!("Invalid update version {max_version_level} for feature {feature}. {reason}"))
}
