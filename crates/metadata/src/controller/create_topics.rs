//! CreateTopics: names, counts, assignments, configurations; then a topic record and its partitions'.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::{Random, Uuid};
use strom_protocol::partition_record::PartitionRecord;
use strom_protocol::topic_record::TopicRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::configs::config_record;
use super::placement::place;
use super::{
    ConfigRules, Controller, Decision, RecordBytes, Refusal, TopicDefaults, bounded, encode,
};
use crate::directory_id::UNASSIGNED;
use crate::image::{BrokerRegistration, ConfigResource, Image};
use crate::topic_name;

/// Partitions of one request.
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
    pub configs: BTreeMap<String, String>,
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
        if let Some(refusal) = too_many(topics, defaults) {
            let reply = topics.iter().map(|_| Err(refusal.clone())).collect();
            return Decision { records: Vec::new(), reply };
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
        bounded(decision)
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
        let set = configs.iter();
        records.extend(set.map(|(key, value)| config_record(&resource, key, Some(value))));
        for (index, replicas) in placement.iter().enumerate() {
            records.push(self.new_partition(id, index as i32, replicas)?);
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
        if name == topic_name::METADATA {
            // Its partition's folder is the metadata log's.
            let text = format!("Creation of internal topic {name} is prohibited.");
            return Err(Refusal::new(ErrorCode::InvalidRequest, text));
        }
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

    /// Replicas for each partition, on the brokers that take new ones.
    fn place(
        &self,
        topic: &NewTopic<'_>,
        defaults: TopicDefaults,
        random: &mut Random,
    ) -> Result<Vec<Vec<i32>>, Refusal> {
        let or_default = |asked: i32, default: i32| if asked == -1 { default } else { asked };
        let factor =
            or_default(topic.replication_factor.into(), defaults.replication_factor.into());
        if factor <= 0 {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, text));
        }
        let partitions = or_default(topic.partitions, defaults.partitions);
        if partitions <= 0 {
            let text = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
        }
        place(&self.image, partitions, factor, random)
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

/// More partitions than one request may make.
fn too_many(topics: &[NewTopic<'_>], defaults: TopicDefaults) -> Option<Refusal> {
    let count = |topic: &NewTopic<'_>| match topic.partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
        -1 => i64::from(defaults.partitions),
        asked => i64::from(asked.max(0)),
    };
    let text = "Excessively large number of partitions per request.";
    let is_too_many = topics.iter().map(count).sum::<i64>() > i64::from(PARTITIONS_MAX);
    is_too_many.then(|| Refusal::new(ErrorCode::PolicyViolation, text))
}

fn check_configs(
    topic: &NewTopic<'_>,
    resource: &ConfigResource,
    rules: &dyn ConfigRules,
) -> Result<BTreeMap<String, String>, Refusal> {
    let invalid = |text: String| Refusal::new(ErrorCode::InvalidConfig, text);
    let mut configs = BTreeMap::new();
    for (key, value) in &topic.configs {
        let value = value
            .ok_or_else(|| invalid(format!("Null value not supported for topic configs: {key}")))?;
        configs.insert((*key).to_owned(), value.to_owned());
    }
    rules.check(resource, &configs)?;
    Ok(configs)
}

impl Controller {
    /// A new partition: in sync are those of its replicas that take part, the first one leads.
    pub(super) fn new_partition(
        &self,
        topic_id: Uuid,
        partition_id: i32,
        replicas: &[i32],
    ) -> Result<RecordBytes, Refusal> {
        let cluster = &self.image.cluster;
        let isr = replicas.iter().copied().filter(|id| cluster.is_active(*id));
        let isr: Vec<i32> = isr.collect();
        let Some(leader) = isr.first().copied() else {
            let text = format!(
                "All brokers specified in the manual partition assignment for partition \
                 {partition_id} are fenced or in controlled shutdown."
            );
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
        };
        let directory = |id: &i32| {
            let broker = cluster.broker(*id);
            broker.and_then(BrokerRegistration::only_directory).unwrap_or(UNASSIGNED)
        };
        let has_directories = self.versions().has_directories();
        let directories = replicas.iter().filter(|_| has_directories).map(directory).collect();
        let record = PartitionRecord {
            partition_id,
            topic_id,
            replicas: replicas.to_vec(),
            isr,
            leader,
            leader_epoch: 0,
            partition_epoch: 0,
            directories,
            ..Default::default()
        };
        Ok(encode(&MetadataRecord::Partition(record), self.versions().partition()))
    }
}
