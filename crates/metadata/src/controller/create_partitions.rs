//! CreatePartitions: a topic grows, never shrinks.

use strom_base::Random;
use strom_protocol::ErrorCode;

use super::create_topics::{PARTITIONS_MAX, check_replicas};
use super::placement::place;
use super::{Controller, Decision, RecordBytes, Refusal, bounded};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrownTopic<'a> {
    pub name: &'a str,
    /// Partitions in all, afterwards.
    pub count: i32,
    /// Replicas of the new partitions, if the client places them.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl Controller {
    /// Decides on each topic by itself.
    pub fn create_partitions(
        &self,
        topics: &[GrownTopic<'_>],
        random: &mut Random,
    ) -> Decision<Vec<Result<(), Refusal>>> {
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        for (position, topic) in topics.iter().enumerate() {
            let is_repeated =
                topics.iter().enumerate().any(|(i, it)| i != position && it.name == topic.name);
            let outcome = if is_repeated {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                self.grow(topic, random)
            };
            decision.reply.push(outcome.map(|records| decision.records.extend(records)));
        }
        bounded(decision)
    }

    fn grow(
        &self,
        grown: &GrownTopic<'_>,
        random: &mut Random,
    ) -> Result<Vec<RecordBytes>, Refusal> {
        let topic = self.image.topics.by_name(grown.name).ok_or_else(|| {
            Refusal::new(
                ErrorCode::UnknownTopicOrPartition,
                "This server does not host this topic-partition.",
            )
        })?;
        let current = topic.partitions.len() as i32;
        if grown.count == current {
            let text = format!("Topic already has {current} partition(s).");
            return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
        }
        if grown.count < current {
            let text = format!(
                "The topic {} currently has {current} partition(s); {} would not be an increase.",
                grown.name, grown.count
            );
            return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
        }
        let added = grown.count - current;
        if added > PARTITIONS_MAX {
            let text = "Excessively large number of partitions per request.";
            return Err(Refusal::new(ErrorCode::PolicyViolation, text));
        }
        let placement = match &grown.assignments {
            Some(assignments) if assignments.len() as i32 != added => {
                let text = format!(
                    "Attempted to add {added} additional partition(s), but only {} assignment(s) \
                     were specified.",
                    assignments.len()
                );
                return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
            }
            Some(assignments) => {
                for replicas in assignments {
                    check_replicas(&self.image, replicas)?;
                }
                assignments.clone()
            }
            None => {
                let factor = topic.partitions.first().map_or(1, |it| it.replicas.len() as i32);
                place(&self.image, added, factor, random)?
            }
        };
        let numbered = (current..).zip(&placement);
        numbered.map(|(index, replicas)| self.new_partition(topic.id, index, replicas)).collect()
    }
}
