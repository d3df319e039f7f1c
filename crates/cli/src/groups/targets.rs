//! The partitions that `--topic a --topic b:0,1` names.

use crate::failure::{Failure, Outcome};
use strom_client::Cluster;
use strom_client::driver::admin::offsets::TopicPartition;

/// A topic, and the partitions that were named; none for all.
fn parse(option: &str) -> Outcome<(String, Vec<i32>)> {
    let Some((topic, list)) = option.split_once(':') else {
        return Ok((option.to_owned(), Vec::new()));
    };
    let partitions = list
        .split(',')
        .map(|index| index.trim().parse())
        .collect::<Result<Vec<i32>, _>>()
        .map_err(|_| {
            Failure::said(format!("Invalid topic-partition '{option}': topic:0,1,2 is expected"))
        })?;
    Ok((topic.to_owned(), partitions))
}

/// The partitions that are named, ascending, and the topics that do not exist.
pub(super) async fn existing(
    cluster: &mut Cluster,
    options: &[String],
) -> Outcome<(Vec<TopicPartition>, Vec<String>)> {
    let parsed = options.iter().map(|option| parse(option)).collect::<Outcome<Vec<_>>>()?;
    let names: Vec<&str> = parsed.iter().map(|(topic, _)| topic.as_str()).collect();
    let metadata = cluster.refresh(Some(&names)).await?;
    let mut partitions = Vec::new();
    let mut missing = Vec::new();
    for (topic, indexes) in &parsed {
        if !indexes.is_empty() {
            partitions.extend(indexes.iter().map(|index| (topic.clone(), *index)));
        } else if let Some(known) = metadata.topics.get(topic) {
            partitions.extend(known.partitions.iter().map(|p| (topic.clone(), p.index)));
        } else {
            missing.push(topic.clone());
        }
    }
    partitions.sort();
    partitions.dedup();
    Ok((partitions, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_name_some_of_its_partitions() {
        assert_eq!(parse("t").unwrap(), ("t".to_owned(), vec![]));
        assert_eq!(parse("t:0,2").unwrap(), ("t".to_owned(), vec![0, 2]));
        assert!(parse("t:x").is_err());
    }
}
