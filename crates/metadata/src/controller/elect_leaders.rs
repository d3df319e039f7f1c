//! ElectLeaders: back to the preferred leaders, or to whoever is left (KIP-460).

use strom_protocol::ErrorCode;

use super::partition_change::{Election, PartitionChange};
use super::{Controller, Decision, Refusal, bounded};
use crate::image::Topic;
use crate::topic_name;

/// Which election a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    Preferred,
    Unclean,
}

/// One partition to elect a leader of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTarget<'a> {
    pub topic: &'a str,
    pub partition: i32,
}

impl Controller {
    /// Every partition of the cluster, for a request that names none.
    #[must_use]
    pub fn all_partitions(&self) -> Vec<ElectionTarget<'_>> {
        let topics = self.image.topics.iter();
        let targets = topics.flat_map(|topic| {
            let partitions = 0..topic.partitions.len() as i32;
            partitions.map(|partition| ElectionTarget { topic: &topic.name, partition })
        });
        targets.collect()
    }

    /// Decides on each partition by itself.
    #[must_use]
    pub fn elect_leaders(
        &self,
        election: ElectionType,
        targets: &[ElectionTarget<'_>],
    ) -> Decision<Vec<Result<(), Refusal>>> {
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        for target in targets {
            let outcome = self.elect_leader(election, *target);
            decision.reply.push(outcome.map(|record| decision.records.push(record)));
        }
        bounded(decision)
    }

    fn elect_leader(
        &self,
        election: ElectionType,
        ElectionTarget { topic: name, partition: index }: ElectionTarget<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let unknown = |text: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, text);
        let topic = self.image.topics.by_name(name);
        let topic = topic.ok_or_else(|| {
            // Said of each partition: a name that no topic can have is not repeated.
            let told = if name.len() <= topic_name::LENGTH_MAX { name } else { "this" };
            unknown(format!("No such topic as {told}"))
        })?;
        let change = PartitionChange::of(self, topic, index);
        let change =
            change.ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
        let leader = change.partition.leader;
        let preferred = change.partition.replicas.first().copied();
        let is_needed = match election {
            ElectionType::Preferred => preferred != Some(leader),
            ElectionType::Unclean => leader < 0,
        };
        if !is_needed {
            let text = "Leader election not needed for topic partition.";
            return Err(Refusal::new(ErrorCode::ElectionNotNeeded, text));
        }
        self.record_of_election(election, topic, change)
    }

    fn record_of_election(
        &self,
        election: ElectionType,
        _topic: &Topic,
        mut change: PartitionChange<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let partition = change.partition;
        let is_acceptable = |replica: i32| self.may_lead(partition, replica);
        change.election = match election {
            ElectionType::Preferred => Election::Preferred,
            ElectionType::Unclean => Election::Unclean,
        };
        let preferred = partition.replicas.first().copied().unwrap_or(-1);
        let can_lead = partition.isr.contains(&preferred)
            || (partition.isr.is_empty() && partition.eligible_leaders.contains(&preferred));
        let (error, text) = match election {
            ElectionType::Preferred => {
                (ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
            }
            ElectionType::Unclean => (
                ErrorCode::EligibleLeadersNotAvailable,
                "Eligible topic partition leaders are not available.",
            ),
        };
        let is_possible = match election {
            ElectionType::Preferred => can_lead && is_acceptable(preferred),
            ElectionType::Unclean => true,
        };
        let record = if is_possible { change.build(&is_acceptable) } else { None };
        record.ok_or_else(|| Refusal::new(error, text))
    }
}
