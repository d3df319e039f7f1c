//! Incremental fetch sessions (KIP-227): a consumer names its partitions once, later requests and
//! answers carry only what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use strom_base::{Random, Uuid};
use strom_metadata::topic_name;
use strom_protocol::ErrorCode;

/// A session that was used within this time is not evicted for a new one.
const EVICTION_AGE_MS: u64 = 120_000;
/// The epoch that ends a session (and asks for a full fetch without one).
pub(crate) const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;
const FEW: usize = 4;
/// Partitions that all sessions know together, some 100 bytes each and a topic's name. Beyond that
/// there are no new sessions: each request names its partitions then, as without sessions.
const PARTITIONS_MAX: usize = 500_000;

/// A topic as its reader calls it. A name is looked up whenever it is served: it means the topic that
/// has it then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicKey {
    Name(Rc<str>),
    Id(Uuid),
}

impl TopicKey {
    /// Longer names no topic has: a session would keep them, and repeat them in each answer.
    fn may_exist(&self) -> bool {
        match self {
            TopicKey::Name(name) => name.len() <= topic_name::LENGTH_MAX,
            TopicKey::Id(_) => true,
        }
    }

    /// As answers repeat it: empty or zero for what the request did not say.
    pub(crate) fn told(&self) -> (&str, Uuid) {
        match self {
            TopicKey::Name(name) => (name, Uuid::ZERO),
            TopicKey::Id(id) => ("", *id),
        }
    }
}

/// One partition that a fetch asks for, and what the session's client was last told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchPartition {
    pub topic: TopicKey,
    pub partition: i32,
    pub fetch_offset: i64,
    pub max_bytes: i32,
    /// -1: not checked.
    pub current_leader_epoch: i32,
    /// -1: no divergence check.
    pub last_fetched_epoch: i32,
    /// -1 before the first answer.
    pub sent_high_watermark: i64,
    pub sent_log_start_offset: i64,
}

type Key<'a> = (&'a TopicKey, i32);

impl FetchPartition {
    fn key(&self) -> Key<'_> {
        (&self.topic, self.partition)
    }
}

#[derive(Debug)]
struct Session {
    /// The epoch the next request must carry.
    next_epoch: i32,
    last_used_ms: u64,
    /// Its topics go by ids, once and for all.
    uses_ids: bool,
    /// In the order of service: those that had data go to the end.
    partitions: Vec<FetchPartition>,
}

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Answer all these partitions, outside any session.
    Sessionless(Vec<FetchPartition>),
    /// Answer all partitions of this session, which is new.
    Full { session_id: i32 },
    /// Answer what changed in this session.
    Incremental { session_id: i32 },
}

/// Session fields of a fetch request.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub session_id: i32,
    pub epoch: i32,
    pub uses_ids: bool,
    pub partitions: Vec<FetchPartition>,
    pub forgotten: Vec<(TopicKey, i32)>,
}

#[derive(Debug)]
pub(crate) struct FetchSessions {
    by_id: BTreeMap<i32, Session>,
    random: Random,
    /// `max.incremental.fetch.session.cache.slots`
    slots: u32,
    /// Partitions of all sessions.
    partition_count: usize,
}

impl FetchSessions {
    pub(crate) fn new(random: Random, slots: u32) -> Self {
        Self { by_id: BTreeMap::new(), random, slots, partition_count: 0 }
    }

    /// Opens, continues or ends a session as the request asks.
    ///
    /// # Errors
    /// `FetchSessionIdNotFound`, `InvalidFetchSessionEpoch` and `FetchSessionTopicIdError`, to be
    /// answered at the top level.
    pub(crate) fn open(
        &mut self,
        now_ms: u64,
        request: SessionRequest,
    ) -> Result<Opened, ErrorCode> {
        let SessionRequest { session_id, epoch, uses_ids, partitions, forgotten } = request;
        let may_be_kept = partitions.iter().all(|it| it.topic.may_exist());
        if epoch == FINAL_EPOCH || epoch == INITIAL_EPOCH {
            self.remove(session_id);
            let fits = self.partition_count + partitions.len() <= PARTITIONS_MAX;
            let is_wanted = epoch != FINAL_EPOCH && !partitions.is_empty() && may_be_kept;
            if !is_wanted || !fits || !self.make_room(now_ms) {
                return Ok(Opened::Sessionless(partitions));
            }
            let session_id = self.unused_id();
            self.partition_count += partitions.len();
            let session = Session { next_epoch: 1, last_used_ms: now_ms, uses_ids, partitions };
            self.by_id.insert(session_id, session);
            return Ok(Opened::Full { session_id });
        }
        let session = self.by_id.get_mut(&session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.next_epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_ids != uses_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        if !may_be_kept {
            self.remove(session_id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.last_used_ms = now_ms;
        let before = session.partitions.len();
        session.change(partitions, &forgotten);
        self.partition_count = self.partition_count + session.partitions.len() - before;
        if self.partition_count > PARTITIONS_MAX {
            // Its client begins anew, and is told all of it without a session.
            self.remove(session_id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(Opened::Incremental { session_id })
    }

    /// The partitions of a session in the order of service; none when it was evicted.
    pub(crate) fn partitions_mut(&mut self, session_id: i32) -> &mut [FetchPartition] {
        self.by_id.get_mut(&session_id).map_or(&mut [], |session| &mut session.partitions)
    }

    #[must_use]
    pub(crate) fn partitions(&self, session_id: i32) -> &[FetchPartition] {
        self.by_id.get(&session_id).map_or(&[], |session| &session.partitions)
    }

    /// Puts the partitions at these (ascending) indexes behind the others, so that the next answer
    /// begins with those that had nothing.
    pub(crate) fn serve_last(&mut self, session_id: i32, indexes: &[usize]) {
        let Some(session) = self.by_id.get_mut(&session_id) else { return };
        if indexes.len() == session.partitions.len() {
            return;
        }
        let mut indexes = indexes.iter().copied().peekable();
        let mut served = Vec::with_capacity(indexes.len());
        let mut others = Vec::with_capacity(session.partitions.len());
        for (index, partition) in std::mem::take(&mut session.partitions).into_iter().enumerate() {
            let is_served = indexes.next_if_eq(&index).is_some();
            if is_served { &mut served } else { &mut others }.push(partition);
        }
        others.append(&mut served);
        session.partitions = others;
    }

    fn remove(&mut self, session_id: i32) {
        if let Some(session) = self.by_id.remove(&session_id) {
            self.partition_count = self.partition_count.saturating_sub(session.partitions.len());
        }
    }

    /// Drawn, not counted: a client that still knows a session of the node's last life must not
    /// find somebody else's under its number.
    fn unused_id(&mut self) -> i32 {
        loop {
            let id = 1 + self.random.below(i32::MAX as u64) as i32;
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// False when the cache is full of sessions in use.
    fn make_room(&mut self, now_ms: u64) -> bool {
        if self.by_id.len() < self.slots as usize {
            return true;
        }
        let oldest = self.by_id.iter().min_by_key(|(_, session)| session.last_used_ms);
        let Some((id, session)) = oldest else { return false };
        if now_ms.saturating_sub(session.last_used_ms) <= EVICTION_AGE_MS {
            return false;
        }
        let id = *id;
        self.remove(id);
        true
    }
}

impl Session {
    fn change(&mut self, partitions: Vec<FetchPartition>, forgotten: &[(TopicKey, i32)]) {
        if !partitions.is_empty() {
            self.update(partitions);
        }
        if !forgotten.is_empty() {
            let gone: BTreeSet<Key<'_>> =
                forgotten.iter().map(|(topic, it)| (topic, *it)).collect();
            self.partitions.retain(|known| !gone.contains(&known.key()));
        }
    }

    fn update(&mut self, changed: Vec<FetchPartition>) {
        // A few are found sooner by looking at all, many by a table of what is known.
        let places: Vec<Option<usize>> = if changed.len() <= FEW {
            let place =
                |it: &FetchPartition| self.partitions.iter().position(|k| k.key() == it.key());
            changed.iter().map(place).collect()
        } else {
            let known = self.partitions.iter().enumerate().map(|(place, it)| (it.key(), place));
            let known: BTreeMap<Key<'_>, usize> = known.collect();
            changed.iter().map(|it| known.get(&it.key()).copied()).collect()
        };
        for (mut partition, place) in changed.into_iter().zip(places) {
            match place.and_then(|place| self.partitions.get_mut(place)) {
                Some(known) => {
                    partition.sent_high_watermark = known.sent_high_watermark;
                    partition.sent_log_start_offset = known.sent_log_start_offset;
                    *known = partition;
                }
                None => self.partitions.push(partition),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32) -> FetchPartition {
        FetchPartition {
            topic: TopicKey::Id(Uuid::ONE),
            partition: index,
            fetch_offset: 0,
            max_bytes: 100,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            sent_high_watermark: -1,
            sent_log_start_offset: -1,
        }
    }

    fn request(session_id: i32, epoch: i32, partitions: Vec<FetchPartition>) -> SessionRequest {
        SessionRequest { session_id, epoch, uses_ids: true, partitions, forgotten: vec![] }
    }

    #[test]
    fn a_session_counts_its_epochs() {
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let opened = sessions.open(0, request(0, 0, vec![partition(0), partition(1)]));
        let Ok(Opened::Full { session_id }) = opened else { panic!("{opened:?}") };
        let next = sessions.open(1, request(session_id, 1, vec![]));
        assert_eq!(next, Ok(Opened::Incremental { session_id }));
        let stale = sessions.open(2, request(session_id, 1, vec![]));
        assert_eq!(stale, Err(ErrorCode::InvalidFetchSessionEpoch));
        let unknown = sessions.open(2, request(session_id - 1, 1, vec![]));
        assert_eq!(unknown, Err(ErrorCode::FetchSessionIdNotFound));
        let ended = sessions.open(3, request(session_id, FINAL_EPOCH, vec![partition(0)]));
        assert_eq!(ended, Ok(Opened::Sessionless(vec![partition(0)])));
        assert!(sessions.partitions(session_id).is_empty());
    }

    #[test]
    fn a_full_cache_lets_go_of_a_session_that_is_not_used() {
        let mut sessions = FetchSessions::new(Random::new(1), 1);
        let first = sessions.open(0, request(0, 0, vec![partition(0)]));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let early = sessions.open(EVICTION_AGE_MS, request(0, 0, vec![partition(1)]));
        assert_eq!(early, Ok(Opened::Sessionless(vec![partition(1)])));
        let late = sessions.open(EVICTION_AGE_MS + 1, request(0, 0, vec![partition(1)]));
        assert!(matches!(late, Ok(Opened::Full { .. })), "{late:?}");
        assert!(sessions.partitions(session_id).is_empty());
    }

    #[test]
    fn sessions_know_so_many_partitions_and_no_more() {
        let some = |range: std::ops::Range<i32>| range.map(partition).collect::<Vec<_>>();
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let first = sessions.open(0, request(0, 0, some(0..400_000)));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let second = sessions.open(0, request(0, 0, some(0..200_000)));
        assert!(matches!(second, Ok(Opened::Sessionless(_))));
        // Half of them are known already.
        let more = sessions.open(0, request(session_id, 1, some(350_000..450_000)));
        assert_eq!(more, Ok(Opened::Incremental { session_id }));
        let all = sessions.partitions(session_id).iter().map(|it| it.partition);
        assert!(all.eq(0..450_000));
        let too_many = sessions.open(0, request(session_id, 2, some(450_000..550_000)));
        assert_eq!(too_many, Err(ErrorCode::FetchSessionIdNotFound));
        let second = sessions.open(0, request(0, 0, some(0..200_000)));
        assert!(matches!(second, Ok(Opened::Full { .. })));
    }

    #[test]
    fn names_that_no_topic_has_are_not_kept() {
        let named = |length: usize| FetchPartition {
            topic: TopicKey::Name("n".repeat(length).into()),
            ..partition(0)
        };
        let by_name = |session_id: i32, epoch: i32, length: usize| SessionRequest {
            uses_ids: false,
            ..request(session_id, epoch, vec![named(length)])
        };
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let long = sessions.open(0, by_name(0, 0, 250));
        assert!(matches!(long, Ok(Opened::Sessionless(_))), "{long:?}");
        let opened = sessions.open(0, by_name(0, 0, 249));
        let Ok(Opened::Full { session_id }) = opened else { panic!("{opened:?}") };
        let longer = sessions.open(0, by_name(session_id, 1, 250));
        assert_eq!(longer, Err(ErrorCode::FetchSessionIdNotFound));
        assert!(sessions.partitions(session_id).is_empty());
    }

    #[test]
    fn partitions_are_added_forgotten_and_rotated() {
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let first = sessions.open(0, request(0, 0, vec![partition(0), partition(1)]));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let change = SessionRequest {
            session_id,
            epoch: 1,
            partitions: vec![partition(2)],
            uses_ids: true,
            forgotten: vec![(TopicKey::Id(Uuid::ONE), 0)],
        };
        assert!(sessions.open(0, change).is_ok());
        sessions.serve_last(session_id, &[0]);
        let order: Vec<i32> = sessions.partitions(session_id).iter().map(|p| p.partition).collect();
        assert_eq!(order, [2, 1]);
    }
}
