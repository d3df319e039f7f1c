//! What a node goes by: its file and what was set while it runs, typed.
//!
//! Keys, values and their layers are [`strom_base::config`]'s; here they become what the machines
//! of this crate take.

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_base::config::{
    BrokerConfigLayers, ConfigMap, NodeSettings, TopicSettings, check, dynamic,
};
use strom_coordinator::GroupConfig;
use strom_storage::LogConfig;
use strom_storage::config::CleanupPolicy;

pub(crate) mod authorizer;
mod listeners;
mod log_config;
mod quorum;

pub(crate) use listeners::reachable_host;
pub use quorum::QuorumSettings;

/// Looks at what settings name outside of this crate, such as the files of key stores, before they are
/// taken over while the node runs.
pub trait ListenerCheck: std::fmt::Debug + Send + Sync {
    /// # Errors
    /// One sentence that names what is wrong.
    fn check(&self, settings: &BrokerSettings) -> Result<(), String>;
}

/// The settings of a node in force.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    pub node: NodeSettings,
    pub groups: GroupConfig,
    pub quorum: QuorumSettings,
    /// An authorizer is configured, and would let everybody in.
    pub has_authorizer: bool,
    /// Asked about changed keys of listeners; where there is none, they are taken as they are.
    listener_check: Option<Arc<dyn ListenerCheck>>,
    file: ConfigMap,
    /// What was set for this broker, and for all, while they run.
    dynamic_broker: ConfigMap,
    dynamic_default: ConfigMap,
    /// Of all topics that have no values of their own.
    default_logs: Arc<LogConfig>,
}

impl BrokerSettings {
    /// # Errors
    /// One sentence that names the key and what is wrong with it.
    pub fn read(file: BTreeMap<String, String>) -> Result<Self, String> {
        Self::of_layers(file, ConfigMap::new(), ConfigMap::new())
    }

    /// The same file under what was set for this broker and for all.
    ///
    /// # Errors
    /// One sentence that names the key and what is wrong with it.
    pub(crate) fn with_dynamic(&self, own: &ConfigMap, all: &ConfigMap) -> Result<Self, String> {
        let (own, all) = (dynamic::allowed(own, false), dynamic::allowed(all, true));
        let settings = Self::of_layers(self.file.clone(), own, all)?;
        Ok(Self { listener_check: self.listener_check.clone(), ..settings })
    }

    /// Whether these are the settings with that, as they are at most starts.
    pub(crate) fn are_with(&self, own: &ConfigMap, all: &ConfigMap) -> bool {
        self.dynamic_broker == dynamic::allowed(own, false)
            && self.dynamic_default == dynamic::allowed(all, true)
    }

    /// The same settings, whose changes are looked at.
    #[must_use]
    pub fn checked_by(self, check: Arc<dyn ListenerCheck>) -> Self {
        Self { listener_check: Some(check), ..self }
    }

    /// Whether the keys of listeners fit what they name, with these values set for this broker.
    ///
    /// # Errors
    /// One sentence that names what is wrong.
    pub(crate) fn check_listeners(&self, own: &ConfigMap) -> Result<(), String> {
        match &self.listener_check {
            None => Ok(()),
            Some(check) => check.check(&self.with_dynamic(own, &self.dynamic_default)?),
        }
    }

    fn of_layers(file: ConfigMap, own: ConfigMap, all: ConfigMap) -> Result<Self, String> {
        let layers = BrokerConfigLayers {
            file: &file,
            dynamic_broker: Some(&own),
            dynamic_default: Some(&all),
        };
        let node = NodeSettings::new(layers).map_err(|error| error.to_string())?;
        // The controller refuses values of topics; the same values as defaults are refused here.
        check::topic(&ConfigMap::new(), &layers).map_err(|error| error.to_string())?;
        let default_logs = log_config(&ConfigMap::new(), &layers, &node);
        listeners::check(&node)?;
        quorum::check(&node)?;
        Ok(Self {
            listener_check: None,
            groups: groups(&node),
            quorum: QuorumSettings::of(&node),
            has_authorizer: authorizer::read(&layers)?,
            node,
            default_logs,
            file,
            dynamic_broker: own,
            dynamic_default: all,
        })
    }

    /// Where each value comes from.
    #[must_use]
    pub fn layers(&self) -> BrokerConfigLayers<'_> {
        BrokerConfigLayers {
            file: &self.file,
            dynamic_broker: Some(&self.dynamic_broker),
            dynamic_default: Some(&self.dynamic_default),
        }
    }

    /// The configuration of the logs of a topic with these values of its own.
    #[must_use]
    pub fn log_config(&self, own: &ConfigMap) -> Arc<LogConfig> {
        if own.is_empty() {
            self.default_log_config()
        } else {
            log_config(own, &self.layers(), &self.node)
        }
    }

    /// The configuration of logs before their topics' own are known.
    #[must_use]
    pub fn default_log_config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.default_logs)
    }

    /// The configuration of the metadata log: never deleted by age, only behind a snapshot.
    #[must_use]
    pub fn metadata_log_config(&self) -> Arc<LogConfig> {
        Arc::new(LogConfig {
            segment_bytes: self.node.metadata_log.segment_bytes,
            segment_ms: self.node.metadata_log.segment_ms,
            cleanup: CleanupPolicy { delete: false, compact: false },
            max_message_bytes: self.node.metadata_log.max_batch_bytes,
            ..LogConfig::default()
        })
    }
}

fn log_config(
    own: &ConfigMap,
    layers: &BrokerConfigLayers<'_>,
    node: &NodeSettings,
) -> Arc<LogConfig> {
    let topic = TopicSettings::new(own, layers);
    Arc::new(log_config::of(&topic, node.producer_ids.expiration_ms))
}

fn groups(node: &NodeSettings) -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: node.groups.min_session_timeout_ms,
        max_session_timeout_ms: node.groups.max_session_timeout_ms,
        initial_rebalance_delay_ms: node.groups.initial_rebalance_delay_ms,
        group_max_size: node.groups.max_size,
        offset_metadata_max_bytes: node.offsets.metadata_max_bytes,
        offsets_retention_ms: node.offsets.retention_ms,
        offsets_retention_check_interval_ms: node.offsets.retention_check_interval_ms,
        offsets_commit_timeout_ms: node.offsets.commit_timeout_ms,
    }
}
