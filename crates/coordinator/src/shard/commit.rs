//! OffsetCommit.

use strom_base::Now;

use super::{GroupShard, Out};
use crate::record::{CommittedOffset, OffsetKey, Record};
use crate::request::{CommitPartition, CommitTopic, OffsetCommitRequest};
use crate::response::{CommittedTopic, PartitionResult};
use crate::{Effect, ErrorCode, ReplyToken, Response};

/// From this version on a missing group is called that.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;
/// OffsetCommit's way to ask for the broker's retention.
const DEFAULT_RETENTION: i64 = -1;

impl GroupShard {
    pub(super) fn commit_offsets(
        &mut self,
        now: Now,
        token: ReplyToken,
        request: &OffsetCommitRequest<'_>,
        out: &mut Out,
    ) {
        if let Err(error) = self.validate_commit(request) {
            let response = Response::OffsetCommit(commit_refused(request, error));
            out.push(Effect::Reply { token, response });
            return;
        }
        let group_id = self.shared(request.group_id);
        if let Some(mut turn) = self.turn(now, &group_id, out)
            && turn.group.commit_renews_session()
        {
            turn.renew_session(request.member_id);
        }
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name = self.shared_topic(request.group_id, topic.name);
            let mut results = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let error = self.validate_metadata(partition);
                if error == ErrorCode::None {
                    let key = OffsetKey {
                        group_id: group_id.clone(),
                        topic: name.clone(),
                        partition: partition.partition,
                    };
                    let offset = committed_offset(now, request, (topic, partition));
                    records.push(Record::Offset(key, Some(offset)));
                }
                results.push(PartitionResult { partition: partition.partition, error });
            }
            topics.push(committed_topic(topic, results));
        }
        self.append_then_reply(now, (token, Response::OffsetCommit(topics)), records, out);
    }

    /// The empty group id is as good as any here, for clients of old.
    fn validate_commit(&self, request: &OffsetCommitRequest<'_>) -> Result<(), ErrorCode> {
        match self.classic(request.group_id) {
            Some(group) => group.validate_offset_commit(request),
            None if request.generation_id < 0 => Ok(()),
            None if request.version >= GROUP_ID_NOT_FOUND_SINCE => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }

    fn validate_metadata(&self, partition: &CommitPartition<'_>) -> ErrorCode {
        let length = partition.metadata.map_or(0, |metadata| metadata.encode_utf16().count());
        let max_length = usize::try_from(self.config.offset_metadata_max_bytes).unwrap_or(0);
        if length > max_length { ErrorCode::OffsetMetadataTooLarge } else { ErrorCode::None }
    }

    fn shared_topic(&self, group_id: &str, topic: &str) -> std::sync::Arc<str> {
        let group = self.groups.get(group_id);
        let known = group.and_then(|group| group.offsets.get_key_value(topic));
        known.map_or_else(|| topic.into(), |(topic, _)| topic.clone())
    }
}

fn committed_offset(
    now: Now,
    request: &OffsetCommitRequest<'_>,
    (topic, partition): (&CommitTopic<'_>, &CommitPartition<'_>),
) -> CommittedOffset {
    let retention = Some(request.retention_time_ms).filter(|time| *time != DEFAULT_RETENTION);
    CommittedOffset {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch.max(-1),
        metadata: partition.metadata.unwrap_or_default().to_owned(),
        commit_timestamp_ms: now.wall_ms,
        expire_timestamp_ms: retention.map(|time_ms| now.wall_ms.saturating_add(time_ms)),
        topic_id: topic.topic_id,
    }
}

/// Every partition gets the error of the whole.
pub(crate) fn commit_refused(
    request: &OffsetCommitRequest<'_>,
    error: ErrorCode,
) -> Vec<CommittedTopic> {
    let topics = request.topics.iter().map(|topic| {
        let results = topic.partitions.iter();
        let results =
            results.map(|partition| PartitionResult { partition: partition.partition, error });
        committed_topic(topic, results.collect())
    });
    topics.collect()
}

fn committed_topic(topic: &CommitTopic<'_>, partitions: Vec<PartitionResult>) -> CommittedTopic {
    CommittedTopic { name: topic.name.to_owned(), topic_id: topic.topic_id, partitions }
}
