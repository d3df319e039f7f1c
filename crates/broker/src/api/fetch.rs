//! Fetch: the request's partitions and session, then [`crate::fetches`] serves or parks it.

use std::collections::BTreeSet;

use strom_base::Uuid;
use strom_protocol::fetch_request::FetchRequest;
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;
use crate::fetch_sessions::{FetchPartition, Opened, SessionRequest, TopicKey};
use crate::fetches::{ParkedFetch, Source};

/// Since this version topics are named by their ids only.
const FIRST_VERSION_WITH_IDS: i16 = 13;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let request = FetchRequest::decode(reader, call.version())?;
    let session = SessionRequest {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_ids: call.version() >= FIRST_VERSION_WITH_IDS,
        partitions: wanted(call.version(), &request),
        forgotten: forgotten(call.version(), &request),
    };
    let source = match broker.fetch_sessions.open(turn.now.monotonic_ms, session) {
        Ok(Opened::Sessionless(partitions)) => Source::Owned(partitions),
        Ok(Opened::Full { session_id }) => Source::Session { session_id, incremental: false },
        Ok(Opened::Incremental { session_id }) => Source::Session { session_id, incremental: true },
        Err(error) => {
            let response = FetchResponse { error_code: error.code(), ..Default::default() };
            return Ok(Handled::Outcome(call.reply(&response)?));
        }
    };
    let is_follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
    let fetch = ParkedFetch {
        address: call.address,
        source,
        deadline_ms: turn.now.deadline_ms(i64::from(request.max_wait_ms)),
        min_bytes: u64::from(request.min_bytes.max(0).unsigned_abs()),
        max_bytes: request
            .max_bytes
            .clamp(0, broker.settings.node.fetch.fetch_max_bytes)
            .unsigned_abs(),
        is_read_committed: request.isolation_level == 1,
        is_follower,
        waits_on: Vec::new(),
    };
    broker.serve_fetch(turn, fetch, request.max_wait_ms <= 0).map(Handled::Outcome)
}

fn key_of(version: i16, name: &str, id: Uuid) -> TopicKey {
    if version >= FIRST_VERSION_WITH_IDS { TopicKey::Id(id) } else { TopicKey::Name(name.into()) }
}

fn wanted(version: i16, request: &FetchRequest<'_>) -> Vec<FetchPartition> {
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let key = key_of(version, topic.topic, topic.topic_id);
        partitions.extend(topic.partitions.iter().map(|partition| FetchPartition {
            topic: key.clone(),
            partition: partition.partition,
            fetch_offset: partition.fetch_offset,
            max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
            sent_high_watermark: -1,
            sent_log_start_offset: -1,
        }));
    }
    // Named twice, the last counts, as in Apache Kafka's map.
    let mut named = BTreeSet::new();
    let is_last: Vec<bool> =
        partitions.iter().rev().map(|it| named.insert((&it.topic, it.partition))).collect();
    let mut is_last = is_last.into_iter().rev();
    partitions.retain(|_| is_last.next().unwrap_or(true));
    partitions
}

fn forgotten(version: i16, request: &FetchRequest<'_>) -> Vec<(TopicKey, i32)> {
    let mut partitions = Vec::new();
    for topic in &request.forgotten_topics_data {
        let key = key_of(version, topic.topic, topic.topic_id);
        partitions.extend(topic.partitions.iter().map(|index| (key.clone(), *index)));
    }
    partitions
}

/// The error for a partition that is not here: by id it may be one we have not heard of yet.
pub(crate) fn missing_partition(version: i16, topic_is_known: bool) -> ErrorCode {
    if version >= FIRST_VERSION_WITH_IDS && !topic_is_known {
        ErrorCode::UnknownTopicId
    } else {
        ErrorCode::UnknownTopicOrPartition
    }
}
