//! The only place where hard state changes: a record is taken in.

use std::sync::Arc;

use super::{Group, GroupShard, Parked};
use crate::record::{OffsetKey, Record, RecordKey, StoredGroup};

impl GroupShard {
    /// Takes in a record that rides on `ticket`, or one that was read from the log.
    /// Gives back what the record touched.
    pub(super) fn apply(&mut self, ticket: Option<u64>, record: Record) -> Vec<RecordKey> {
        match record {
            Record::Offset(key, value) => {
                let group = self.groups.entry(key.group_id.clone()).or_default();
                // Offsets of nobody's group make a group of simple consumers.
                let may_create =
                    value.is_some() && group.metadata.put_if_absent(ticket, StoredGroup::default());
                let partitions = group.offsets.entry(key.topic.clone()).or_default();
                partitions.entry(key.partition).or_default().put(ticket, value);
                let group_id = key.group_id.clone();
                let mut touched = vec![RecordKey::Offset(key)];
                if may_create {
                    touched.push(RecordKey::Group(group_id));
                }
                if ticket.is_none() {
                    self.settle(&touched);
                }
                touched
            }
            Record::Group(group_id, value) => {
                let group = self.groups.entry(group_id.clone()).or_default();
                group.metadata.put(ticket, value);
                let touched = vec![RecordKey::Group(group_id)];
                if ticket.is_none() {
                    self.settle(&touched);
                }
                touched
            }
        }
    }

    pub(super) fn commit_versions(&mut self, ticket: u64, touched: &[RecordKey]) {
        for key in touched {
            match key {
                RecordKey::Offset(key) => {
                    if let Some(offset) = self.offset_mut(key) {
                        offset.commit(ticket);
                    }
                }
                RecordKey::Group(group_id) => {
                    if let Some(group) = self.groups.get_mut(group_id) {
                        group.metadata.commit(ticket);
                    }
                }
            }
        }
    }

    pub(super) fn abort_versions(&mut self, ticket: u64, touched: &[RecordKey]) {
        for key in touched {
            match key {
                RecordKey::Offset(key) => {
                    if let Some(offset) = self.offset_mut(key) {
                        offset.abort(ticket);
                    }
                }
                RecordKey::Group(group_id) => {
                    if let Some(group) = self.groups.get_mut(group_id) {
                        group.metadata.abort(ticket);
                    }
                }
            }
        }
    }

    fn offset_mut(
        &mut self,
        key: &OffsetKey,
    ) -> Option<&mut crate::versioned::Versioned<crate::record::CommittedOffset>> {
        let group = self.groups.get_mut(&key.group_id)?;
        group.offsets.get_mut(&key.topic)?.get_mut(&key.partition)
    }

    /// Forgets what is neither there nor on its way.
    pub(super) fn settle(&mut self, touched: &[RecordKey]) {
        for key in touched {
            let group_id = match key {
                RecordKey::Offset(key) => {
                    self.settle_offset(key);
                    &key.group_id
                }
                RecordKey::Group(group_id) => group_id,
            };
            if self.groups.get(group_id).is_some_and(Group::is_vacant) {
                self.groups.remove(group_id);
            }
        }
    }

    fn settle_offset(&mut self, key: &OffsetKey) {
        let Some(group) = self.groups.get_mut(&key.group_id) else { return };
        let Some(partitions) = group.offsets.get_mut(&key.topic) else { return };
        if partitions.get(&key.partition).is_some_and(|offset| offset.is_vacant()) {
            partitions.remove(&key.partition);
        }
        if partitions.is_empty() {
            group.offsets.remove(&key.topic);
        }
    }

    /// The group id in the spelling that is shared, whether the group exists or not.
    pub(super) fn shared(&self, group_id: &str) -> Arc<str> {
        match self.groups.get_key_value(group_id) {
            Some((group_id, _)) => group_id.clone(),
            None => group_id.into(),
        }
    }
}

impl Group {
    fn is_vacant(&self) -> bool {
        self.metadata.is_vacant() && self.offsets.is_empty() && self.classic.is_none()
    }

    /// Whether any offset is there, or will be when the appends under way succeed.
    pub(super) fn has_latest_offsets(&self) -> bool {
        let mut offsets = self.offsets.values().flat_map(|partitions| partitions.values());
        offsets.any(|offset| offset.latest().is_some())
    }
}

impl Parked {
    /// The request that waits, unless the group itself keeps it.
    pub(super) fn token(&self) -> Option<crate::ReplyToken> {
        match self {
            Parked::Reply { token, .. } => Some(*token),
            Parked::Stored { .. } => None,
        }
    }
}
