//! Topics and their partitions.

use std::collections::BTreeMap;

use strom_base::{IdMap, Uuid};
use strom_protocol::partition_change_record::PartitionChangeRecord;
use strom_protocol::partition_record::PartitionRecord;
use strom_protocol::topic_record::TopicRecord;

use super::Delta;

/// Leader -2 in a change record: the leader stays.
const LEADER_UNCHANGED: i32 = -2;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The preferred leader first.
    pub replicas: Box<[i32]>,
    pub isr: Box<[i32]>,
    pub removing: Box<[i32]>,
    pub adding: Box<[i32]>,
    pub eligible_leaders: Box<[i32]>,
    pub last_known_eligible: Box<[i32]>,
    /// Parallel to `replicas`.
    pub directories: Box<[Uuid]>,
    /// -1: none.
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub leader_recovery_state: i8,
}

impl Partition {
    /// The directory of a broker's replica, which may be a name for none: see [`crate::directory_id`].
    #[must_use]
    pub fn directory_of(&self, broker: i32) -> Option<Uuid> {
        let place = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(place).copied()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: Uuid,
    pub name: Box<str>,
    /// Index: the partition's number.
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    by_id: IdMap<Uuid, Topic>,
    by_name: BTreeMap<Box<str>, Uuid>,
}

impl Topics {
    #[must_use]
    pub fn by_id(&self, id: Uuid) -> Option<&Topic> {
        self.by_id.get(&id)
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Topic> {
        self.by_id.get(self.by_name.get(name)?)
    }

    #[must_use]
    pub fn partition(&self, topic_id: Uuid, index: i32) -> Option<&Partition> {
        self.by_id.get(&topic_id)?.partitions.get(usize::try_from(index).ok()?)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// The topics whose names are not before `name`, in the order of their names.
    pub fn from_name<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Topic> {
        let bounds = (std::ops::Bound::Included(name), std::ops::Bound::Unbounded);
        self.by_name.range::<str, _>(bounds).filter_map(|(_, id)| self.by_id.get(id))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn add(
        &mut self,
        record: &TopicRecord<'_>,
        delta: &mut Delta,
    ) -> Result<(), String> {
        if self.by_name.contains_key(record.name) || self.by_id.contains_key(&record.topic_id) {
            return Err(format!("topic {} exists", record.name));
        }
        let name: Box<str> = record.name.into();
        self.by_name.insert(name.clone(), record.topic_id);
        let topic = Topic { id: record.topic_id, name, partitions: Vec::new() };
        self.by_id.insert(record.topic_id, topic);
        delta.topics.entry(record.topic_id).or_default();
        Ok(())
    }

    pub(super) fn remove(&mut self, id: Uuid, delta: &mut Delta) -> Result<String, String> {
        let topic = self.by_id.remove(&id).ok_or_else(|| format!("topic {id} is unknown"))?;
        self.by_name.remove(&topic.name);
        delta.remove_topic(id, &topic.name);
        Ok(topic.name.into())
    }

    pub(super) fn set_partition(
        &mut self,
        record: &PartitionRecord<'_>,
        delta: &mut Delta,
    ) -> Result<(), String> {
        let topic = self.topic_mut(record.topic_id)?;
        let partition = Partition {
            replicas: record.replicas.as_slice().into(),
            isr: record.isr.as_slice().into(),
            removing: record.removing_replicas.as_slice().into(),
            adding: record.adding_replicas.as_slice().into(),
            eligible_leaders: boxed(record.eligible_leader_replicas.as_ref()),
            last_known_eligible: boxed(record.last_known_elr.as_ref()),
            directories: directories_of(&record.directories, &record.replicas),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            leader_recovery_state: record.leader_recovery_state,
        };
        let index = usize::try_from(record.partition_id).unwrap_or(usize::MAX);
        if index == topic.partitions.len() {
            topic.partitions.push(partition);
        } else if let Some(known) = topic.partitions.get_mut(index) {
            *known = partition;
        } else {
            return Err(format!("partition {index} of {} leaves a gap", topic.name));
        }
        delta.add_partition(record.topic_id, record.partition_id);
        Ok(())
    }

    pub(super) fn change_partition(
        &mut self,
        record: &PartitionChangeRecord<'_>,
        delta: &mut Delta,
    ) -> Result<(), String> {
        let topic = self.topic_mut(record.topic_id)?;
        let index = usize::try_from(record.partition_id).unwrap_or(usize::MAX);
        let partition = topic
            .partitions
            .get_mut(index)
            .ok_or_else(|| format!("partition {} is unknown", record.partition_id))?;
        let set = |place: &mut Box<[i32]>, value: &Option<Vec<i32>>| {
            if let Some(value) = value {
                *place = value.as_slice().into();
            }
        };
        set(&mut partition.isr, &record.isr);
        set(&mut partition.replicas, &record.replicas);
        set(&mut partition.removing, &record.removing_replicas);
        set(&mut partition.adding, &record.adding_replicas);
        set(&mut partition.eligible_leaders, &record.eligible_leader_replicas);
        set(&mut partition.last_known_eligible, &record.last_known_elr);
        let directories = record.directories.as_deref().unwrap_or(&partition.directories);
        partition.directories = directories_of(directories, &partition.replicas);
        if record.leader_recovery_state >= 0 {
            partition.leader_recovery_state = record.leader_recovery_state;
        }
        // A leader that is named, even the same one, begins a new epoch.
        if record.leader != LEADER_UNCHANGED {
            partition.leader = record.leader;
            partition.leader_epoch += 1;
        }
        partition.partition_epoch += 1;
        delta.add_partition(record.topic_id, record.partition_id);
        Ok(())
    }

    /// Forgets eligible leaders of a topic; of all topics when the name is empty.
    pub(super) fn clear_elr(&mut self, name: &str, delta: &mut Delta) -> Result<(), String> {
        if !name.is_empty() && !self.by_name.contains_key(name) {
            return Err(format!("topic {name} is unknown"));
        }
        let is_meant = |topic: &&mut Topic| name.is_empty() || &*topic.name == name;
        for topic in self.by_id.values_mut().filter(is_meant) {
            for (index, partition) in (0..).zip(&mut topic.partitions) {
                if !(partition.eligible_leaders.is_empty()
                    && partition.last_known_eligible.is_empty())
                {
                    partition.eligible_leaders = Box::default();
                    partition.last_known_eligible = Box::default();
                    delta.add_partition(topic.id, index);
                }
            }
        }
        Ok(())
    }

    fn topic_mut(&mut self, id: Uuid) -> Result<&mut Topic, String> {
        self.by_id.get_mut(&id).ok_or_else(|| format!("topic {id} is unknown"))
    }
}

fn boxed(value: Option<&Vec<i32>>) -> Box<[i32]> {
    value.map(|value| value.as_slice().into()).unwrap_or_default()
}

/// Parallel to the replicas; those that no directory is known of are being migrated (KIP-858).
fn directories_of(directories: &[Uuid], replicas: &[i32]) -> Box<[Uuid]> {
    if directories.len() == replicas.len() {
        directories.into()
    } else {
        vec![crate::directory_id::MIGRATING; replicas.len()].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_of_three_replicas_takes_less_than_half_a_kibibyte() {
        let lists = 3 * size_of::<i32>() * 2 + 3 * size_of::<Uuid>();
        assert!(size_of::<Partition>() + lists < 256);
    }
}
