//! `strom topics`: Kafka's kafka-topics.

mod create;
mod describe;
mod options;
mod pattern;

use crate::connect::{self, Connect};
use crate::failure::{Failure, Outcome};
pub(crate) use pattern::Pattern;
use std::io::Write;
use strom_base::Uuid;
use strom_client::Cluster;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// Create a topic
    #[arg(long)]
    create: bool,
    /// Delete topics
    #[arg(long)]
    delete: bool,
    /// Show partitions, replicas and configuration of topics
    #[arg(long)]
    describe: bool,
    /// List the names of topics
    #[arg(long)]
    list: bool,
    /// Grow a topic
    #[arg(long)]
    alter: bool,
    /// The topic; except for --create a regular expression
    #[arg(long)]
    topic: Option<String>,
    /// The id of the topic to describe
    #[arg(long)]
    topic_id: Option<String>,
    /// How many partitions the topic shall have; without it the cluster's default
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    partitions: Option<i32>,
    /// How many replicas each partition shall have; without it the cluster's default
    #[arg(long, value_name = "FACTOR", allow_hyphen_values = true)]
    replication_factor: Option<i32>,
    /// Brokers by partition and replica: b1:b2,b2:b3
    #[arg(long, value_name = "BROKERS")]
    replica_assignment: Option<String>,
    /// A configuration of the new topic: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// Succeed when the topic does not exist
    #[arg(long)]
    if_exists: bool,
    /// Succeed when the topic exists
    #[arg(long)]
    if_not_exists: bool,
    /// Leave out internal topics
    #[arg(long)]
    exclude_internal: bool,
    /// Show only partitions with fewer in-sync replicas than replicas
    #[arg(long)]
    under_replicated_partitions: bool,
    /// Show only partitions without leader
    #[arg(long)]
    unavailable_partitions: bool,
    /// Show only partitions with fewer in-sync replicas than min.insync.replicas
    #[arg(long)]
    under_min_isr_partitions: bool,
    /// Show only partitions with exactly min.insync.replicas in-sync replicas
    #[arg(long)]
    at_min_isr_partitions: bool,
    /// Show only topics with a configuration of their own
    #[arg(long)]
    topics_with_overrides: bool,
    /// Partitions per answer when describing
    #[arg(long, value_name = "COUNT", default_value_t = 2000)]
    partition_size_limit_per_response: i32,
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    options::check(&arguments)?;
    let outcome = options::in_range(&arguments).and_then(|()| connect::run(perform(&arguments)));
    outcome.map_err(|failure| failure.while_doing("Error while executing topic command : "))
}

async fn perform(arguments: &Arguments) -> Outcome {
    let mut cluster = arguments.connect.cluster().await?;
    if arguments.create {
        create::perform(&mut cluster, arguments).await
    } else if arguments.alter {
        create::grow(&mut cluster, arguments).await
    } else if arguments.describe {
        describe::perform(&mut cluster, arguments).await
    } else if arguments.delete {
        let names = found(&mut cluster, arguments).await?;
        Ok(cluster.delete_topics(&names).await?)
    } else {
        let mut output = std::io::stdout().lock();
        for name in matching(&mut cluster, arguments).await? {
            writeln!(output, "{name}")?;
        }
        Ok(())
    }
}

/// The topics that the options name, ascending.
async fn matching(cluster: &mut Cluster, arguments: &Arguments) -> Outcome<Vec<String>> {
    let mut names = cluster.topic_names(!arguments.exclude_internal).await?;
    if let Some(topic) = &arguments.topic {
        let pattern = Pattern::new(topic)?;
        names.retain(|name| pattern.matches(name));
    }
    Ok(names)
}

/// As [`matching`]; a topic that was named has to exist, unless --if-exists.
async fn found(cluster: &mut Cluster, arguments: &Arguments) -> Outcome<Vec<String>> {
    if let Some(id) = &arguments.topic_id {
        let id: Uuid = id.parse().map_err(|error| Failure::said(format!("{error}")))?;
        return match cluster.topic_of_id(id).await? {
            Some(name) => Ok(vec![name]),
            None if arguments.if_exists => Ok(Vec::new()),
            None => Err(Failure::said(format!("TopicId '{id}' does not exist as expected"))),
        };
    }
    let names = matching(cluster, arguments).await?;
    match &arguments.topic {
        Some(topic) if names.is_empty() && !arguments.if_exists => {
            Err(Failure::said(format!("Topic '{topic}' does not exist as expected")))
        }
        _ => Ok(names),
    }
}
