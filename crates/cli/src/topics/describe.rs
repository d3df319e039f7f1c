//! What --describe prints: a line per topic, a line per partition.

use super::{Arguments, found};
use crate::failure::Outcome;
use std::io::Write;
use strom_client::driver::admin::configs::{ConfigEntry, ConfigSource, ResourceKind};
use strom_client::driver::admin::topics::TopicDescription;
use strom_client::{Cluster, Partition};

pub(super) async fn perform(cluster: &mut Cluster, arguments: &Arguments) -> Outcome {
    let by_partition = arguments.under_replicated_partitions
        || arguments.unavailable_partitions
        || arguments.under_min_isr_partitions
        || arguments.at_min_isr_partitions;
    for name in found(cluster, arguments).await? {
        let page = arguments.partition_size_limit_per_response;
        let description = match cluster.describe_topic(&name, page).await {
            Ok(description) => description,
            // It was deleted since it was listed.
            Err(error) if error.is_missing() && arguments.topic.is_none() => continue,
            Err(error) => return Err(error.into()),
        };
        let configs = cluster.describe_configs(ResourceKind::Topic, &name).await?;
        let overrides: Vec<String> = configs
            .iter()
            .filter(|entry| entry.source != ConfigSource::Default)
            .map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or("null")))
            .collect();
        let mut output = std::io::stdout().lock();
        let is_plain = arguments.topics_with_overrides && overrides.is_empty();
        if !by_partition && !is_plain {
            print_topic(&mut output, &description, &overrides)?;
        }
        if arguments.topics_with_overrides {
            continue;
        }
        for partition in &description.topic.partitions {
            let filter = Filter { partition, min_in_sync: min_in_sync(&configs) };
            if !by_partition || filter.wants(arguments) {
                print_partition(&mut output, &description, partition)?;
            }
        }
    }
    Ok(())
}

struct Filter<'a> {
    partition: &'a Partition,
    min_in_sync: usize,
}

impl Filter<'_> {
    fn wants(&self, arguments: &Arguments) -> bool {
        let in_sync = self.partition.in_sync_replicas.len();
        arguments.under_replicated_partitions && in_sync < self.partition.replicas.len()
            || arguments.unavailable_partitions && self.partition.leader_id.is_none()
            || arguments.under_min_isr_partitions && in_sync < self.min_in_sync
            || arguments.at_min_isr_partitions && in_sync == self.min_in_sync
    }
}

fn min_in_sync(configs: &[ConfigEntry]) -> usize {
    let entry = configs.iter().find(|entry| entry.name == "min.insync.replicas");
    entry.and_then(|entry| entry.value.as_deref()?.parse().ok()).unwrap_or(1)
}

fn print_topic(
    output: &mut impl Write,
    description: &TopicDescription,
    overrides: &[String],
) -> std::io::Result<()> {
    let topic = &description.topic;
    let factor = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    writeln!(
        output,
        "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
        topic.name,
        topic.id,
        topic.partitions.len(),
        overrides.join(","),
    )
}

fn print_partition(
    output: &mut impl Write,
    description: &TopicDescription,
    partition: &Partition,
) -> std::io::Result<()> {
    let leader = partition.leader_id.map_or("none".to_owned(), |leader| leader.to_string());
    let eligible = description.eligible.get(&partition.index);
    let elr = eligible.and_then(|(eligible, _)| eligible.as_deref());
    let last_known = eligible.and_then(|(_, last_known)| last_known.as_deref());
    writeln!(
        output,
        "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: {}\t\
         LastKnownElr: {}",
        description.topic.name,
        partition.index,
        list(&partition.replicas),
        list(&partition.in_sync_replicas),
        elr.map_or("N/A".to_owned(), list),
        last_known.map_or("N/A".to_owned(), list),
    )
}

fn list(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
