//! What becomes of a partition when its in-sync replicas change or a leader is wanted: the order of
//! decisions is that of Apache Kafka's `PartitionChangeBuilder`, for equal results.

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::partition_change_record::PartitionChangeRecord;

use super::{Controller, RecordBytes, configs::MIN_INSYNC_REPLICAS, encode};
use crate::image::{ConfigResource, Partition, Topic};
use crate::record_versions::RecordVersions;

const NO_LEADER: i32 = -1;
/// The leader may have lost records; it has to report when it has recovered.
const RECOVERING: i8 = 1;

/// Which replica is wanted as the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica, if it can be.
    Preferred,
    /// The leader as long as it can be, else any.
    Online,
    /// If need be a replica that is not in sync.
    Unclean,
}

/// A wish for one partition.
pub(super) struct PartitionChange<'a> {
    pub(super) topic_id: Uuid,
    pub(super) index: i32,
    pub(super) partition: &'a Partition,
    pub(super) election: Election,
    pub(super) isr: Vec<i32>,
    /// Lost what it had not synced: not eligible any more.
    pub(super) unclean_replica: Option<i32>,
    pub(super) min_isr: usize,
    pub(super) has_eligible_leaders: bool,
    pub(super) versions: RecordVersions,
}

impl<'a> PartitionChange<'a> {
    /// No change yet, with what the cluster says of the topic.
    pub(super) fn of(controller: &Controller, topic: &'a Topic, index: i32) -> Option<Self> {
        let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
        let election = if controller.allows_unclean_election(&topic.name) {
            Election::Unclean
        } else {
            Election::Online
        };
        Some(Self {
            topic_id: topic.id,
            index,
            partition,
            election,
            isr: partition.isr.to_vec(),
            unclean_replica: None,
            min_isr: controller.min_isr(topic),
            has_eligible_leaders: controller.has_eligible_leaders(),
            versions: controller.versions(),
        })
    }

    /// The record, or none when all stays as it is. `is_acceptable` says who may lead.
    pub(super) fn build(mut self, is_acceptable: &dyn Fn(i32) -> bool) -> Option<RecordBytes> {
        let mut eligible = self.eligible_leaders();
        let elected = self.elect(&eligible, is_acceptable);
        let mut record = PartitionChangeRecord {
            topic_id: self.topic_id,
            partition_id: self.index,
            ..Default::default()
        };
        let is_new_leader = elected.leader != self.partition.leader;
        if is_new_leader {
            record.leader = elected.leader;
            if eligible.contains(&elected.leader) {
                self.isr = vec![elected.leader];
                eligible.retain(|it| *it != elected.leader);
            } else if elected.is_unclean {
                self.isr = vec![elected.leader];
                eligible.clear();
                if self.partition.leader_recovery_state != RECOVERING {
                    record.leader_recovery_state = RECOVERING;
                }
            }
        }
        let may_be_empty = self.has_eligible_leaders || !self.isr.is_empty();
        let shrinks = may_be_empty && self.isr.len() < self.partition.isr.len();
        if may_be_empty && self.isr != *self.partition.isr {
            record.isr = Some(self.isr.clone());
        }
        if shrinks && self.versions.bumps_leader_epoch_on_isr_shrink() && !is_new_leader {
            record.leader = self.partition.leader;
        }
        if eligible != *self.partition.eligible_leaders {
            record.eligible_leader_replicas = Some(eligible);
        }
        record.last_known_elr = self.last_known(&record, is_new_leader);
        let is_change = is_new_leader
            || record.isr.is_some()
            || record.eligible_leader_replicas.is_some()
            || record.last_known_elr.is_some();
        is_change
            .then(|| encode(&MetadataRecord::PartitionChange(record), self.versions.partition()))
    }

    /// While too few are in sync: who was in sync when the others were lost.
    fn eligible_leaders(&self) -> Vec<i32> {
        let enough = self.min_isr.min(self.partition.replicas.len());
        if !self.has_eligible_leaders || self.isr.len() >= enough {
            return Vec::new();
        }
        let before = self.partition.eligible_leaders.iter().chain(&self.partition.isr).copied();
        let mut eligible = Vec::new();
        for replica in before {
            let is_lost = self.unclean_replica == Some(replica) || self.isr.contains(&replica);
            if !is_lost && !eligible.contains(&replica) {
                eligible.push(replica);
            }
        }
        eligible
    }

    fn elect(&self, eligible: &[i32], is_acceptable: &dyn Fn(i32) -> bool) -> Elected {
        let is_valid = |replica: &i32| {
            let is_up_to_date =
                self.isr.contains(replica) || (self.isr.is_empty() && eligible.contains(replica));
            is_up_to_date && is_acceptable(*replica)
        };
        let clean = |leader: i32| Elected { leader, is_unclean: false };
        let unclean = |leader: i32| Elected { leader, is_unclean: true };
        let replicas = &self.partition.replicas;
        let preferred = replicas.first().filter(|_| self.election == Election::Preferred);
        let current = Some(&self.partition.leader);
        let mut in_turn = preferred.into_iter().chain(current).chain(replicas.iter());
        if let Some(leader) = in_turn.find(|it| is_valid(it)) {
            return clean(*leader);
        }
        if self.election != Election::Preferred
            && let Some(leader) = self.last_known_leader(eligible).filter(|it| is_acceptable(*it))
        {
            return unclean(leader);
        }
        let any = replicas.iter().find(|it| is_acceptable(**it));
        match any.filter(|_| self.election == Election::Unclean) {
            Some(leader) => unclean(*leader),
            None => clean(NO_LEADER),
        }
    }

    /// With nobody in sync and nobody eligible, the last leader is the best guess (KIP-966).
    fn last_known_leader(&self, eligible: &[i32]) -> Option<i32> {
        match &*self.partition.last_known_eligible {
            [only] if self.has_eligible_leaders && self.isr.is_empty() && eligible.is_empty() => {
                Some(*only)
            }
            _ => None,
        }
    }

    fn last_known(&self, record: &PartitionChangeRecord<'_>, is_new: bool) -> Option<Vec<i32>> {
        let known = &*self.partition.last_known_eligible;
        let leader = self.partition.leader;
        let becomes_leaderless = record.isr.as_ref().is_some_and(Vec::is_empty);
        let has_leader = if is_new { record.leader >= 0 } else { leader >= 0 };
        if !self.has_eligible_leaders {
            None
        } else if becomes_leaderless && known != [leader] {
            Some(vec![leader])
        } else if has_leader && !known.is_empty() {
            Some(Vec::new())
        } else {
            None
        }
    }
}

struct Elected {
    leader: i32,
    is_unclean: bool,
}

impl Controller {
    /// The smallest set of replicas in sync that takes writes; 1 where nobody said.
    fn min_isr(&self, topic: &Topic) -> usize {
        let value_of = |resource: &ConfigResource| {
            self.image.configs.value(resource, MIN_INSYNC_REPLICAS)?.trim().parse().ok()
        };
        value_of(&ConfigResource::topic(&topic.name))
            .or_else(|| value_of(&ConfigResource::cluster()))
            .unwrap_or(1)
    }

    fn allows_unclean_election(&self, topic: &str) -> bool {
        let resources = [
            ConfigResource::topic(topic),
            ConfigResource::broker(self.settings.node_id),
            ConfigResource::cluster(),
        ];
        let value_of = |resource: &ConfigResource| {
            self.image.configs.value(resource, "unclean.leader.election.enable")
        };
        let value = resources.iter().find_map(value_of);
        value.map_or(self.settings.unclean_leader_election, |it| it.eq_ignore_ascii_case("true"))
    }
}
