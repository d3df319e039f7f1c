//! Fetch: the request's partitions and session, then [`crate::fetches`] serves or parks it.

use std::collections::BTreeSet;
use std::rc::Rc;

use strom_protocol::fetch::{FetchPiece, FetchedTopic, read_fetch_request};
use strom_protocol::fetch_request;
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::{ErrorCode, Reader};

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
    let version = call.version();
    let mut named = std::mem::take(&mut broker.fetch_sessions.spare);
    let request = read_fetch_request(reader, version, |piece| match piece {
        FetchPiece::Wanted(topic, partition) => {
            let last = named.partitions.last().map(|last| &last.topic);
            named.partitions.push(wanted(key_of(version, topic, last), &partition));
        }
        FetchPiece::Forgotten(topic, index) => {
            let last = named.forgotten.last().map(|(topic, _)| topic);
            named.forgotten.push((key_of(version, topic, last), index));
        }
    })?;
    keep_the_last_named(&mut named.partitions);
    let session = SessionRequest {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_ids: version >= FIRST_VERSION_WITH_IDS,
    };
    let opened = broker.fetch_sessions.open(turn.now.monotonic_ms, session, &mut named);
    named.partitions.clear();
    named.forgotten.clear();
    broker.fetch_sessions.spare = named;
    broker.let_go_of_logs();
    let source = match opened {
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
        is_overtime: false,
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

/// A topic as sessions know it; like the `last` one, if that is it.
fn key_of(version: i16, topic: FetchedTopic<'_>, last: Option<&TopicKey>) -> TopicKey {
    match last {
        _ if version >= FIRST_VERSION_WITH_IDS => TopicKey::Id(topic.id),
        Some(TopicKey::Name(name)) if **name == *topic.name => TopicKey::Name(Rc::clone(name)),
        _ => TopicKey::Name(topic.name.into()),
    }
}

fn wanted(topic: TopicKey, partition: &fetch_request::FetchPartition<'_>) -> FetchPartition {
    FetchPartition {
        topic,
        partition: partition.partition,
        fetch_offset: partition.fetch_offset,
        max_bytes: partition.partition_max_bytes,
        current_leader_epoch: partition.current_leader_epoch,
        last_fetched_epoch: partition.last_fetched_epoch,
        sent_high_watermark: -1,
        sent_log_start_offset: -1,
    }
}

/// Named twice, the last counts, as in Apache Kafka's map.
fn keep_the_last_named(partitions: &mut Vec<FetchPartition>) {
    if partitions.len() <= 1 {
        return;
    }
    let mut named = BTreeSet::new();
    let is_last: Vec<bool> =
        partitions.iter().rev().map(|it| named.insert((&it.topic, it.partition))).collect();
    let mut is_last = is_last.into_iter().rev();
    partitions.retain(|_| is_last.next().unwrap_or(true));
}

/// The error for a partition that is not here: by id it may be one we have not heard of yet.
pub(crate) fn missing_partition(version: i16, topic_is_known: bool) -> ErrorCode {
    if version >= FIRST_VERSION_WITH_IDS && !topic_is_known {
        ErrorCode::UnknownTopicId
    } else {
        ErrorCode::UnknownTopicOrPartition
    }
}
