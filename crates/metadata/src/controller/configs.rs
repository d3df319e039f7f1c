//! IncrementalAlterConfigs and AlterConfigs: each resource is changed whole or not at all.

use std::collections::BTreeMap;

use strom_protocol::config_record::ConfigRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::create_topics::config_record;
use super::{ConfigRules, Controller, Decision, RecordBytes, Refusal, encode};
use crate::image::{ConfigResource, ResourceType};

/// One key's change (KIP-339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    Set(&'a str),
    Delete,
    /// Elements to add to a list.
    Append(&'a str),
    /// Elements to take out of a list.
    Subtract(&'a str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration<'a> {
    pub resource: ConfigResource,
    pub operations: Vec<(&'a str, Operation<'a>)>,
}

/// A resource's new configuration, in place of the old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement<'a> {
    pub resource: ConfigResource,
    pub values: Vec<(&'a str, Option<&'a str>)>,
}

pub type AlterReply = Vec<Result<(), Refusal>>;

impl Controller {
    /// Decides on each resource by itself.
    pub fn alter_configs(
        &self,
        alterations: &[Alteration<'_>],
        rules: &dyn ConfigRules,
    ) -> Decision<AlterReply> {
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        for alteration in alterations {
            let outcome = self.alter(alteration, rules);
            decision.reply.push(outcome.map(|records| decision.records.extend(records)));
        }
        decision
    }

    /// The old API: what is not named is deleted.
    pub fn replace_configs(
        &self,
        replacements: &[Replacement<'_>],
        rules: &dyn ConfigRules,
    ) -> Decision<AlterReply> {
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        for replacement in replacements {
            let named = |key: &str| replacement.values.iter().any(|(name, _)| *name == key);
            let current = self.image.configs.of(&replacement.resource);
            let gone = current.into_iter().flatten().filter(|(key, _)| !named(key));
            let set = replacement.values.iter().map(|(key, value)| match value {
                Some(value) => (*key, Operation::Set(value)),
                None => (*key, Operation::Delete),
            });
            let operations =
                gone.map(|(key, _)| (key.as_str(), Operation::Delete)).chain(set).collect();
            let alteration = Alteration { resource: replacement.resource.clone(), operations };
            let outcome = self.alter(&alteration, rules);
            decision.reply.push(outcome.map(|records| decision.records.extend(records)));
        }
        decision
    }

    fn alter(
        &self,
        alteration: &Alteration<'_>,
        rules: &dyn ConfigRules,
    ) -> Result<Vec<RecordBytes>, Refusal> {
        let resource = &alteration.resource;
        self.check_resource(resource)?;
        let mut changes: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for (key, operation) in &alteration.operations {
            let value = self.new_value(resource, (key, *operation), rules)?;
            if changes.insert(key, value).is_some() {
                let text = format!("Error due to duplicate config keys: {key}");
                return Err(Refusal::new(ErrorCode::InvalidRequest, text));
            }
        }
        let current = |key: &str| self.image.configs.value(resource, key);
        Ok(changes
            .into_iter()
            .filter(|(key, value)| current(key) != value.as_deref())
            .map(|(key, value)| match value {
                Some(value) => config_record(resource, key, &value),
                None => deletion(resource, key),
            })
            .collect())
    }

    fn new_value(
        &self,
        resource: &ConfigResource,
        (key, operation): (&str, Operation<'_>),
        rules: &dyn ConfigRules,
    ) -> Result<Option<String>, Refusal> {
        let value = match operation {
            Operation::Delete => return Ok(None),
            Operation::Set(value) => value.to_owned(),
            Operation::Append(_) | Operation::Subtract(_) if !rules.is_list(resource, key) => {
                let text = format!("Can't APPEND to key {key} because its type is not LIST.");
                let text = match operation {
                    Operation::Subtract(_) => text.replace("APPEND to", "SUBTRACT to"),
                    _ => text,
                };
                return Err(Refusal::new(ErrorCode::InvalidConfig, text));
            }
            Operation::Append(elements) => {
                let mut list = self.list(resource, key, rules);
                for element in elements_of(elements) {
                    if !list.contains(&element) {
                        list.push(element);
                    }
                }
                list.join(",")
            }
            Operation::Subtract(elements) => {
                let mut list = self.list(resource, key, rules);
                let gone = elements_of(elements);
                list.retain(|element| !gone.contains(element));
                list.join(",")
            }
        };
        rules
            .check(resource, key, &value)
            .map_err(|message| Refusal::new(ErrorCode::InvalidConfig, message))?;
        Ok(Some(value))
    }

    fn list(&self, resource: &ConfigResource, key: &str, rules: &dyn ConfigRules) -> Vec<String> {
        let own = self.image.configs.value(resource, key).map(str::to_owned);
        own.or_else(|| rules.default_value(resource, key))
            .map_or_else(Vec::new, |it| elements_of(&it))
    }

    fn check_resource(&self, resource: &ConfigResource) -> Result<(), Refusal> {
        let name = &resource.name;
        match resource.kind {
            ResourceType::Topic if self.image.topics.by_name(name).is_none() => Err(Refusal::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{name}' does not exist."),
            )),
            ResourceType::Broker if !name.is_empty() && name.parse::<u32>().is_err() => {
                let text =
                    format!("Unable to parse broker name '{name}' as a non-negative integer.");
                Err(Refusal::new(ErrorCode::InvalidRequest, text))
            }
            ResourceType::Group if name.is_empty() => {
                let text = "Default group resources are not allowed.";
                Err(Refusal::new(ErrorCode::InvalidRequest, text))
            }
            ResourceType::Topic
            | ResourceType::Broker
            | ResourceType::Group
            | ResourceType::ClientMetrics => Ok(()),
            ResourceType::BrokerLogger | ResourceType::Other(_) => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("Unexpected resource type {:?}.", resource.kind),
            )),
        }
    }
}

fn elements_of(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn deletion(resource: &ConfigResource, key: &str) -> RecordBytes {
    encode(
        &MetadataRecord::Config(ConfigRecord {
            resource_type: resource.kind.code(),
            resource_name: &resource.name,
            name: key,
            value: None,
            ..Default::default()
        }),
        0,
    )
}
