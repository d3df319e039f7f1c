//! --describe: offsets and lag by default; members and state are in `members`.

use super::{Arguments, members};
use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use std::io::Write;
use strom_client::Cluster;
use strom_client::driver::admin::groups::{GroupDescription, GroupMember};
use strom_client::driver::admin::offsets::{CommittedOffset, LATEST, TopicPartition};

pub(super) async fn perform(
    cluster: &mut Cluster,
    arguments: &Arguments,
    groups: &[String],
) -> Outcome {
    let mut failed = None;
    for group_id in groups {
        let group = match cluster.describe_group(group_id).await {
            Ok(group) => group,
            Err(error) if error.code().is_some() => {
                failed = Some(Failure::Refused(super::worded(&error)));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        tell_inactive(&group)?;
        if arguments.members {
            members::print(&group, arguments.verbose)?;
        } else if arguments.state.is_some() {
            members::print_state(cluster, &group, arguments.verbose)?;
        } else {
            print_offsets(cluster, &group, arguments.verbose).await?;
        }
    }
    failed.map_or(Ok(()), Err)
}

fn tell_inactive(group: &GroupDescription) -> Outcome {
    let id = &group.group_id;
    let text = match group.state.as_str() {
        "Dead" => format!("Consumer group '{id}' does not exist."),
        "Empty" => format!("Consumer group '{id}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            format!("Warning: Consumer group '{id}' is rebalancing.")
        }
        _ => return Ok(()),
    };
    Ok(writeln!(std::io::stderr(), "\n{text}")?)
}

struct Row<'a> {
    partition: TopicPartition,
    committed: Option<CommittedOffset>,
    log_end_offset: Option<i64>,
    member: Option<&'a GroupMember>,
}

async fn print_offsets(cluster: &mut Cluster, group: &GroupDescription, verbose: bool) -> Outcome {
    let rows = rows(cluster, group).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let width = |least: usize, of: &dyn Fn(&Row<'_>) -> usize| {
        rows.iter().map(of).max().unwrap_or(0).max(least)
    };
    let group_width = group.group_id.len().max(15);
    let topic_width = width(15, &|row| row.partition.0.len());
    let id_width = width(15, &|row| row.member.map_or(1, |member| member.member_id.len()));
    let host_width = width(15, &|row| row.member.map_or(1, |member| member.host.len()));
    let mut output = std::io::stdout().lock();
    writeln!(output)?;
    let mut print = |cells: [&str; 10]| {
        let [name, topic, partition, epoch, current, end, lag, id, host, client] = cells;
        write!(output, "{name:group_width$} {topic:topic_width$} {partition:<10} ")?;
        if verbose {
            write!(output, "{epoch:<15} ")?;
        }
        write!(output, "{current:<15} {end:<15} {lag:<15} {id:id_width$} {host:host_width$} ")?;
        writeln!(output, "{client}")
    };
    print([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ])?;
    for row in &rows {
        let number = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
        let current = row.committed.as_ref().map(|committed| committed.offset);
        let lag = current.zip(row.log_end_offset).map(|(current, end)| end.saturating_sub(current));
        let epoch = row.committed.as_ref().and_then(|committed| committed.leader_epoch);
        print([
            &group.group_id,
            &row.partition.0,
            &row.partition.1.to_string(),
            &number(epoch.map(i64::from)),
            &number(current),
            &number(row.log_end_offset),
            &number(lag),
            row.member.map_or("-", |member| &member.member_id),
            row.member.map_or("-", |member| &member.host),
            row.member.map_or("-", |member| &member.client_id),
        ])?;
    }
    Ok(())
}

/// What is committed or assigned, ascending.
async fn rows<'a>(cluster: &mut Cluster, group: &'a GroupDescription) -> Outcome<Vec<Row<'a>>> {
    let mut committed = cluster.committed_offsets(&group.group_id, None).await?;
    let mut owners: BTreeMap<TopicPartition, &GroupMember> = BTreeMap::new();
    for member in &group.members {
        owners.extend(member.assignment.iter().map(|partition| (partition.clone(), member)));
    }
    let mut partitions: Vec<TopicPartition> =
        committed.keys().chain(owners.keys()).cloned().collect();
    partitions.sort();
    partitions.dedup();
    let ends = log_end_offsets(cluster, &partitions).await?;
    let row = |partition: TopicPartition| Row {
        committed: committed.remove(&partition),
        log_end_offset: ends.get(&partition).copied().flatten(),
        member: owners.get(&partition).copied(),
        partition,
    };
    Ok(partitions.into_iter().map(row).collect())
}

/// The ends of the partitions that still exist.
async fn log_end_offsets(
    cluster: &mut Cluster,
    partitions: &[TopicPartition],
) -> Outcome<BTreeMap<TopicPartition, Option<i64>>> {
    let names: Vec<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
    let metadata = cluster.refresh(Some(&names)).await?;
    let existing: Vec<TopicPartition> = partitions
        .iter()
        .filter(|(topic, index)| metadata.leader(topic, *index).is_some())
        .cloned()
        .collect();
    Ok(cluster.list_offsets(&existing, LATEST, 0).await?)
}
