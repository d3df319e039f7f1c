//! OffsetDelete, DeleteGroups, and what is left of deleted topics.

use std::sync::Arc;

use strom_base::Now;

use super::{Group, GroupShard, Out};
use crate::classic::State;
use crate::record::{OffsetKey, Record};
use crate::request::{DeleteTopic, OffsetDeleteRequest};
use crate::response::{DeletedGroup, DeletedTopic, OffsetDeleteResponse, PartitionResult};
use crate::{Effect, ErrorCode, ReplyToken, Response};

impl GroupShard {
    pub(super) fn delete_offsets(
        &mut self,
        now: Now,
        token: ReplyToken,
        request: &OffsetDeleteRequest<'_>,
        out: &mut Out,
    ) {
        let group_id = match self.validate_offset_delete(request.group_id) {
            Ok(group_id) => group_id,
            Err(error) => {
                let response = OffsetDeleteResponse { error, topics: Vec::new() };
                out.push(Effect::Reply { token, response: Response::OffsetDelete(response) });
                return;
            }
        };
        let mut records = Vec::new();
        let topics = request.topics.iter();
        let topics = topics.map(|topic| self.delete_of_topic(&group_id, topic, &mut records));
        let response = OffsetDeleteResponse { error: ErrorCode::None, topics: topics.collect() };
        let reply = (token, Response::OffsetDelete(response));
        self.append_then_reply(now, reply, records, out);
    }

    fn validate_offset_delete(&self, group_id: &str) -> Result<Arc<str>, ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let group = self.classic(group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        group.validate_offset_delete()?;
        Ok(self.shared(group_id))
    }

    fn delete_of_topic(
        &self,
        group_id: &Arc<str>,
        topic: &DeleteTopic<'_>,
        records: &mut Vec<Record>,
    ) -> DeletedTopic {
        let group = self.groups.get(group_id);
        let classic = group.and_then(|group| group.classic.as_ref());
        let error = match classic.is_some_and(|group| group.is_subscribed_to(topic.name)) {
            true => ErrorCode::GroupSubscribedToTopic,
            false => ErrorCode::None,
        };
        let offsets = group.and_then(|group| group.offsets.get_key_value(topic.name));
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for &partition in &topic.partitions {
            partitions.push(PartitionResult { partition, error });
            let Some((name, offsets)) = offsets.filter(|_| error == ErrorCode::None) else {
                continue;
            };
            if offsets.get(&partition).is_some_and(|offset| offset.latest().is_some()) {
                records.push(tombstone(group_id, name, partition));
            }
        }
        DeletedTopic { name: topic.name.to_owned(), partitions }
    }

    /// The empty group id is as good as any here, for clients of old.
    pub(crate) fn delete_group(
        &mut self,
        now: Now,
        token: ReplyToken,
        group_id: &str,
        out: &mut Out,
    ) {
        let state = self.classic(group_id).map(|group| group.state());
        let error = match state {
            None => ErrorCode::GroupIdNotFound,
            Some(State::Empty) => ErrorCode::None,
            Some(_) => ErrorCode::NonEmptyGroup,
        };
        let mut records = Vec::new();
        if error == ErrorCode::None {
            let group_id = self.shared(group_id);
            if let Some(group) = self.groups.get(&group_id) {
                group.tombstones(&group_id, |_| true, &mut records);
            }
            records.push(Record::Group(group_id, None));
        }
        let deleted = DeletedGroup { group_id: group_id.to_owned(), error };
        let reply = (token, Response::DeleteGroups(vec![deleted]));
        self.append_then_reply(now, reply, records, out);
    }

    /// The offsets committed for the topics go with them.
    pub fn on_topics_deleted(&mut self, now: Now, topics: &[&str], out: &mut Out) {
        let mut records = Vec::new();
        for (group_id, group) in &self.groups {
            group.tombstones(group_id, |topic| topics.contains(&topic), &mut records);
        }
        self.append_in_chunks(now, records, out);
    }
}

impl Group {
    /// Tombstones for the group's latest offsets that `is_over` picks by topic.
    fn tombstones(
        &self,
        group_id: &Arc<str>,
        is_over: impl Fn(&str) -> bool,
        records: &mut Vec<Record>,
    ) {
        for (topic, partitions) in &self.offsets {
            for (partition, offset) in partitions {
                if offset.latest().is_some() && is_over(topic) {
                    records.push(tombstone(group_id, topic, *partition));
                }
            }
        }
    }
}

pub(super) fn tombstone(group_id: &Arc<str>, topic: &Arc<str>, partition: i32) -> Record {
    let key = OffsetKey { group_id: group_id.clone(), topic: topic.clone(), partition };
    Record::Offset(key, None)
}
