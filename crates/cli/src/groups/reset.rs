//! --reset-offsets: moves what a group without members committed.

use super::{Arguments, ResetArguments, moment, targets};
use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use strom_client::Cluster;
use strom_client::driver::admin::offsets::{Committer, EARLIEST, LATEST, TopicPartition};
use strom_client::error::default_message;
use strom_protocol::ErrorCode;

type Offsets = BTreeMap<TopicPartition, i64>;

pub(super) async fn perform(
    cluster: &mut Cluster,
    arguments: &Arguments,
    groups: &[String],
) -> Outcome {
    let mut results = Vec::new();
    for group in groups {
        results.push((group.as_str(), reset_group(cluster, arguments, group).await?));
    }
    let mut output = std::io::stdout().lock();
    if arguments.reset.export {
        for (group, offsets) in &results {
            for ((topic, partition), offset) in offsets {
                if groups.len() > 1 {
                    write!(output, "{group},")?;
                }
                writeln!(output, "{topic},{partition},{offset}")?;
            }
        }
        writeln!(output)?;
        return Ok(());
    }
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).max(15);
    let group_width = widest(&mut results.iter().map(|(group, _)| group.len()));
    let topics = results.iter().flat_map(|(_, offsets)| offsets.keys());
    let topic_width = widest(&mut topics.map(|(topic, _)| topic.len()));
    writeln!(output)?;
    writeln!(
        output,
        "{:group_width$} {:topic_width$} {:10} NEW-OFFSET",
        "GROUP", "TOPIC", "PARTITION"
    )?;
    for (group, offsets) in &results {
        for ((topic, partition), offset) in offsets {
            let line =
                format!("{group:group_width$} {topic:topic_width$} {partition:<10} {offset}");
            writeln!(output, "{line}")?;
        }
    }
    Ok(())
}

async fn reset_group(
    cluster: &mut Cluster,
    arguments: &Arguments,
    group: &str,
) -> Outcome<Offsets> {
    let state = match cluster.describe_group(group).await {
        Ok(description) => description.state,
        // A group that does not exist yet may be given offsets.
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => "Empty".to_owned(),
        Err(error) => return Err(error.into()),
    };
    if state != "Empty" && state != "Dead" {
        let mut output = std::io::stdout().lock();
        writeln!(
            output,
            "\nError: Assignments can only be reset if the group '{group}' is inactive, but the \
             current state is {state}."
        )?;
        return Ok(Offsets::new());
    }
    let offsets = match &arguments.reset.from_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::said(format!("{} cannot be read: {error}", path.display()))
            })?;
            bounded(cluster, from_csv(&text, group)?).await?
        }
        None => {
            let partitions = scope(cluster, arguments, group).await?;
            new_offsets(cluster, &arguments.reset, group, &partitions).await?
        }
    };
    if arguments.reset.execute && !offsets.is_empty() {
        cluster.commit_offsets(Committer::tool(group), &offsets).await?;
    }
    Ok(offsets)
}

async fn scope(
    cluster: &mut Cluster,
    arguments: &Arguments,
    group: &str,
) -> Outcome<Vec<TopicPartition>> {
    if arguments.all_topics {
        return Ok(cluster.committed_offsets(group, None).await?.into_keys().collect());
    }
    let (partitions, missing) = targets::existing(cluster, &arguments.topic).await?;
    if !missing.is_empty() {
        let text = default_message(ErrorCode::UnknownTopicOrPartition);
        return Err(Failure::Refused(text.to_owned()));
    }
    Ok(partitions)
}

async fn new_offsets(
    cluster: &mut Cluster,
    reset: &ResetArguments,
    group: &str,
    partitions: &[TopicPartition],
) -> Outcome<Offsets> {
    if reset.to_earliest {
        return at(cluster, partitions, EARLIEST).await;
    }
    if reset.to_latest {
        return at(cluster, partitions, LATEST).await;
    }
    if let Some(offset) = reset.to_offset {
        let wanted = partitions.iter().map(|key| (key.clone(), offset)).collect();
        return bounded(cluster, wanted).await;
    }
    if let Some(text) = &reset.to_datetime {
        return at_time(cluster, partitions, moment::parse_datetime(text)?).await;
    }
    if let Some(text) = &reset.by_duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let moment = now_ms.saturating_sub(moment::parse_duration(text)?);
        return at_time(cluster, partitions, moment).await;
    }
    let committed = cluster.committed_offsets(group, Some(partitions)).await?;
    let mut wanted = Offsets::new();
    let mut without = Vec::new();
    for partition in partitions {
        match committed.get(partition) {
            Some(found) => {
                let offset = found.offset.saturating_add(reset.shift_by.unwrap_or(0));
                wanted.insert(partition.clone(), offset);
            }
            None if reset.shift_by.is_some() => {
                let (topic, index) = partition;
                return Err(Failure::said(format!(
                    "Cannot shift offset for partition {topic}-{index} since there is no current \
                     committed offset"
                )));
            }
            // Nothing is committed there: the end is where a consumer would begin.
            None => without.push(partition.clone()),
        }
    }
    let mut offsets = bounded(cluster, wanted).await?;
    offsets.extend(at(cluster, &without, LATEST).await?);
    Ok(offsets)
}

async fn at(
    cluster: &mut Cluster,
    partitions: &[TopicPartition],
    timestamp: i64,
) -> Outcome<Offsets> {
    let found = cluster.list_offsets(partitions, timestamp, 0).await?;
    Ok(found.into_iter().map(|(key, offset)| (key, offset.unwrap_or(0))).collect())
}

async fn at_time(
    cluster: &mut Cluster,
    partitions: &[TopicPartition],
    timestamp_ms: i64,
) -> Outcome<Offsets> {
    let found = cluster.list_offsets(partitions, timestamp_ms, 0).await?;
    let without: Vec<TopicPartition> =
        found.iter().filter(|(_, offset)| offset.is_none()).map(|(key, _)| key.clone()).collect();
    let mut output = std::io::stdout().lock();
    for (topic, partition) in &without {
        writeln!(
            output,
            "\nWarn: Partition {partition} from topic {topic} is empty. Falling back to latest \
             known offset."
        )?;
    }
    drop(output);
    let mut offsets: Offsets =
        found.into_iter().filter_map(|(key, offset)| Some((key, offset?))).collect();
    offsets.extend(at(cluster, &without, LATEST).await?);
    Ok(offsets)
}

/// Moves offsets that are outside of the log to its nearest end.
async fn bounded(cluster: &mut Cluster, wanted: Offsets) -> Outcome<Offsets> {
    let partitions: Vec<TopicPartition> = wanted.keys().cloned().collect();
    let first = at(cluster, &partitions, EARLIEST).await?;
    let last = at(cluster, &partitions, LATEST).await?;
    let mut offsets = Offsets::new();
    for (key, offset) in wanted {
        let low = first.get(&key).copied().unwrap_or(0);
        let high = last.get(&key).copied().unwrap_or(i64::MAX);
        let (topic, index) = &key;
        let bound = if offset > high {
            Some(("higher than latest", high))
        } else if offset < low {
            Some(("lower than earliest", low))
        } else {
            None
        };
        if let Some((how, bound)) = bound {
            writeln!(
                std::io::stderr(),
                "WARN New offset ({offset}) is {how} offset for topic partition {topic}-{index}. \
                 Value will be set to {bound}"
            )?;
        }
        offsets.insert(key, bound.map_or(offset, |(_, bound)| bound));
    }
    Ok(offsets)
}

/// Lines `topic,partition,offset` or `group,topic,partition,offset`.
fn from_csv(text: &str, group: &str) -> Outcome<Offsets> {
    let mut offsets = Offsets::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let wrong = || Failure::said(format!("'{line}' is not topic,partition,offset"));
        let mut fields: Vec<&str> =
            line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        if fields.len() == 4 && fields.remove(0) != group {
            continue;
        }
        let [topic, partition, offset] = fields.as_slice() else { return Err(wrong()) };
        let partition = partition.parse().map_err(|_| wrong())?;
        offsets.insert(((*topic).to_owned(), partition), offset.parse().map_err(|_| wrong())?);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_one_group_or_several() {
        let expected: Offsets = [(("t".to_owned(), 0), 5)].into();
        assert_eq!(from_csv("t,0,5\n", "g").unwrap(), expected);
        assert_eq!(from_csv("g,t,0,5\nother,t,0,9\n", "g").unwrap(), expected);
        assert!(from_csv("t,0", "g").is_err());
    }
}
