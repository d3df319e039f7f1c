//! UpdateFeatures: the levels of the cluster's features, all that are named or none (KIP-584).

use std::sync::Arc;

use strom_metadata::Refusal;
use strom_metadata::controller::update_features::{FeatureUpdate, UpgradeType};
use strom_protocol::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use strom_protocol::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use strom_protocol::{Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::config_rules::Rules;
use crate::decisions::told;
use crate::effect::Turn;

/// Up to this version every feature has a result of its own.
const LAST_VERSION_WITH_RESULTS: i16 = 1;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = UpdateFeaturesRequest::decode(reader, call.version())?;
    let updates: Vec<_> =
        wire.feature_updates.iter().map(|update| typed(update, call.version())).collect();
    let kraft_version = broker.metadata.raft().kraft_version();
    let settings = Arc::clone(&broker.settings);
    let controller = &broker.metadata.controller;
    let (records, outcome) =
        match controller.update_features(&updates, kraft_version, &Rules(&settings)) {
            Ok(decision) => (decision.records, Ok(())),
            Err(Refusal { error, message }) => {
                let message = format!(
                    "The update failed for all features since the following feature had an error: \
                     {message}"
                );
                (Vec::new(), Err(Refusal::new(error, message)))
            }
        };
    let (error_code, error_message) = told(&outcome);
    let mut response = UpdateFeaturesResponse { error_code, error_message, ..Default::default() };
    if call.version() <= LAST_VERSION_WITH_RESULTS {
        response.results = updates
            .iter()
            .map(|update| UpdatableFeatureResult {
                feature: update.feature,
                error_code,
                error_message,
                ..Default::default()
            })
            .collect();
    }
    let records = if wire.validate_only { Vec::new() } else { records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

/// Version 0 has a flag in place of the kind of change.
fn typed<'a>(wire: &FeatureUpdateKey<'a>, version: i16) -> FeatureUpdate<'a> {
    let upgrade_type = match (version, wire.allow_downgrade) {
        (0, true) => Some(UpgradeType::SafeDowngrade),
        (0, false) => Some(UpgradeType::Upgrade),
        _ => UpgradeType::from_code(wire.upgrade_type),
    };
    FeatureUpdate { feature: wire.feature, level: wire.max_version_level, upgrade_type }
}
