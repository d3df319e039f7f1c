//! The table of configuration keys as the controller asks for it.

use strom_base::config::{ConfigError, ConfigKind, ConfigMap, ValueType, check, describe, table};
use strom_metadata::controller::ConfigRules;
use strom_metadata::image::{ConfigResource, ResourceType};

use crate::settings::BrokerSettings;

/// Rules of the node on which the controller is.
pub(crate) struct Rules<'a>(pub(crate) &'a BrokerSettings);

fn kind_of(resource: &ConfigResource) -> Option<ConfigKind> {
    match resource.kind {
        ResourceType::Topic => Some(ConfigKind::Topic),
        ResourceType::Broker => Some(ConfigKind::Broker),
        ResourceType::Group => Some(ConfigKind::Group),
        ResourceType::ClientMetrics => Some(ConfigKind::ClientMetrics),
        ResourceType::BrokerLogger | ResourceType::Other(_) => None,
    }
}

impl ConfigRules for Rules<'_> {
    fn check(&self, resource: &ConfigResource, key: &str, value: &str) -> Result<(), String> {
        let result = match resource.kind {
            ResourceType::Topic => check::topic_value(key, value),
            ResourceType::Broker => check::dynamic_broker(key, value, resource.name.is_empty()),
            ResourceType::Group => check::group(key, value, &self.0.layers()),
            ResourceType::ClientMetrics => check::client_metrics(key, value),
            ResourceType::BrokerLogger | ResourceType::Other(_) => Ok(()),
        };
        result.map_err(|ConfigError(text)| text)
    }

    fn check_together(&self, resource: &ConfigResource, values: &ConfigMap) -> Result<(), String> {
        if resource.kind != ResourceType::Topic {
            return Ok(());
        }
        check::topic(values, &self.0.layers()).map_err(|ConfigError(text)| text)
    }

    fn is_list(&self, resource: &ConfigResource, key: &str) -> bool {
        let known = kind_of(resource).and_then(|kind| table::find(kind, key));
        known.is_some_and(|known| known.value_type == ValueType::List)
    }

    fn default_value(&self, resource: &ConfigResource, key: &str) -> Option<String> {
        let kind = kind_of(resource)?;
        match kind {
            ConfigKind::Broker => self.0.layers().text(key).map(str::to_owned),
            _ => describe::inherited(table::find(kind, key)?, &self.0.layers()),
        }
    }
}
