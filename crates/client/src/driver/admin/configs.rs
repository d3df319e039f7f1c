//! Dynamic configuration: describe and alter.

use crate::Cluster;
use crate::error::{Refusal, Result};
use strom_protocol::ApiKey;
use strom_protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use strom_protocol::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse,
};
use strom_protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use strom_protocol::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use strom_protocol::list_config_resources_request::ListConfigResourcesRequest;
use strom_protocol::list_config_resources_response::ListConfigResourcesResponse;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl ResourceKind {
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            ResourceKind::Topic => 2,
            ResourceKind::Broker => 4,
            ResourceKind::BrokerLogger => 8,
            ResourceKind::ClientMetrics => 16,
            ResourceKind::Group => 32,
        }
    }
}

/// Where a value comes from (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    DynamicTopic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    DynamicBrokerLogger,
    DynamicClientMetrics,
    DynamicGroup,
    Unknown,
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => ConfigSource::DynamicTopic,
            2 => ConfigSource::DynamicBroker,
            3 => ConfigSource::DynamicDefaultBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            6 => ConfigSource::DynamicBrokerLogger,
            7 => ConfigSource::DynamicClientMetrics,
            8 => ConfigSource::DynamicGroup,
            _ => ConfigSource::Unknown,
        }
    }

    /// As Kafka's tools print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ConfigSource::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
            ConfigSource::Default => "DEFAULT_CONFIG",
            ConfigSource::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            ConfigSource::DynamicClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            ConfigSource::DynamicGroup => "DYNAMIC_GROUP_CONFIG",
            ConfigSource::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub synonyms: Vec<Synonym>,
}

/// One change of a resource's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Set { name: String, value: String },
    Delete { name: String },
}

impl Cluster {
    /// The configuration of a resource in the node's order. Broker `""` is the cluster's default.
    ///
    /// # Errors
    /// `Refused` with the node's words.
    pub async fn describe_configs(
        &mut self,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Vec<ConfigEntry>> {
        let resource = DescribeConfigsResource {
            resource_type: kind.code(),
            resource_name: name,
            configuration_keys: None,
            ..Default::default()
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: true,
            ..Default::default()
        };
        let answer = match self.node_that_answers_for(kind, name) {
            Some(node) => self.call_node(node, &request).await?,
            None => self.call_any(&request).await?,
        };
        let response: DescribeConfigsResponse<'_> = answer.decode()?;
        let mut entries = Vec::new();
        for result in &response.results {
            Refusal::check(result.error_code, result.error_message)?;
            entries.extend(result.configs.iter().map(entry_of));
        }
        Ok(entries)
    }

    /// Changes a resource's configuration (KIP-339).
    ///
    /// # Errors
    /// `Refused` with the node's words.
    pub async fn alter_configs(
        &mut self,
        kind: ResourceKind,
        name: &str,
        changes: &[Change],
    ) -> Result<()> {
        let configs = changes
            .iter()
            .map(|change| match change {
                Change::Set { name, value } => AlterableConfig {
                    name,
                    config_operation: 0,
                    value: Some(value),
                    ..Default::default()
                },
                Change::Delete { name } => {
                    AlterableConfig { name, config_operation: 1, value: None, ..Default::default() }
                }
            })
            .collect();
        let resource = AlterConfigsResource {
            resource_type: kind.code(),
            resource_name: name,
            configs,
            ..Default::default()
        };
        let resources = vec![resource];
        let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
        let answer = match self.node_that_answers_for(kind, name) {
            Some(node) => self.call_node(node, &request).await?,
            None => self.call_any(&request).await?,
        };
        let response: IncrementalAlterConfigsResponse<'_> = answer.decode()?;
        for result in &response.responses {
            Refusal::check(result.error_code, result.error_message)?;
        }
        Ok(())
    }

    /// The names of the resources of a kind that have a configuration (KIP-1142).
    ///
    /// # Errors
    /// `Refused`; a node without this API has none to name.
    pub async fn config_resources(&mut self, kind: ResourceKind) -> Result<Vec<String>> {
        if !self.offers(ApiKey::ListConfigResources).await? {
            return Ok(Vec::new());
        }
        let resource_types = vec![kind.code()];
        let request = ListConfigResourcesRequest { resource_types, ..Default::default() };
        let answer = self.call_any(&request).await?;
        let response: ListConfigResourcesResponse<'_> = answer.decode()?;
        Refusal::check(response.error_code, None)?;
        let resources = response.config_resources.iter();
        let wanted = resources.filter(|resource| resource.resource_type == kind.code());
        Ok(wanted.map(|resource| resource.resource_name.to_owned()).collect())
    }

    /// Only the broker itself knows its static configuration and its loggers.
    fn node_that_answers_for(&self, kind: ResourceKind, name: &str) -> Option<i32> {
        let of_node = matches!(kind, ResourceKind::Broker | ResourceKind::BrokerLogger);
        let own = of_node && !self.is_at_controller();
        let node = name.parse().ok().filter(|_| own)?;
        self.metadata().nodes.contains_key(&node).then_some(node)
    }
}

fn entry_of(config: &DescribeConfigsResourceResult<'_>) -> ConfigEntry {
    let synonyms = config.synonyms.iter().map(|synonym| Synonym {
        name: synonym.name.to_owned(),
        value: synonym.value.map(str::to_owned),
        source: ConfigSource::from_code(synonym.source),
    });
    ConfigEntry {
        name: config.name.to_owned(),
        value: config.value.map(str::to_owned),
        source: ConfigSource::from_code(config.config_source),
        is_sensitive: config.is_sensitive,
        synonyms: synonyms.collect(),
    }
}
