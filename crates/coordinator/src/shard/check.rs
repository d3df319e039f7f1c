//! The invariants of a shard, each by name. For tests and the simulator, after every event.

use super::{Group, GroupShard};
use crate::record::{OffsetKey, Record, codec};
use crate::{OwnedRecord, ReplyToken};

impl GroupShard {
    /// # Panics
    /// An invariant is broken.
    pub fn check(&self) {
        self.timers.check();
        for (group_id, group) in &self.groups {
            group.check_exists_as_a_whole(group_id);
            group.check_pending_versions_are_in_flight(self);
            if let Some(classic) = &group.classic {
                classic.check();
            }
        }
        self.check_nobody_waits_twice();
    }

    /// Every request that has not been answered, in no particular order.
    #[must_use]
    pub fn waiting(&self) -> Vec<ReplyToken> {
        let mut waiting: Vec<ReplyToken> =
            self.outbox.parked().filter_map(|parked| parked.token()).collect();
        for classic in self.groups.values().filter_map(|group| group.classic.as_ref()) {
            classic.waiting(&mut waiting);
        }
        waiting
    }

    /// The committed state as the shortest log that says it: groups by id, each before its offsets.
    #[must_use]
    pub fn stored_records(&self) -> Vec<OwnedRecord> {
        let mut records = Vec::new();
        for (group_id, group) in &self.groups {
            if let Some(stored) = group.metadata.committed() {
                records.push(Record::Group(group_id.clone(), Some(stored.clone())));
            }
            for (topic, partitions) in &group.offsets {
                for (partition, offset) in partitions {
                    let key = OffsetKey {
                        group_id: group_id.clone(),
                        topic: topic.clone(),
                        partition: *partition,
                    };
                    let offset = offset.committed().cloned();
                    records.extend(offset.map(|offset| Record::Offset(key, Some(offset))));
                }
            }
        }
        records.iter().filter_map(|record| codec::encode(record).ok()).collect()
    }

    fn check_nobody_waits_twice(&self) {
        let mut waiting = self.waiting();
        waiting.sort_unstable();
        let count = waiting.len();
        waiting.dedup();
        assert_eq!(waiting.len(), count, "a request waits twice");
    }
}

impl Group {
    fn check_exists_as_a_whole(&self, group_id: &str) {
        let exists = self.metadata.latest().is_some();
        assert_eq!(exists, self.classic.is_some(), "group {group_id} exists by half");
        for (topic, partitions) in &self.offsets {
            assert!(!partitions.is_empty(), "topic {topic} of group {group_id} is left empty");
        }
    }

    fn check_pending_versions_are_in_flight(&self, shard: &GroupShard) {
        let offsets = self.offsets.values().flat_map(|partitions| partitions.values());
        let tickets = offsets.flat_map(|offset| offset.tickets()).chain(self.metadata.tickets());
        for ticket in tickets {
            assert!(shard.outbox.is_in_flight(ticket), "append {ticket} left a version behind");
        }
    }
}
