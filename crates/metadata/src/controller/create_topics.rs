//! CreateTopics: names, counts, assignments, configurations; then a topic record and its partitions'.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::{Random, Uuid};
use strom_protocol::config_record::ConfigRecord;
use strom_protocol::partition_record::PartitionRecord;
use strom_protocol::topic_record::TopicRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::{
    ConfigRules, Controller, Decision, PARTITION_VERSION, RecordBytes, Refusal, TopicDefaults,
    directory_of, encode,
};
use crate::image::{ConfigResource, Image, ResourceType};
use crate::topic_name;

/// Partitions of one topic; more make records that no batch holds.
pub const PARTITIONS_MAX: i32 = 10_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic<'a> {
    pub name: &'a str,
    /// -1: the default.
    pub partitions: i32,
    /// -1: the default.
    pub replication_factor: i16,
    /// Partition index and its replicas; empty: the controller places them.
    pub assignments: Vec<(i32, Vec<i32>)>,
    pub configs: Vec<(&'a str, Option<&'a str>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: Uuid,
    pub partitions: i32,
    pub replication_factor: i16,
    pub configs: Vec<(String, String)>,
}

/// In the order of the request.
pub type CreateReply = Vec<Result<CreatedTopic, Refusal>>;

impl Controller {
    /// Decides on each topic by itself.
    pub fn create_topics(
        &self,
        topics: &[NewTopic<'_>],
        defaults: TopicDefaults,
        rules: &dyn ConfigRules,
        random: &mut Random,
    ) -> Decision<CreateReply> {
        let mut times_named: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in topics {
            *times_named.entry(topic.name).or_default() += 1;
        }
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        let mut taken = BTreeSet::new();
        for topic in topics {
            let outcome = if times_named.get(topic.name).is_some_and(|times| *times > 1) {
                let text = "Duplicate topic name.";
                Err(Refusal::new(ErrorCode::InvalidRequest, text))
            } else {
                self.create_topic(topic, defaults, rules, (&taken, random))
            };
            decision.reply.push(outcome.map(|(created, records)| {
                taken.insert(topic.name.to_owned());
                decision.records.extend(records);
                created
            }));
        }
        decision
    }

    fn create_topic(
        &self,
        topic: &NewTopic<'_>,
        defaults: TopicDefaults,
        rules: &dyn ConfigRules,
        (taken, random): (&BTreeSet<String>, &mut Random),
    ) -> Result<(CreatedTopic, Vec<RecordBytes>), Refusal> {
        self.check_name(topic.name, taken)?;
        let resource = ConfigResource::topic(topic.name);
        let configs = check_configs(topic, &resource, rules)?;
        let placement = if topic.assignments.is_empty() {
            self.place(topic, defaults, random)?
        } else {
            self.check_assignments(topic)?
        };
        let id = random.uuid();
        let mut records = vec![encode(
            &MetadataRecord::Topic(TopicRecord {
                name: topic.name,
                topic_id: id,
                ..Default::default()
            }),
            0,
        )];
        records.extend(configs.iter().map(|(key, value)| config_record(&resource, key, value)));
        for (index, replicas) in placement.iter().enumerate() {
            records.push(partition_record(&self.image, id, index as i32, replicas));
        }
        let created = CreatedTopic {
            id,
            partitions: placement.len() as i32,
            replication_factor: placement.first().map_or(0, |replicas| replicas.len() as i16),
            configs,
        };
        Ok((created, records))
    }

    fn check_name(&self, name: &str, taken: &BTreeSet<String>) -> Result<(), Refusal> {
        topic_name::check(name)
            .map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message))?;
        if self.image.topics.by_name(name).is_some() {
            let text = format!("Topic '{name}' already exists.");
            return Err(Refusal::new(ErrorCode::TopicAlreadyExists, text));
        }
        if topic_name::may_collide(name) {
            let known = self.image.topics.iter().map(|topic| &*topic.name);
            let mut all = known.chain(taken.iter().map(String::as_str));
            if let Some(other) = all.find(|other| topic_name::collides(name, other)) {
                let text = format!("Topic '{name}' collides with existing topic: {other}");
                return Err(Refusal::new(ErrorCode::InvalidTopicException, text));
            }
        }
        Ok(())
    }

    /// Replicas for each partition, striped over the brokers that take new ones.
    fn place(
        &self,
        topic: &NewTopic<'_>,
        defaults: TopicDefaults,
        random: &mut Random,
    ) -> Result<Vec<Vec<i32>>, Refusal> {
        let or_default = |asked: i32, default: i32| if asked == -1 { default } else { asked };
        let partitions = or_default(topic.partitions, defaults.partitions);
        if partitions <= 0 {
            let text = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
        }
        if partitions > PARTITIONS_MAX {
            let text = format!("Excessively large number of partitions per request: {partitions}");
            return Err(Refusal::new(ErrorCode::PolicyViolation, text));
        }
        let factor =
            or_default(topic.replication_factor.into(), defaults.replication_factor.into());
        if factor <= 0 {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, text));
        }
        stripe(&self.image, partitions, factor, random)
    }

    fn check_assignments(&self, topic: &NewTopic<'_>) -> Result<Vec<Vec<i32>>, Refusal> {
        let invalid = |text: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, text);
        if topic.replication_factor != -1 {
            let text = "A manual partition assignment was specified, but replication factor was \
                        not set to -1.";
            return Err(Refusal::new(ErrorCode::InvalidRequest, text));
        }
        if topic.partitions != -1 {
            let text = "A manual partition assignment was specified, but numPartitions was not \
                        set to -1.";
            return Err(Refusal::new(ErrorCode::InvalidRequest, text));
        }
        let mut by_index = BTreeMap::new();
        for (index, replicas) in &topic.assignments {
            check_replicas(&self.image, replicas)?;
            if by_index.insert(*index, replicas.clone()).is_some() {
                return Err(invalid(format!(
                    "Found multiple manual partition assignments for partition {index}"
                )));
            }
        }
        let mut placement: Vec<Vec<i32>> = Vec::new();
        for (expected, (index, replicas)) in by_index.into_iter().enumerate() {
            if index != expected as i32 {
                let text = "partitions should be a consecutive 0-based integer sequence";
                return Err(invalid(text.into()));
            }
            if placement.first().is_some_and(|first| first.len() != replicas.len()) {
                let text = "The manual partition assignment includes a partition with a different \
                            number of replicas than the others.";
                return Err(invalid(text.into()));
            }
            placement.push(replicas);
        }
        Ok(placement)
    }
}

/// A hand-made list of replicas names known brokers, each once.
pub(super) fn check_replicas(image: &Image, replicas: &[i32]) -> Result<(), Refusal> {
    let invalid = |text: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, text);
    if replicas.is_empty() {
        let text = "The manual partition assignment includes an empty replica list.";
        return Err(invalid(text.into()));
    }
    let mut seen = BTreeSet::new();
    for replica in replicas {
        if !seen.insert(*replica) {
            return Err(invalid(format!(
                "The manual partition assignment includes the broker {replica} more than once."
            )));
        }
        if image.cluster.broker(*replica).is_none() {
            return Err(invalid(format!(
                "The manual partition assignment includes broker {replica}, but no such broker is \
                 registered."
            )));
        }
    }
    Ok(())
}

/// Striped placement from a random start: neighbouring partitions begin on neighbouring brokers.
pub(super) fn stripe(
    image: &Image,
    partitions: i32,
    factor: i32,
    random: &mut Random,
) -> Result<Vec<Vec<i32>>, Refusal> {
    let usable: Vec<i32> = image
        .cluster
        .brokers()
        .filter(|broker| !broker.is_fenced && !broker.in_controlled_shutdown)
        .map(|broker| broker.id)
        .collect();
    let count = image.cluster.brokers().count();
    if usable.is_empty() || factor as usize > usable.len() {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor \
                 of {factor} cannot be reached because only {count} broker(s) are registered."
            ),
        ));
    }
    let start = random.below(usable.len() as u64) as usize;
    let on = |position: usize| usable.get(position % usable.len()).copied().unwrap_or_default();
    Ok((0..partitions as usize)
        .map(|partition| (0..factor as usize).map(|r| on(start + partition + r)).collect())
        .collect())
}

fn check_configs(
    topic: &NewTopic<'_>,
    resource: &ConfigResource,
    rules: &dyn ConfigRules,
) -> Result<Vec<(String, String)>, Refusal> {
    let invalid = |text: String| Refusal::new(ErrorCode::InvalidConfig, text);
    let mut configs = Vec::new();
    for (key, value) in &topic.configs {
        let value = value
            .ok_or_else(|| invalid(format!("Null value not supported for topic configs: {key}")))?;
        rules.check(resource, key, value).map_err(invalid)?;
        configs.push(((*key).to_owned(), value.to_owned()));
    }
    Ok(configs)
}

pub(super) fn config_record(resource: &ConfigResource, key: &str, value: &str) -> RecordBytes {
    debug_assert!(matches!(resource.kind, ResourceType::Topic) || !key.is_empty());
    encode(
        &MetadataRecord::Config(ConfigRecord {
            resource_type: resource.kind.code(),
            resource_name: &resource.name,
            name: key,
            value: Some(value),
            ..Default::default()
        }),
        0,
    )
}

/// A new partition with all its replicas in sync and the first one leading.
pub(super) fn partition_record(
    image: &Image,
    topic_id: Uuid,
    index: i32,
    replicas: &[i32],
) -> RecordBytes {
    let directories = replicas.iter().map(|broker| directory_of(image, *broker)).collect();
    encode(
        &MetadataRecord::Partition(PartitionRecord {
            partition_id: index,
            topic_id,
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: replicas.first().copied().unwrap_or(-1),
            leader_epoch: 0,
            partition_epoch: 0,
            directories,
            ..Default::default()
        }),
        PARTITION_VERSION,
    )
}
