//! Making topics, and making them larger.

use super::{Arguments, found};
use crate::failure::{Failure, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use strom_client::Cluster;
use strom_client::driver::admin::topics::NewTopic;
use strom_protocol::ErrorCode;

pub(super) async fn perform(cluster: &mut Cluster, arguments: &Arguments) -> Outcome {
    let name = arguments.topic.clone().unwrap_or_default();
    let topic = NewTopic {
        name: name.clone(),
        partitions: arguments.partitions,
        replication_factor: arguments.replication_factor.and_then(|f| i16::try_from(f).ok()),
        assignment: match &arguments.replica_assignment {
            Some(text) => assignment(text)?,
            None => BTreeMap::new(),
        },
        configs: configs(&arguments.config)?,
    };
    let mut output = std::io::stdout().lock();
    if name.contains(['.', '_']) {
        writeln!(
            output,
            "WARNING: Due to limitations in metric names, topics with a period ('.') or \
             underscore ('_') could collide. To avoid issues it is best to use either, but not \
             both."
        )?;
    }
    match cluster.create_topic(&topic).await {
        Ok(()) => writeln!(output, "Created topic {name}.")?,
        Err(error)
            if arguments.if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

pub(super) async fn grow(cluster: &mut Cluster, arguments: &Arguments) -> Outcome {
    let count = arguments.partitions.unwrap_or_default();
    for name in found(cluster, arguments).await? {
        let new = match &arguments.replica_assignment {
            None => None,
            Some(text) => {
                let known = cluster.metadata().topics.get(&name);
                let existing = known.map_or(0, |topic| topic.partitions.len());
                Some(assignment(text)?.into_values().skip(existing).collect::<Vec<_>>())
            }
        };
        cluster.grow_topic(&name, count, new.as_deref()).await?;
    }
    Ok(())
}

fn configs(options: &[String]) -> Outcome<Vec<(String, String)>> {
    options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(Failure::said(
                "requirement failed: Invalid topic config: all configs to be added must be in the \
                 format \"key=val\".",
            )),
        })
        .collect()
}

/// Parses `1:2,2:3`: the replicas of partition 0, of partition 1.
fn assignment(text: &str) -> Outcome<BTreeMap<i32, Vec<i32>>> {
    let mut assignment = BTreeMap::new();
    let mut factor = None;
    for (partition, list) in (0i32..).zip(text.split(',')) {
        let brokers = list
            .split(':')
            .map(|broker| broker.trim().parse::<i32>())
            .collect::<Result<Vec<i32>, _>>()
            .map_err(|_| Failure::said(format!("For input string: \"{list}\"")))?;
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<String> =
            brokers.iter().filter(|b| !seen.insert(**b)).map(ToString::to_string).collect();
        if !twice.is_empty() {
            let twice = twice.into_iter().collect::<Vec<_>>().join(",");
            return Err(Failure::said(format!(
                "Partition replica lists may not contain duplicate entries: {twice}"
            )));
        }
        if *factor.get_or_insert(brokers.len()) != brokers.len() {
            return Err(Failure::said(format!(
                "Partition {partition} has different replication factor: {brokers:?}"
            )));
        }
        assignment.insert(partition, brokers);
    }
    Ok(assignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_list_brokers_by_partition() {
        let parsed = assignment("1:2,2:3").unwrap();
        assert_eq!(parsed, [(0, vec![1, 2]), (1, vec![2, 3])].into());
    }

    #[test]
    fn uneven_or_repeated_replicas_are_refused() {
        for wrong in ["1:1", "1:2,3", "a"] {
            assert!(assignment(wrong).is_err(), "{wrong}");
        }
    }
}
