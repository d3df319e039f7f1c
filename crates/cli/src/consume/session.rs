//! Reads and prints until enough, until nothing comes, or until Ctrl-C.

use super::formatter::Formatter;
use super::settings::{Plan, Source};
use crate::failure::{Failure, Outcome};
use std::io::{BufWriter, Write};
use strom_client::driver::{ConsumerSettings, Start};
use strom_client::{Cluster, Consumer};

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

pub(super) async fn run(plan: Plan, formatter: Formatter) -> Outcome {
    let mut count = 0;
    let outcome = print_records(plan, &formatter, &mut count).await;
    // Kafka's tool says this on stderr, so that the records alone go down a pipe.
    let _ = writeln!(std::io::stderr(), "Processed a total of {count} messages");
    outcome
}

async fn print_records(plan: Plan, formatter: &Formatter, count: &mut u64) -> Outcome {
    let (max_messages, patience) = (plan.max_messages, plan.patience);
    let mut consumer = open(plan).await?;
    let mut output = BufWriter::new(std::io::stdout());
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut outcome = Ok(());
    while max_messages.is_none_or(|max| *count < max) {
        let next = tokio::select! {
            biased;
            _ = &mut interrupted => {
                outcome = Err(Failure::Silent(INTERRUPTED));
                break;
            }
            next = consumer.next(patience) => next,
        };
        let printed = match next {
            Ok(Some(record)) => {
                *count += 1;
                formatter.write(&mut output, &record).map_err(Failure::from)
            }
            Ok(None) => break,
            Err(error) => Err(error.into()),
        };
        // What is at hand is printed in one go; what comes later is shown when it comes.
        let flushed = match printed {
            Ok(()) if !consumer.has_records() => output.flush().map_err(Failure::from),
            printed => printed,
        };
        if flushed.is_err() {
            outcome = flushed;
            break;
        }
    }
    let flushed = output.flush().map_err(Failure::from);
    let closed = consumer.close().await.map_err(Failure::from);
    outcome.and(flushed).and(closed)
}

async fn open(plan: Plan) -> Outcome<Consumer> {
    let mut cluster = Cluster::connect(plan.client).await?;
    let topics = match plan.source {
        Source::Partition { topic, partition, start } => {
            return open_partition(cluster, plan.consumer, (topic, partition), start).await;
        }
        Source::Topic(topic) => {
            // Kafka's consumer makes the cluster create a topic that it allows to be created.
            cluster.refresh_creating(&[&topic]).await?;
            vec![topic]
        }
        Source::Matching(pattern) => {
            let mut names = cluster.topic_names(false).await?;
            names.retain(|name| pattern.matches(name));
            names
        }
    };
    Ok(Consumer::subscribe(cluster, plan.consumer, plan.group, topics)?)
}

async fn open_partition(
    mut cluster: Cluster,
    settings: ConsumerSettings,
    partition: (String, i32),
    start: Start,
) -> Outcome<Consumer> {
    let (name, index) = &partition;
    if let Some(topic) = cluster.refresh(Some(&[name])).await?.topics.get(name)
        && !topic.partitions.iter().any(|known| known.index == *index)
    {
        // Kafka's tool would wait for it without a word.
        let count = topic.partitions.len();
        let text = format!("topic {name} has no partition {index}: it has {count}, counted from 0");
        return Err(Failure::said(text));
    }
    let starts = [(partition, start)].into();
    Ok(Consumer::assign(cluster, settings, &starts).await?)
}
