//! UpdateFeatures: the levels of the cluster's features go up, or carefully down (KIP-584, KIP-1022).

use std::collections::BTreeMap;

use strom_protocol::feature_level_record::FeatureLevelRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::configs::{MIN_INSYNC_REPLICAS, config_record};
use super::{ConfigRules, Controller, Decision, RecordBytes, Refusal, encode};
use crate::features::{
    self, ELIGIBLE_LEADER_REPLICAS, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSIONS,
};
use crate::image::{ConfigResource, ResourceType};

/// What a request allows to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Only up.
    Upgrade,
    /// Down, unless records would be lost.
    SafeDowngrade,
    UnsafeDowngrade,
}

impl UpgradeType {
    /// From the code of a request; `None` for one that Kafka does not know either.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Upgrade),
            2 => Some(Self::SafeDowngrade),
            3 => Some(Self::UnsafeDowngrade),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureUpdate<'a> {
    pub feature: &'a str,
    /// 0 switches the feature off.
    pub level: i16,
    /// `None`: a code that nobody knows.
    pub upgrade_type: Option<UpgradeType>,
}

impl Controller {
    /// All updates or none.
    ///
    /// # Errors
    /// For the first update that cannot be.
    pub fn update_features(
        &self,
        updates: &[FeatureUpdate<'_>],
        kraft_version: i16,
        rules: &dyn ConfigRules,
    ) -> Result<Decision<()>, Refusal> {
        let mut proposed: BTreeMap<&str, i16> = self.image.features.levels().collect();
        proposed.insert(KRAFT_VERSION, kraft_version);
        let current = proposed.clone();
        proposed.extend(updates.iter().map(|update| (update.feature, update.level)));
        let mut records = Vec::new();
        for update in updates {
            let before = current.get(update.feature).copied().unwrap_or(0);
            self.check_update(update, before, &proposed)?;
            if update.feature == KRAFT_VERSION {
                continue;
            }
            let is_elr_on = update.feature == ELIGIBLE_LEADER_REPLICAS && update.level > 0;
            if is_elr_on && before == 0 {
                self.prepare_eligible_leaders(rules, &mut records);
            }
            let record = FeatureLevelRecord {
                name: update.feature,
                feature_level: update.level,
                ..Default::default()
            };
            records.push(encode(&MetadataRecord::FeatureLevel(record), 0));
        }
        Ok(Decision { records, reply: () })
    }

    fn check_update(
        &self,
        update: &FeatureUpdate<'_>,
        before: i16,
        proposed: &BTreeMap<&str, i16>,
    ) -> Result<(), Refusal> {
        let FeatureUpdate { feature, level, upgrade_type } = *update;
        let refuse = |why: &str| {
            let text = format!("Invalid update version {level} for feature {feature}. {why}");
            Err(Refusal::new(ErrorCode::InvalidUpdateVersion, text))
        };
        let Some(upgrade_type) = upgrade_type else {
            return refuse("The controller does not support the given upgrade type.");
        };
        if level < 0 {
            return refuse("A feature version cannot be less than 0.");
        }
        if let Some(why) = self.why_unsupported(feature, level) {
            return refuse(&why);
        }
        if level < before && feature == KRAFT_VERSION {
            return refuse("Can't downgrade the version of this feature.");
        }
        if level < before && upgrade_type == UpgradeType::Upgrade {
            return refuse(
                "Can't downgrade the version of this feature without setting the upgrade type to \
                 either safe or unsafe downgrade.",
            );
        }
        if level > before && upgrade_type != UpgradeType::Upgrade {
            return refuse("Can't downgrade to a newer version.");
        }
        if feature == METADATA_VERSION {
            return check_metadata_version(before, level, upgrade_type);
        }
        if feature == KRAFT_VERSION && level != before {
            return refuse("The level of the quorum stays as it was formatted.");
        }
        let available = proposed.get(METADATA_VERSION).copied().unwrap_or(0);
        match features::required_metadata_version(feature, level) {
            Some(required) if available < required => refuse(&format!(
                "{feature} could not be set to {level} because it depends on metadata.version \
                 level {required}"
            )),
            _ => Ok(()),
        }
    }

    /// Every controller and broker has to run with the level.
    fn why_unsupported(&self, feature: &str, level: i16) -> Option<String> {
        let node = self.settings.node_id;
        let Some(known) = features::find(feature) else {
            return Some(format!("Local controller {node} does not support this feature."));
        };
        let (min, max) = (known.min_level, known.max_level);
        if !(min..=max).contains(&level) {
            return Some(format!("Local controller {node} only supports versions {min}-{max}"));
        }
        let cluster = &self.image.cluster;
        let brokers = cluster.brokers().map(|it| ("Broker", it.id, &it.features));
        let controllers = cluster.controllers().map(|it| ("Controller", it.id, &it.features));
        brokers.chain(controllers).find_map(|(kind, id, features)| {
            let range = features.iter().find(|(name, ..)| name == feature);
            let Some((_, min, max)) = range else {
                return (level > 0).then(|| format!("{kind} {id} does not support this feature."));
            };
            let is_supported = (*min..=*max).contains(&level) || level == 0;
            (!is_supported).then(|| format!("{kind} {id} only supports versions {min}-{max}"))
        })
    }

    /// With eligible leader replicas the cluster has one size of in-sync sets, and brokers none of
    /// their own (KIP-966).
    fn prepare_eligible_leaders(&self, rules: &dyn ConfigRules, records: &mut Vec<RecordBytes>) {
        let cluster = ConfigResource::cluster();
        let configs = &self.image.configs;
        if configs.value(&cluster, MIN_INSYNC_REPLICAS).is_none() {
            let value = rules.default_value(&cluster, MIN_INSYNC_REPLICAS);
            let value = value.as_deref().unwrap_or("1");
            records.push(config_record(&cluster, MIN_INSYNC_REPLICAS, Some(value)));
        }
        let own = configs.iter().filter(|(resource, values)| {
            resource.kind == ResourceType::Broker
                && !resource.name.is_empty()
                && values.contains_key(MIN_INSYNC_REPLICAS)
        });
        records.extend(own.map(|(resource, _)| config_record(resource, MIN_INSYNC_REPLICAS, None)));
    }
}

fn check_metadata_version(
    before: i16,
    level: i16,
    upgrade_type: UpgradeType,
) -> Result<(), Refusal> {
    let lost = METADATA_VERSIONS.iter().filter(|it| level < it.level && it.level <= before);
    if !lost.into_iter().any(|it| it.changes_metadata) {
        return Ok(());
    }
    let why = match upgrade_type {
        UpgradeType::UnsafeDowngrade => {
            "Unsafe metadata downgrade is not supported in this version."
        }
        _ => {
            "Refusing to perform the requested downgrade because it might delete metadata \
              information."
        }
    };
    let text = format!("Unsupported metadata.version downgrade from {before} to {level}. {why}");
    Err(Refusal::new(ErrorCode::InvalidUpdateVersion, text))
}
