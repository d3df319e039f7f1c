//! --delete and --delete-offsets.

use super::{Arguments, exception, targets, worded};
use crate::failure::Outcome;
use std::io::Write;
use strom_client::Cluster;
use strom_client::driver::admin::offsets::TopicPartition;
use strom_client::error::default_message;
use strom_protocol::ErrorCode;

pub(super) async fn groups(cluster: &mut Cluster, groups: &[String]) -> Outcome {
    let mut deleted = Vec::new();
    let mut failed = Vec::new();
    for group in groups {
        match cluster.delete_group(group).await {
            Ok(()) => deleted.push(format!("'{group}'")),
            Err(error) => failed.push((group, worded(&error))),
        }
    }
    let mut output = std::io::stdout().lock();
    let deleted = deleted.join(", ");
    if failed.is_empty() {
        writeln!(output, "Deletion of requested consumer groups ({deleted}) was successful.")?;
        return Ok(());
    }
    writeln!(output, "\nError: Deletion of some consumer groups failed:")?;
    for (group, reason) in failed {
        writeln!(output, "* Group '{group}' could not be deleted due to: {reason}")?;
    }
    if !deleted.is_empty() {
        writeln!(output, "\nThese consumer groups were deleted successfully: {deleted}")?;
    }
    Ok(())
}

pub(super) async fn offsets(cluster: &mut Cluster, arguments: &Arguments, group: &str) -> Outcome {
    let (partitions, missing) = targets::existing(cluster, &arguments.topic).await?;
    let outcome = cluster.delete_offsets(group, &partitions).await;
    let mut output = std::io::stdout().lock();
    let outcomes = match outcome {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let reason = worded(&error);
            writeln!(
                output,
                "\nError: Deletion of offsets of consumer group '{group}' failed due to: {reason}"
            )?;
            return Ok(());
        }
    };
    if outcomes.values().all(|code| *code == ErrorCode::None) {
        writeln!(output, "Request succeeded for deleting offsets from group {group}.")?;
    } else {
        let text = "Error: Encountered some partition-level error, see the follow-up details.";
        writeln!(output, "\n{text}")?;
    }
    writeln!(output, "\n{:15} {:10} {:15}", "TOPIC", "PARTITION", "STATUS")?;
    let mut line = |(topic, partition): &TopicPartition, code: ErrorCode| {
        let index = if *partition < 0 { "-".to_owned() } else { partition.to_string() };
        let status = match code {
            ErrorCode::None => "Successful".to_owned(),
            code => format!("Error: {}: {}", exception(code), default_message(code)),
        };
        writeln!(output, "{topic:15} {index:10} {status:15}")
    };
    for (partition, code) in &outcomes {
        line(partition, *code)?;
    }
    for topic in missing {
        line(&(topic, -1), ErrorCode::UnknownTopicOrPartition)?;
    }
    Ok(())
}
