//! Offsets that were kept long enough, and groups that nothing is left of.

use std::sync::Arc;

use strom_base::Now;

use super::delete::tombstone;
use super::{GroupShard, Out};
use crate::classic::{ClassicGroup, State};
use crate::record::Record;

impl GroupShard {
    pub(super) fn schedule_expiry(&mut self, now: Now) {
        // An interval of nothing would keep the node busy.
        let interval_ms = self.config.offsets_retention_check_interval_ms.max(1);
        self.expire_at_ms = Some(now.deadline_ms(interval_ms));
        // A jump before the first check is to be noticed, too.
        self.retention_clock.read(now);
    }

    pub(super) fn expire_offsets(&mut self, now: Now, out: &mut Out) {
        let mut records = Vec::new();
        let wall_ms = self.retention_clock.read(now).wall_ms;
        for group_id in self.groups.keys() {
            let Some(classic) = self.classic(group_id) else { continue };
            let nothing_left = self.expire_of_group(wall_ms, (group_id, classic), &mut records);
            if nothing_left && classic.state() == State::Empty {
                records.push(Record::Group(group_id.clone(), None));
            }
        }
        self.append_in_chunks(now, records, out);
    }

    /// Whether the group keeps no offset.
    fn expire_of_group(
        &self,
        wall_ms: i64,
        (group_id, classic): (&Arc<str>, &ClassicGroup),
        records: &mut Vec<Record>,
    ) -> bool {
        let Some(group) = self.groups.get(group_id).filter(|group| group.has_latest_offsets())
        else {
            return true;
        };
        let Some(start) = classic.retention_start() else { return false };
        let kept_ms = self.config.offsets_retention_ms;
        let mut nothing_left = true;
        for (topic, partitions) in &group.offsets {
            let subscribed = classic.is_subscribed_to(topic);
            for (partition, offset) in partitions {
                let Some(offset) = offset.latest() else { continue };
                if !subscribed && start.is_expired(offset, wall_ms, kept_ms) {
                    records.push(tombstone(group_id, topic, *partition));
                } else {
                    nothing_left = false;
                }
            }
        }
        nothing_left
    }
}
