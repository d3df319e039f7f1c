//! Serving fetches: reading each partition, waiting until there is enough, the answer of ranges.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::Uuid;
use strom_protocol::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, PartitionData,
};
use strom_protocol::{ErrorCode, Records};
use strom_replica::partition::{Fetched, ReadFrom};
use strom_replica::{FetchToken, Watcher};
use strom_storage::config::CompressionType;
use strom_storage::disk::LogId;

use crate::Broker;
use crate::api::fetch::missing_partition;
use crate::call::{Outcome, RequestError, ReturnAddress};
use crate::effect::{ConnectionId, FileRange, Response, Turn};
use crate::fetch_sessions::{FetchPartition, TopicKey};

/// Below them readers do not know zstd (KIP-110) …
const FIRST_VERSION_WITH_ZSTD: i16 = 10;
/// … and KAFKA_STORAGE_ERROR.
const FIRST_VERSION_WITH_STORAGE_ERROR: i16 = 6;

/// Memory of all parked fetches together; beyond it they are answered with what there is, as if their
/// time were over.
const PARKED_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) enum Source {
    Owned(Vec<FetchPartition>),
    Session { session_id: i32, incremental: bool },
}

/// A fetch with its limits; parked while there is less than it wants.
#[derive(Debug)]
pub(crate) struct ParkedFetch {
    pub(crate) address: ReturnAddress,
    pub(crate) source: Source,
    pub(crate) deadline_ms: u64,
    pub(crate) min_bytes: u64,
    pub(crate) max_bytes: u32,
    pub(crate) is_read_committed: bool,
    pub(crate) is_follower: bool,
    /// The logs it waits on while parked; a session's partitions may change meanwhile.
    pub(crate) waits_on: Vec<LogId>,
}

/// All fetches that wait, with their deadlines.
#[derive(Debug, Default)]
pub(crate) struct ParkedFetches {
    by_token: BTreeMap<FetchToken, ParkedFetch>,
    deadlines: BTreeSet<(u64, FetchToken)>,
    last_token: u64,
    /// Memory that all of them take together.
    bytes: usize,
}

impl ParkedFetch {
    /// Memory that it takes while it is parked.
    fn bytes(&self) -> usize {
        let partitions = match &self.source {
            Source::Owned(partitions) => partitions.len(),
            Source::Session { .. } => 0,
        };
        let waiting = self.waits_on.len();
        size_of::<Self>()
            + partitions * size_of::<FetchPartition>()
            + waiting * (size_of::<LogId>() + size_of::<FetchToken>())
    }
}

impl ParkedFetches {
    fn has_room(&self) -> bool {
        self.bytes < PARKED_BYTES_MAX
    }

    fn park(&mut self, fetch: ParkedFetch) -> FetchToken {
        self.last_token += 1;
        let token = FetchToken(self.last_token);
        self.deadlines.insert((fetch.deadline_ms, token));
        self.bytes += fetch.bytes();
        self.by_token.insert(token, fetch);
        token
    }

    fn take(&mut self, token: FetchToken) -> Option<ParkedFetch> {
        let fetch = self.by_token.remove(&token)?;
        self.deadlines.remove(&(fetch.deadline_ms, token));
        self.bytes = self.bytes.saturating_sub(fetch.bytes());
        Some(fetch)
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    fn due(&self, now_ms: u64) -> Option<FetchToken> {
        self.deadlines.first().filter(|(deadline_ms, _)| *deadline_ms <= now_ms).map(|(_, t)| *t)
    }

    /// Tokens of a connection that has gone.
    fn of_connection(&self, connection: ConnectionId) -> Vec<FetchToken> {
        let is_its = |fetch: &ParkedFetch| fetch.address.to.connection == connection;
        self.by_token.iter().filter(|(_, fetch)| is_its(fetch)).map(|(token, _)| *token).collect()
    }
}

/// One partition's part of an answer.
struct Part {
    /// Index into the source's partitions.
    index: usize,
    error: ErrorCode,
    fetched: Fetched,
}

/// What can be answered now.
struct Served {
    parts: Vec<Part>,
    bytes: u64,
    /// An error or a divergence, which is told at once.
    is_urgent: bool,
}

impl Broker {
    /// Answers a fetch now or parks it until there is enough or its time is over.
    pub(crate) fn serve_fetch(
        &mut self,
        turn: &mut Turn<'_>,
        mut fetch: ParkedFetch,
        is_due: bool,
    ) -> Result<Outcome, RequestError> {
        let served = self.read_parts(turn, &fetch);
        let nothing_asked = served.parts.is_empty();
        let may_not_wait = is_due || nothing_asked || !self.parked_fetches.has_room();
        if may_not_wait || served.is_urgent || served.bytes >= fetch.min_bytes {
            return self.answer_fetch(&fetch, &served).map(Outcome::Reply);
        }
        let waits_on: Vec<_> = self
            .source_partitions(&fetch.source)
            .iter()
            .filter_map(|wanted| self.partitions.find(self.topic_of(wanted)?, wanted.partition))
            .collect();
        fetch.waits_on.clone_from(&waits_on);
        let token = self.parked_fetches.park(fetch);
        for log in waits_on {
            if let Some(partition) = self.partitions.get_mut(log) {
                partition.waiting.watch(Watcher::Fetch(token));
            }
        }
        Ok(Outcome::Parked)
    }

    fn source_partitions<'a>(&'a self, source: &'a Source) -> &'a [FetchPartition] {
        match source {
            Source::Owned(partitions) => partitions,
            Source::Session { session_id, .. } => self.fetch_sessions.partitions(*session_id),
        }
    }

    /// The topic that the reader means at this moment.
    fn topic_of(&self, wanted: &FetchPartition) -> Option<Uuid> {
        match &wanted.topic {
            TopicKey::Id(id) => Some(*id),
            TopicKey::Name(name) => self.metadata.image().topics.by_name(name).map(|it| it.id),
        }
    }

    fn read_parts(&self, turn: &Turn<'_>, fetch: &ParkedFetch) -> Served {
        let wanted = self.source_partitions(&fetch.source);
        let mut served =
            Served { parts: Vec::with_capacity(wanted.len()), bytes: 0, is_urgent: false };
        for (index, wanted) in wanted.iter().enumerate() {
            let left = u64::from(fetch.max_bytes).saturating_sub(served.bytes) as u32;
            let part = self.read_part(turn, fetch, wanted, left, served.bytes == 0);
            let (error, fetched) = match part {
                Ok(fetched) => (ErrorCode::None, fetched),
                Err(error) => (error, Fetched::default()),
            };
            served.is_urgent |= error != ErrorCode::None || fetched.diverging.is_some();
            served.bytes += fetched.slice.map_or(0, |slice| u64::from(slice.length));
            served.parts.push(Part { index, error, fetched });
        }
        served
    }

    fn read_part(
        &self,
        turn: &Turn<'_>,
        fetch: &ParkedFetch,
        wanted: &FetchPartition,
        bytes_left: u32,
        is_first: bool,
    ) -> Result<Fetched, ErrorCode> {
        let version = fetch.address.version;
        let missing = || {
            let (_, id) = wanted.topic.told();
            missing_partition(version, self.metadata.image().topics.by_id(id).is_some())
        };
        let topic = self.topic_of(wanted).ok_or_else(missing)?;
        let log = self.partitions.find(topic, wanted.partition).ok_or_else(missing)?;
        let partition = self.partitions.get(log).ok_or_else(missing)?;
        let is_zstd = partition.log.config().compression == CompressionType::Zstd;
        if is_zstd && version < FIRST_VERSION_WITH_ZSTD {
            return Err(ErrorCode::UnsupportedCompressionType);
        }
        let max_bytes = wanted.max_bytes.max(0).unsigned_abs().min(bytes_left);
        let fetched = partition.fetch(
            turn.files,
            &ReadFrom {
                offset: wanted.fetch_offset,
                max_bytes,
                at_least_one_batch: is_first,
                is_read_committed: fetch.is_read_committed,
                is_follower: fetch.is_follower,
                current_leader_epoch: wanted.current_leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
            },
        );
        fetched.map_err(|error| match error {
            // Readers that do not know the code ask for metadata again by this one (KIP-112).
            ErrorCode::KafkaStorageError if version < FIRST_VERSION_WITH_STORAGE_ERROR => {
                ErrorCode::NotLeaderOrFollower
            }
            error => error,
        })
    }

    fn answer_fetch(
        &mut self,
        fetch: &ParkedFetch,
        served: &Served,
    ) -> Result<Response, RequestError> {
        let (session_id, incremental) = match &fetch.source {
            Source::Owned(_) => (0, false),
            Source::Session { session_id, incremental } => (*session_id, *incremental),
        };
        let wanted = self.source_partitions(&fetch.source);
        let mut response = FetchResponse { session_id, ..Default::default() };
        let mut ranges = Vec::new();
        for part in &served.parts {
            let Some(wanted) = wanted.get(part.index) else { continue };
            if incremental && !is_news(wanted, part) {
                continue;
            }
            if let Some(slice) = part.fetched.slice {
                ranges.push(FileRange {
                    at: 0,
                    file: slice.file,
                    position: slice.position,
                    length: slice.length,
                });
            }
            push_part(&mut response, wanted, partition_data(fetch, wanted, part));
        }
        let response = fetch.address.encode_with_ranges(&response, ranges)?;
        self.note_sent(session_id, &served.parts);
        Ok(response)
    }

    /// Remembers in the session what its client was told.
    fn note_sent(&mut self, session_id: i32, parts: &[Part]) {
        let partitions = self.fetch_sessions.partitions_mut(session_id);
        let mut with_data = Vec::new();
        for part in parts {
            let Some(partition) = partitions.get_mut(part.index) else { continue };
            // An error is not remembered as told: the next incremental answer repeats it.
            let is_error = part.error != ErrorCode::None;
            partition.sent_high_watermark = if is_error { -1 } else { part.fetched.high_watermark };
            partition.sent_log_start_offset = part.fetched.log_start_offset;
            if part.fetched.slice.is_some() {
                with_data.push(part.index);
            }
        }
        if !with_data.is_empty() {
            self.fetch_sessions.serve_last(session_id, &with_data);
        }
    }

    pub(crate) fn expire_fetches(&mut self, turn: &mut Turn<'_>) {
        while let Some(token) = self.parked_fetches.due(turn.now.monotonic_ms) {
            self.retry_fetch(turn, token, true);
        }
    }

    /// Tells those who waited for a partition that it has moved.
    pub(crate) fn tell_watchers(&mut self, turn: &mut Turn<'_>, watchers: &mut Vec<Watcher>) {
        for watcher in watchers.drain(..) {
            match watcher {
                Watcher::Fetch(token) => self.retry_fetch(turn, token, false),
                Watcher::Session { .. } => {}
            }
        }
    }

    fn retry_fetch(&mut self, turn: &mut Turn<'_>, token: FetchToken, is_due: bool) {
        let Some(fetch) = self.parked_fetches.take(token) else { return };
        self.forget_waiting(&fetch, token);
        let to = fetch.address.to;
        let result = self.serve_fetch(turn, fetch, is_due);
        self.conclude(turn, to, result);
    }

    pub(crate) fn drop_fetches_of(&mut self, connection: ConnectionId) {
        for token in self.parked_fetches.of_connection(connection) {
            if let Some(fetch) = self.parked_fetches.take(token) {
                self.forget_waiting(&fetch, token);
            }
        }
    }

    fn forget_waiting(&mut self, fetch: &ParkedFetch, token: FetchToken) {
        for log in &fetch.waits_on {
            if let Some(partition) = self.partitions.get_mut(*log) {
                partition.waiting.forget(Watcher::Fetch(token));
            }
        }
    }
}

/// Whether an incremental answer has to name the partition.
fn is_news(wanted: &FetchPartition, part: &Part) -> bool {
    part.error != ErrorCode::None
        || part.fetched.slice.is_some()
        || part.fetched.diverging.is_some()
        || wanted.sent_high_watermark != part.fetched.high_watermark
        || wanted.sent_log_start_offset != part.fetched.log_start_offset
}

fn partition_data<'a>(
    fetch: &ParkedFetch,
    wanted: &FetchPartition,
    part: &Part,
) -> PartitionData<'a> {
    let fetched = &part.fetched;
    let aborted = fetched.aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
        ..Default::default()
    });
    PartitionData {
        partition_index: wanted.partition,
        error_code: part.error.code(),
        high_watermark: fetched.high_watermark,
        last_stable_offset: fetched.last_stable_offset,
        log_start_offset: fetched.log_start_offset,
        diverging_epoch: fetched.diverging.map_or_else(Default::default, |diverging| {
            EpochEndOffset {
                epoch: diverging.leader_epoch,
                end_offset: diverging.end_offset,
                ..Default::default()
            }
        }),
        aborted_transactions: fetch.is_read_committed.then(|| aborted.collect()),
        records: Some(match fetched.slice {
            Some(slice) => Records::External { length: slice.length },
            None => Records::Inline(&[]),
        }),
        ..Default::default()
    }
}

/// Neighbours of one topic share an entry, as in Apache Kafka's answers.
fn push_part<'a>(
    response: &mut FetchResponse<'a>,
    wanted: &'a FetchPartition,
    data: PartitionData<'a>,
) {
    let (topic, topic_id) = wanted.topic.told();
    match response.responses.last_mut() {
        Some(last) if last.topic_id == topic_id && last.topic == topic => {
            last.partitions.push(data);
        }
        _ => response.responses.push(FetchableTopicResponse {
            topic,
            topic_id,
            partitions: vec![data],
            ..Default::default()
        }),
    }
}
