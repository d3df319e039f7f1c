//! OffsetFetch of one group.

use std::collections::BTreeMap;

use strom_base::{Now, Uuid};

use super::{GroupShard, Offsets, Out};
use crate::record::CommittedOffset;
use crate::request::{FetchGroup, FetchTopic};
use crate::response::{FetchedGroup, FetchedPartition, FetchedTopic};
use crate::versioned::Versioned;
use crate::{AnswerRoom, ErrorCode, ReplyToken, Response};

/// What one group is asked for.
pub(crate) struct FetchWish<'a> {
    pub(crate) require_stable: bool,
    pub(crate) group: &'a FetchGroup<'a>,
}

impl GroupShard {
    /// A stable read sees the commits under way and waits for them; any other sees what is
    /// committed.
    pub(crate) fn fetch_offsets(
        &mut self,
        now: Now,
        (token, room): (ReplyToken, &mut AnswerRoom),
        wish: &FetchWish<'_>,
        out: &mut Out,
    ) {
        let FetchWish { require_stable, group: request } = *wish;
        // A group can be named hundreds of thousands of times: it is not looked at for nothing.
        if room.is_used_up() {
            let refused =
                crate::failure::fetch_refused(request.group_id, ErrorCode::InvalidRequest);
            let response = Response::OffsetFetch(vec![refused]);
            out.push(crate::Effect::Reply { token, response });
            return;
        }
        let view = View { latest: require_stable };
        let group = self.groups.get(request.group_id);
        let exists = group.filter(|group| match view.latest {
            true => group.metadata.latest().is_some(),
            false => group.metadata.committed().is_some(),
        });
        let none = Offsets::new();
        let offsets = exists.map_or(&none, |group| &group.offsets);
        let topics = match &request.topics {
            Some(topics) => topics.iter().map(|topic| view.listed(offsets, topic, room)).collect(),
            None => offsets.iter().filter_map(|(name, all)| view.all(name, all, room)).collect(),
        };
        let group_id = request.group_id.to_owned();
        let fetched = if room.is_used_up() {
            crate::failure::fetch_refused(request.group_id, ErrorCode::InvalidRequest)
        } else {
            FetchedGroup { group_id, error: ErrorCode::None, topics }
        };
        let response = Response::OffsetFetch(vec![fetched]);
        if require_stable {
            self.append_then_reply(now, (token, response), Vec::new(), out);
        } else {
            out.push(crate::Effect::Reply { token, response });
        }
    }
}

/// Which version of the state a reader sees.
#[derive(Clone, Copy)]
struct View {
    latest: bool,
}

impl View {
    fn of(self, offset: &Versioned<CommittedOffset>) -> Option<&CommittedOffset> {
        if self.latest { offset.latest() } else { offset.committed() }
    }

    fn listed(
        self,
        offsets: &Offsets,
        topic: &FetchTopic<'_>,
        room: &mut AnswerRoom,
    ) -> FetchedTopic {
        let committed = offsets.get(topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let offset = committed.and_then(|offsets| offsets.get(partition));
            let offset = offset.and_then(|offset| self.of(offset));
            // Committed for a topic of that name that has been deleted since.
            let offset = offset.filter(|offset| is_same(offset.topic_id, topic.topic_id));
            fetched(*partition, offset, room)
        });
        FetchedTopic {
            name: topic.name.to_owned(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    }

    fn all(
        self,
        name: &str,
        offsets: &BTreeMap<i32, Versioned<CommittedOffset>>,
        room: &mut AnswerRoom,
    ) -> Option<FetchedTopic> {
        let mut topic_id = Uuid::ZERO;
        let mut partitions = Vec::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            if let Some(offset) = self.of(offset) {
                if !offset.topic_id.is_zero() {
                    topic_id = offset.topic_id;
                }
                partitions.push(fetched(*partition, Some(offset), room));
            }
        }
        let some = !partitions.is_empty();
        some.then(|| FetchedTopic { name: name.to_owned(), topic_id, partitions })
    }
}

/// Ids that are not known differ from none.
fn is_same(committed: Uuid, asked: Uuid) -> bool {
    committed.is_zero() || asked.is_zero() || committed == asked
}

/// Without what takes room when there is none left: the answer is another one then.
fn fetched(
    partition: i32,
    offset: Option<&CommittedOffset>,
    room: &mut AnswerRoom,
) -> FetchedPartition {
    let text = offset.map_or(0, |offset| offset.metadata.len());
    let fits = room.take(2 * size_of::<FetchedPartition>() + text);
    FetchedPartition {
        partition,
        offset: offset.map_or(-1, |offset| offset.offset),
        leader_epoch: offset.map_or(-1, |offset| offset.leader_epoch),
        metadata: offset.filter(|_| fits).map(|it| it.metadata.clone()).unwrap_or_default(),
        error: ErrorCode::None,
    }
}
