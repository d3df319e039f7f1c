//! Serving fetches: reading each partition, waiting until there is enough, the answer of ranges.

mod answer;
mod parked;

use strom_base::Uuid;
use strom_protocol::ErrorCode;
use strom_replica::partition::{Fetched, ReadFrom};
use strom_replica::{FetchToken, Watcher};
use strom_storage::config::CompressionType;
use strom_storage::disk::LogId;

use crate::Broker;
use crate::api::fetch::missing_partition;
use crate::call::{Outcome, RequestError, ReturnAddress};
use crate::effect::{ConnectionId, Turn};
use crate::fetch_sessions::{FetchPartition, Served, TopicKey};

use answer::is_news;
pub(crate) use parked::{PARKED_BYTES_MAX, ParkedFetches};

/// Below them readers do not know zstd (KIP-110) …
const FIRST_VERSION_WITH_ZSTD: i16 = 10;
/// … and KAFKA_STORAGE_ERROR.
const FIRST_VERSION_WITH_STORAGE_ERROR: i16 = 6;

/// Errors of a session's partitions are repeated until they are gone, so many in one answer: a
/// request of a few bytes must not be answered with megabytes, again and again.
const REPEATED_ERRORS_MAX: usize = 1000;

/// How much longer than its own time a fetch waits for the disk while there is nothing else to answer:
/// records that are there are not to look as if there were none. There are clients that close the
/// connection 10 s after the fetch's own time.
const DISK_WAIT_MS: i64 = 5_000;

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
    /// Its time is over, and it waits for nothing but the disk.
    pub(crate) is_overtime: bool,
    pub(crate) min_bytes: u64,
    pub(crate) max_bytes: u32,
    pub(crate) is_read_committed: bool,
    pub(crate) is_follower: bool,
    /// The logs it waits on while parked; those of a session wait by themselves.
    pub(crate) waits_on: Vec<LogId>,
}

/// One partition's part of an answer.
#[derive(Debug)]
struct Part {
    /// Its index in the source's partitions, or its place in the session.
    place: u32,
    log: Option<LogId>,
    error: ErrorCode,
    fetched: Fetched,
    /// The answer names it.
    is_told: bool,
}

impl Part {
    /// What becomes of its place in the order of service.
    fn fate(&self, is_answered: bool) -> Served {
        let has_something = self.error != ErrorCode::None || self.fetched.slice.is_some();
        if self.fetched.is_at_end && (is_answered || !self.is_told) {
            Served::Told
        } else if is_answered && has_something {
            Served::Last
        } else {
            Served::Not
        }
    }
}

/// What can be answered now.
struct Readable {
    parts: Vec<Part>,
    bytes: u64,
    /// An error or a divergence, which is told at once.
    is_urgent: bool,
    /// Something has to be brought into memory first.
    is_blocked: bool,
}

/// Readers that do not know the code ask for metadata again by another one (KIP-112).
fn told(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::KafkaStorageError if version < FIRST_VERSION_WITH_STORAGE_ERROR => {
            ErrorCode::NotLeaderOrFollower
        }
        error => error,
    }
}

impl Broker {
    /// Answers a fetch now or parks it until there is enough or its time is over.
    pub(crate) fn serve_fetch(
        &mut self,
        turn: &mut Turn<'_>,
        mut fetch: ParkedFetch,
        mut is_due: bool,
    ) -> Result<Outcome, RequestError> {
        let parts = self.parked_fetches.spare_parts();
        let mut readable = self.read_parts(turn, &fetch, parts);
        let waits_for_disk = readable.is_blocked && readable.bytes == 0;
        let is_enough = !waits_for_disk && readable.bytes >= fetch.min_bytes;
        if is_due && waits_for_disk && !fetch.is_overtime {
            fetch.is_overtime = true;
            fetch.deadline_ms = turn.now.deadline_ms(DISK_WAIT_MS);
            is_due = false;
        }
        let is_over = is_due || fetch.is_overtime && !waits_for_disk;
        let may_not_wait = is_over || self.asks_nothing(&fetch) || !self.parked_fetches.has_room();
        if may_not_wait || readable.is_urgent || is_enough {
            self.settle_session(&fetch, &readable.parts, true);
            readable.parts.retain(|part| part.is_told);
            let response = self.answer_fetch(turn.out, &fetch, &readable.parts)?;
            self.parked_fetches.recycle(readable.parts);
            return Ok(Outcome::Reply(response));
        }
        self.settle_session(&fetch, &readable.parts, false);
        self.park(fetch, &readable);
        self.parked_fetches.recycle(readable.parts);
        Ok(Outcome::Parked)
    }

    fn park(&mut self, mut fetch: ParkedFetch, readable: &Readable) {
        let session = match fetch.source {
            Source::Session { session_id, .. } => Some(session_id),
            Source::Owned(_) => None,
        };
        if session.is_none() {
            fetch.waits_on = readable.parts.iter().filter_map(|part| part.log).collect();
        }
        let waits_on = fetch.waits_on.clone();
        let token = self.parked_fetches.park(fetch);
        for log in waits_on {
            if let Some(partition) = self.partitions.get_mut(log) {
                partition.waiting.watch(Watcher::Fetch(token));
            }
        }
        if let Some(session) = session.and_then(|id| self.fetch_sessions.get_mut(id)) {
            session.park(token);
        }
        if readable.is_blocked {
            self.parked_fetches.block(token);
        }
    }

    fn asks_nothing(&self, fetch: &ParkedFetch) -> bool {
        match &fetch.source {
            Source::Owned(partitions) => partitions.is_empty(),
            Source::Session { session_id, .. } => {
                self.fetch_sessions.get(*session_id).is_none_or(|session| session.len() == 0)
            }
        }
    }

    /// The topic that the reader means at this moment.
    fn topic_of(&self, wanted: &FetchPartition) -> Option<Uuid> {
        match &wanted.topic {
            TopicKey::Id(id) => Some(*id),
            TopicKey::Name(name) => self.metadata.image().topics.by_name(name).map(|it| it.id),
        }
    }

    /// Reads what has to be looked at: all, or what is due in the session.
    fn read_parts(&self, turn: &Turn<'_>, fetch: &ParkedFetch, parts: Vec<Part>) -> Readable {
        let mut readable = Readable { parts, bytes: 0, is_urgent: false, is_blocked: false };
        match &fetch.source {
            Source::Owned(partitions) => {
                for (place, wanted) in partitions.iter().enumerate() {
                    self.read_part(turn, fetch, (place as u32, wanted), &mut readable);
                }
            }
            Source::Session { session_id, incremental } => {
                let mut errors = 0;
                let session = self.fetch_sessions.get(*session_id);
                for (place, wanted) in session.iter().flat_map(|session| session.due()) {
                    let is_full = readable.bytes >= u64::from(fetch.max_bytes).max(1)
                        || errors >= REPEATED_ERRORS_MAX;
                    if *incremental && is_full {
                        break;
                    }
                    errors +=
                        usize::from(self.read_part(turn, fetch, (place, wanted), &mut readable));
                }
            }
        }
        readable
    }

    /// Reads one partition; true for an error.
    fn read_part(
        &self,
        turn: &Turn<'_>,
        fetch: &ParkedFetch,
        (place, wanted): (u32, &FetchPartition),
        readable: &mut Readable,
    ) -> bool {
        let left = u64::from(fetch.max_bytes).saturating_sub(readable.bytes) as u32;
        let log = self.topic_of(wanted).and_then(|it| self.partitions.find(it, wanted.partition));
        let limits = (left, readable.bytes == 0);
        let (error, fetched) = match self.fetch_from(turn, fetch, (wanted, log), limits) {
            Ok(fetched) => (ErrorCode::None, fetched),
            Err(error) => (error, Fetched::default()),
        };
        let is_error = error != ErrorCode::None;
        readable.is_urgent |= is_error || fetched.diverging.is_some();
        readable.is_blocked |= fetched.is_blocked;
        readable.bytes += fetched.slice.map_or(0, |slice| u64::from(slice.length));
        let mut part = Part { place, log, error, fetched, is_told: true };
        if let Source::Session { incremental: true, .. } = fetch.source {
            part.is_told = is_news(wanted, &part);
        }
        readable.parts.push(part);
        is_error
    }

    fn fetch_from(
        &self,
        turn: &Turn<'_>,
        fetch: &ParkedFetch,
        (wanted, log): (&FetchPartition, Option<LogId>),
        (bytes_left, is_first): (u32, bool),
    ) -> Result<Fetched, ErrorCode> {
        let version = fetch.address.version;
        let missing = || {
            let (_, id) = wanted.topic.told();
            let known = self.topic_of(wanted).unwrap_or(Uuid::ZERO);
            match self.missing_partition(known, wanted.partition) {
                ErrorCode::UnknownTopicOrPartition => {
                    missing_partition(version, self.metadata.image().topics.by_id(id).is_some())
                }
                error => told(error, version),
            }
        };
        let partition = log.and_then(|log| self.partitions.get(log)).ok_or_else(missing)?;
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
        fetched.map_err(|error| told(error, version))
    }

    /// Remembers in the session what its client is told, or that it is told nothing yet. What has
    /// nothing more to tell is due again when it moves.
    fn settle_session(&mut self, fetch: &ParkedFetch, parts: &[Part], is_answered: bool) {
        let Source::Session { session_id, .. } = fetch.source else { return };
        let Some(session) = self.fetch_sessions.get_mut(session_id) else { return };
        session.serve(parts.iter().map(|part| (part.place, part.fate(is_answered))));
        for part in parts {
            let place = part.place;
            if is_answered {
                // An error is not remembered as told: the next incremental answer repeats it.
                let is_error = part.error != ErrorCode::None;
                let high_watermark = if is_error { -1 } else { part.fetched.high_watermark };
                session.note_sent(place, high_watermark, part.fetched.log_start_offset);
            }
            if let Some(log) = part.log
                && (!is_answered || part.fate(is_answered) == Served::Told)
                && session.watch(place, log)
                && let Some(partition) = self.partitions.get_mut(log)
            {
                partition.waiting.watch(Watcher::Session { id: session_id, place });
            }
        }
    }

    /// Tells those who waited for a partition that it has moved.
    pub(crate) fn tell_watchers(&mut self, turn: &mut Turn<'_>, watchers: &mut Vec<Watcher>) {
        for watcher in watchers.drain(..) {
            match watcher {
                Watcher::Fetch(token) => self.retry_fetch(turn, token, false),
                Watcher::Session { id, place } => {
                    let parked = self.fetch_sessions.on_moved(id, place);
                    let mut tokens = self.parked_fetches.spare_tokens(parked);
                    for token in tokens.drain(..) {
                        self.retry_fetch(turn, token, false);
                    }
                    self.parked_fetches.recycle_tokens(tokens);
                }
            }
        }
    }

    /// Sessions or partitions of them are gone: their logs need not tell any more that they move.
    pub(crate) fn let_go_of_logs(&mut self) {
        for (log, watcher) in self.fetch_sessions.take_let_go() {
            if let Some(partition) = self.partitions.get_mut(log) {
                partition.waiting.forget(watcher);
            }
        }
    }

    /// Tries fetches again that wait for bytes to be brought into memory.
    pub(crate) fn retry_blocked_fetches(&mut self, turn: &mut Turn<'_>) {
        for token in self.parked_fetches.take_blocked() {
            self.retry_fetch(turn, token, false);
        }
    }

    pub(crate) fn expire_fetches(&mut self, turn: &mut Turn<'_>) {
        while let Some(token) = self.parked_fetches.due(turn.now.monotonic_ms) {
            self.retry_fetch(turn, token, true);
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
        if let Source::Session { session_id, .. } = fetch.source
            && let Some(session) = self.fetch_sessions.get_mut(session_id)
        {
            session.unpark(token);
        }
        for log in &fetch.waits_on {
            if let Some(partition) = self.partitions.get_mut(*log) {
                partition.waiting.forget(Watcher::Fetch(token));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(is_at_end: bool, is_told: bool, error: ErrorCode) -> Part {
        let fetched = Fetched { is_at_end, ..Fetched::default() };
        Part { place: 0, log: None, error, fetched, is_told }
    }

    /// Such a one is not looked at again until its log moves: a session of ten thousand quiet partitions
    /// costs what moves in it.
    #[test]
    fn a_partition_is_settled_once_its_client_knows_all_of_it() {
        for is_told in [true, false] {
            let end = part(true, is_told, ErrorCode::None);
            assert_eq!(end.fate(true), Served::Told, "told: {is_told}");
        }
        assert_eq!(part(true, false, ErrorCode::None).fate(false), Served::Told, "nothing to tell");
        assert_eq!(part(true, true, ErrorCode::None).fate(false), Served::Not, "still to be told");
    }

    #[test]
    fn a_partition_with_more_to_read_waits_for_its_turn_and_an_error_was_one() {
        for is_answered in [true, false] {
            let more = part(false, true, ErrorCode::None);
            assert_eq!(more.fate(is_answered), Served::Not);
        }
        let failed = part(false, true, ErrorCode::OffsetOutOfRange);
        assert_eq!(failed.fate(true), Served::Last);
        assert_eq!(failed.fate(false), Served::Not, "it is still to be told");
    }
}
