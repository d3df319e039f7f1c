//! The table of configuration keys as the controller asks for it.

use strom_base::config::{
    ConfigError, ConfigKind, ConfigMap, ConfigValue, ValueType, check, describe, dynamic, names,
    table,
};
use strom_metadata::Refusal;
use strom_metadata::controller::ConfigRules;
use strom_metadata::image::{ConfigResource, ResourceType};
use strom_protocol::ErrorCode;

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
    fn check(&self, resource: &ConfigResource, values: &ConfigMap) -> Result<(), Refusal> {
        let layers = self.0.layers();
        let invalid = |ConfigError(text)| Refusal::new(ErrorCode::InvalidConfig, text);
        match resource.kind {
            ResourceType::Topic => check::topic(values, &layers).map_err(invalid),
            ResourceType::Broker => {
                let is_for_all = resource.name.is_empty();
                let invalid = |text: String| Refusal::new(ErrorCode::InvalidRequest, text);
                dynamic::check(values, is_for_all, &layers)
                    .map_err(|ConfigError(text)| invalid(text))?;
                if !is_for_all && values.keys().any(|key| names::listener_base(key).is_some()) {
                    self.0.check_listeners(values).map_err(|why| invalid(reconfiguration(&why)))?;
                }
                Ok(())
            }
            ResourceType::Group => values
                .iter()
                .try_for_each(|(key, value)| check::group(key, value, &layers))
                .map_err(invalid),
            ResourceType::ClientMetrics => {
                values.iter().try_for_each(|(key, value)| check_client_metrics(key, value))
            }
            ResourceType::BrokerLogger | ResourceType::Other(_) => Ok(()),
        }
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

/// Kafka's words for a key store that does not load.
fn reconfiguration(why: &str) -> String {
    format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config \
         update of SSLFactory failed: {why} for configuration Invalid dynamic configuration"
    )
}

/// Kafka's validator has a code of its own for what the type of the value does not tell.
fn check_client_metrics(name: &str, value: &str) -> Result<(), Refusal> {
    check::client_metrics(name, value).map_err(|ConfigError(text)| {
        let key = table::find(ConfigKind::ClientMetrics, name);
        let is_malformed = key.is_some_and(|key| ConfigValue::parse(key, value).is_err());
        let error = match is_malformed || name == "match" {
            true => ErrorCode::InvalidConfig,
            false => ErrorCode::InvalidRequest,
        };
        Refusal::new(error, text)
    })
}
