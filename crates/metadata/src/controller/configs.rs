//! IncrementalAlterConfigs and AlterConfigs: each resource is changed whole or not at all.

use std::collections::BTreeMap;

use strom_protocol::clear_elr_record::ClearElrRecord;
use strom_protocol::config_record::ConfigRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::{ConfigRules, Controller, Decision, RecordBytes, Refusal, bounded, encode};
use crate::image::{ConfigResource, ResourceType};

pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// The longest string that a record can hold.
const VALUE_BYTES_MAX: usize = i16::MAX as usize;

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
        bounded(decision)
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
            // Not naming the value that the cluster must have is no wish to remove it.
            let stays = |key: &str| self.needs_min_insync(&replacement.resource, key);
            let gone = current.into_iter().flatten().filter(|(key, _)| !named(key) && !stays(key));
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
        bounded(decision)
    }

    fn alter(
        &self,
        alteration: &Alteration<'_>,
        rules: &dyn ConfigRules,
    ) -> Result<Vec<RecordBytes>, Refusal> {
        let resource = &alteration.resource;
        self.check_resource(resource)?;
        if resource.kind == ResourceType::BrokerLogger {
            return check_loggers(alteration);
        }
        let mut changes: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for (key, operation) in &alteration.operations {
            let value = self.new_value(resource, (key, *operation), rules)?;
            if changes.insert(key, value).is_some() {
                let text = format!("Error due to duplicate config keys: {key}");
                return Err(Refusal::new(ErrorCode::InvalidRequest, text));
            }
        }
        rules.check(resource, &self.changed(resource, &changes))?;
        let current = |key: &str| self.image.configs.value(resource, key);
        changes.retain(|key, value| current(key) != value.as_deref());
        let resizes_isr = changes.contains_key(MIN_INSYNC_REPLICAS);
        if resizes_isr {
            self.check_min_insync(resource, &changes)?;
        }
        let mut records: Vec<_> = changes
            .iter()
            .map(|(key, value)| config_record(resource, key, value.as_deref()))
            .collect();
        if resizes_isr && self.has_eligible_leaders() {
            // Who was eligible by the old size may not be by the new one (KIP-966).
            let record = ClearElrRecord { topic_name: &resource.name, ..Default::default() };
            records.push(encode(&MetadataRecord::ClearElr(record), 0));
        }
        Ok(records)
    }

    /// All values of a resource once these changes are made.
    fn changed(
        &self,
        resource: &ConfigResource,
        changes: &BTreeMap<&str, Option<String>>,
    ) -> BTreeMap<String, String> {
        let mut values = self.image.configs.of(resource).cloned().unwrap_or_default();
        for (key, value) in changes {
            match value {
                Some(value) => values.insert((*key).to_owned(), value.clone()),
                None => values.remove(*key),
            };
        }
        values
    }

    /// Whether the cluster has to have this value of this resource.
    fn needs_min_insync(&self, resource: &ConfigResource, key: &str) -> bool {
        key == MIN_INSYNC_REPLICAS
            && *resource == ConfigResource::cluster()
            && self.has_eligible_leaders()
    }

    fn check_min_insync(
        &self,
        resource: &ConfigResource,
        changes: &BTreeMap<&str, Option<String>>,
    ) -> Result<(), Refusal> {
        let is_removed = changes.get(MIN_INSYNC_REPLICAS).is_some_and(Option::is_none);
        let text = match resource.kind {
            _ if !self.has_eligible_leaders() => return Ok(()),
            ResourceType::Broker if !resource.name.is_empty() => {
                "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
            }
            ResourceType::Broker if is_removed => {
                "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
            }
            _ => return Ok(()),
        };
        Err(Refusal::new(ErrorCode::InvalidConfig, text))
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
                let verb = match operation {
                    Operation::Subtract(_) => "SUBTRACT",
                    _ => "APPEND",
                };
                let text = format!("Can't {verb} to key {key} because its type is not LIST.");
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
        // A list grows by what is appended; a record's string does not.
        if value.len() > VALUE_BYTES_MAX {
            let text = format!("The value of {key} would be longer than {VALUE_BYTES_MAX} bytes.");
            return Err(Refusal::new(ErrorCode::InvalidConfig, text));
        }
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
            ResourceType::ClientMetrics if name.is_empty() => {
                let text = "Subscription name can't be empty";
                Err(Refusal::new(ErrorCode::InvalidRequest, text))
            }
            ResourceType::Topic
            | ResourceType::Broker
            | ResourceType::Group
            | ResourceType::BrokerLogger
            | ResourceType::ClientMetrics => Ok(()),
            ResourceType::Other(_) => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("Unexpected resource type {:?}.", resource.kind),
            )),
        }
    }
}

/// Loggers are Java's; none has a name here.
fn check_loggers(alteration: &Alteration<'_>) -> Result<Vec<RecordBytes>, Refusal> {
    match alteration.operations.first() {
        None => Ok(Vec::new()),
        Some((name, _)) => {
            let text = format!("Logger {name} does not exist!");
            Err(Refusal::new(ErrorCode::InvalidConfig, text))
        }
    }
}

fn elements_of(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Sets a key of a resource, or removes it.
pub(crate) fn config_record(
    resource: &ConfigResource,
    key: &str,
    value: Option<&str>,
) -> RecordBytes {
    encode(
        &MetadataRecord::Config(ConfigRecord {
            resource_type: resource.kind.code(),
            resource_name: &resource.name,
            name: key,
            value,
            ..Default::default()
        }),
        0,
    )
}
