//! Kafka's range assignor, and the bytes that members of a classic group exchange.
//!
//! Per topic, partitions in order are dealt in contiguous ranges to the members that subscribe to
//! it, in order of their member ids (static members before by instance id); the first ones get one more.

use std::collections::{BTreeMap, BTreeSet};
use strom_protocol::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use strom_protocol::consumer_protocol_subscription::ConsumerProtocolSubscription;
use strom_protocol::{DecodeError, EncodeError, Message, Reader, Writer};

pub const RANGE: &str = "range";
pub const PROTOCOL_TYPE: &str = "consumer";

/// Topic and partition, ascending.
pub type Partitions = BTreeSet<(String, i32)>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub topics: Vec<String>,
}

impl Member {
    /// Static members sort by their lasting name, so that a restart does not move partitions.
    fn rank(&self) -> (bool, &str) {
        match &self.group_instance_id {
            Some(instance) => (false, instance),
            None => (true, &self.member_id),
        }
    }
}

/// Deals the partitions of `partition_counts` (topic to number of partitions) to the members.
#[must_use]
pub fn range(
    members: &[Member],
    partition_counts: &BTreeMap<String, i32>,
) -> BTreeMap<String, Partitions> {
    let mut assignment: BTreeMap<String, Partitions> =
        members.iter().map(|member| (member.member_id.clone(), Partitions::new())).collect();
    for (topic, &count) in partition_counts {
        let mut subscribed: Vec<&Member> =
            members.iter().filter(|member| member.topics.contains(topic)).collect();
        subscribed.sort_by_key(|member| member.rank());
        let Some(each) = count.checked_div(subscribed.len() as i32) else { continue };
        let remainder = count % subscribed.len() as i32;
        let mut next = 0;
        for (index, member) in subscribed.iter().enumerate() {
            let share = each + i32::from((index as i32) < remainder);
            if let Some(partitions) = assignment.get_mut(&member.member_id) {
                partitions.extend((next..next + share).map(|p| (topic.clone(), p)));
            }
            next += share;
        }
    }
    assignment
}

/// The subscription that a member sends when it joins, in version 3.
///
/// # Errors
/// When a topic's name does not fit.
pub fn encode_subscription(topics: &[String]) -> Result<Vec<u8>, EncodeError> {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(String::as_str).collect(),
        ..Default::default()
    };
    with_version(&subscription, 3)
}

/// The topics that a member of a consumer group subscribes to.
///
/// # Errors
/// When the bytes are no subscription.
pub fn decode_subscription(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.read_i16()?;
    let known = ConsumerProtocolSubscription::VERSIONS;
    let subscription =
        ConsumerProtocolSubscription::decode(&mut reader, version.min(*known.end()))?;
    Ok(subscription.topics.into_iter().map(str::to_owned).collect())
}

/// What the leader sends to a member, in version 3.
///
/// # Errors
/// When a topic's name does not fit.
pub fn encode_assignment(partitions: &Partitions) -> Result<Vec<u8>, EncodeError> {
    let mut topics: Vec<TopicPartition<'_>> = Vec::new();
    for (topic, partition) in partitions {
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.partitions.push(*partition),
            _ => topics.push(TopicPartition {
                topic,
                partitions: vec![*partition],
                ..Default::default()
            }),
        }
    }
    let assignment =
        ConsumerProtocolAssignment { assigned_partitions: topics, ..Default::default() };
    with_version(&assignment, 3)
}

/// What a member was assigned; no bytes mean nothing.
///
/// # Errors
/// When the bytes are no assignment.
pub fn decode_assignment(bytes: &[u8]) -> Result<Partitions, DecodeError> {
    if bytes.is_empty() {
        return Ok(Partitions::new());
    }
    let mut reader = Reader::new(bytes);
    let version = reader.read_i16()?;
    let known = ConsumerProtocolAssignment::VERSIONS;
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version.min(*known.end()))?;
    let mut partitions = Partitions::new();
    for topic in assignment.assigned_partitions {
        partitions.extend(topic.partitions.iter().map(|p| (topic.topic.to_owned(), *p)));
    }
    Ok(partitions)
}

fn with_version<'m, M: Message<'m>>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    writer.bytes.extend_from_slice(&version.to_be_bytes());
    message.encode(&mut writer, version)?;
    Ok(writer.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str]) -> Member {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Member { member_id: id.to_owned(), group_instance_id: None, topics }
    }

    fn counts(topics: &[(&str, i32)]) -> BTreeMap<String, i32> {
        topics.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect()
    }

    #[test]
    fn the_first_members_get_the_longer_ranges() {
        let members = [member("b", &["t"]), member("a", &["t", "u"])];
        let dealt = range(&members, &counts(&[("t", 5), ("u", 2)]));
        let of = |id: &str| dealt[id].iter().map(|(t, p)| format!("{t}{p}")).collect::<Vec<_>>();
        assert_eq!(of("a"), ["t0", "t1", "t2", "u0", "u1"]);
        assert_eq!(of("b"), ["t3", "t4"]);
    }

    #[test]
    fn a_topic_without_subscribers_is_left_alone() {
        let dealt = range(&[member("a", &["t"])], &counts(&[("u", 2)]));
        assert!(dealt["a"].is_empty());
        assert!(range(&[], &counts(&[("u", 2)])).is_empty());
    }

    #[test]
    fn what_members_exchange_survives_its_bytes() {
        let topics = vec!["t".to_owned(), "u".to_owned()];
        let bytes = encode_subscription(&topics).unwrap();
        assert_eq!(decode_subscription(&bytes).unwrap(), topics);
        let partitions: Partitions =
            [("t".to_owned(), 0), ("t".to_owned(), 4), ("u".to_owned(), 1)].into();
        let bytes = encode_assignment(&partitions).unwrap();
        assert_eq!(decode_assignment(&bytes).unwrap(), partitions);
        assert!(decode_assignment(&[]).unwrap().is_empty());
        assert!(decode_assignment(&[0, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
    }
}
