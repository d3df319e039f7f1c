//! Incremental fetch sessions (KIP-227): a consumer names its partitions once, later requests and
//! answers carry only what changed.

mod session;

use std::collections::BTreeMap;
use std::rc::Rc;

use strom_base::{Random, Uuid};
use strom_metadata::topic_name;
use strom_protocol::ErrorCode;
use strom_replica::{FetchToken, Watcher};
use strom_storage::disk::LogId;

pub(crate) use session::{Served, Session};

/// A session that was used within this time is not evicted for a new one.
const EVICTION_AGE_MS: u64 = 120_000;
/// The epoch that ends a session (and asks for a full fetch without one).
pub(crate) const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;
/// Partitions that all sessions know together, some 150 bytes each and a topic's name. Beyond that
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRequest {
    pub session_id: i32,
    pub epoch: i32,
    pub uses_ids: bool,
}

/// What a fetch request names.
#[derive(Debug, Default)]
pub(crate) struct Named {
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
    /// Whom logs need not tell any more that they move.
    let_go: Vec<(LogId, Watcher)>,
    /// Lists of the last request, empty, for the next one.
    pub(crate) spare: Named,
}

impl FetchSessions {
    pub(crate) fn new(random: Random, slots: u32) -> Self {
        Self {
            by_id: BTreeMap::new(),
            random,
            slots,
            partition_count: 0,
            let_go: Vec::new(),
            spare: Named::default(),
        }
    }

    /// Opens, continues or ends a session as the request asks, and takes up what it names. Then
    /// [`FetchSessions::take_let_go`] wants to be asked.
    ///
    /// # Errors
    /// `FetchSessionIdNotFound`, `InvalidFetchSessionEpoch` and `FetchSessionTopicIdError`, to be
    /// answered at the top level.
    pub(crate) fn open(
        &mut self,
        now_ms: u64,
        request: SessionRequest,
        named: &mut Named,
    ) -> Result<Opened, ErrorCode> {
        let SessionRequest { session_id, epoch, uses_ids } = request;
        let may_be_kept = named.partitions.iter().all(|it| it.topic.may_exist());
        if epoch == FINAL_EPOCH || epoch == INITIAL_EPOCH {
            self.remove(session_id);
            let partitions = std::mem::take(&mut named.partitions);
            let fits = self.partition_count + partitions.len() <= PARTITIONS_MAX;
            let is_wanted = epoch != FINAL_EPOCH && !partitions.is_empty() && may_be_kept;
            if !is_wanted || !fits || !self.make_room(now_ms) {
                return Ok(Opened::Sessionless(partitions));
            }
            let mut session = Session::new(now_ms, uses_ids);
            partitions.into_iter().for_each(|it| session.want(it));
            let session_id = self.unused_id();
            self.partition_count += session.len();
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
        let before = session.len();
        named.partitions.drain(..).for_each(|it| session.want(it));
        let let_go = &mut self.let_go;
        session.forget(&named.forgotten, &mut |log, place| {
            let_go.push((log, Watcher::Session { id: session_id, place }));
        });
        self.partition_count = self.partition_count + session.len() - before;
        if self.partition_count > PARTITIONS_MAX {
            // Its client begins anew, and is told all of it without a session.
            self.remove(session_id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(Opened::Incremental { session_id })
    }

    /// Who watches logs for sessions or partitions that are gone.
    pub(crate) fn take_let_go(&mut self) -> impl Iterator<Item = (LogId, Watcher)> {
        self.let_go.drain(..)
    }

    /// `None` when it was evicted.
    pub(crate) fn get(&self, session_id: i32) -> Option<&Session> {
        self.by_id.get(&session_id)
    }

    pub(crate) fn get_mut(&mut self, session_id: i32) -> Option<&mut Session> {
        self.by_id.get_mut(&session_id)
    }

    /// The partition at this place of a session has moved: fetches to try again.
    pub(crate) fn on_moved(&mut self, session_id: i32, place: u32) -> &[FetchToken] {
        self.by_id.get_mut(&session_id).map_or(&[], |session| session.on_moved(place))
    }

    fn remove(&mut self, session_id: i32) {
        if let Some(session) = self.by_id.remove(&session_id) {
            self.partition_count = self.partition_count.saturating_sub(session.len());
            let id = session_id;
            let watched = session.watched();
            let watchers = watched.map(|(log, place)| (log, Watcher::Session { id, place }));
            self.let_go.extend(watchers);
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

    fn request(session_id: i32, epoch: i32, partitions: Vec<FetchPartition>) -> Request {
        let named = Named { partitions, forgotten: vec![] };
        Request { terms: SessionRequest { session_id, epoch, uses_ids: true }, named }
    }

    struct Request {
        terms: SessionRequest,
        named: Named,
    }

    impl FetchSessions {
        fn ask(&mut self, now_ms: u64, mut request: Request) -> Result<Opened, ErrorCode> {
            self.open(now_ms, request.terms, &mut request.named)
        }

        fn due_of(&self, session_id: i32) -> Vec<i32> {
            let session = self.get(session_id);
            session.map_or(vec![], |it| it.due().map(|(_, due)| due.partition).collect())
        }
    }

    #[test]
    fn a_session_counts_its_epochs() {
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let opened = sessions.ask(0, request(0, 0, vec![partition(0), partition(1)]));
        let Ok(Opened::Full { session_id }) = opened else { panic!("{opened:?}") };
        let next = sessions.ask(1, request(session_id, 1, vec![]));
        assert_eq!(next, Ok(Opened::Incremental { session_id }));
        let stale = sessions.ask(2, request(session_id, 1, vec![]));
        assert_eq!(stale, Err(ErrorCode::InvalidFetchSessionEpoch));
        let unknown = sessions.ask(2, request(session_id - 1, 1, vec![]));
        assert_eq!(unknown, Err(ErrorCode::FetchSessionIdNotFound));
        let ended = sessions.ask(3, request(session_id, FINAL_EPOCH, vec![partition(0)]));
        assert_eq!(ended, Ok(Opened::Sessionless(vec![partition(0)])));
        assert!(sessions.get(session_id).is_none());
    }

    #[test]
    fn a_full_cache_lets_go_of_a_session_that_is_not_used() {
        let mut sessions = FetchSessions::new(Random::new(1), 1);
        let first = sessions.ask(0, request(0, 0, vec![partition(0)]));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let early = sessions.ask(EVICTION_AGE_MS, request(0, 0, vec![partition(1)]));
        assert_eq!(early, Ok(Opened::Sessionless(vec![partition(1)])));
        let late = sessions.ask(EVICTION_AGE_MS + 1, request(0, 0, vec![partition(1)]));
        assert!(matches!(late, Ok(Opened::Full { .. })), "{late:?}");
        assert!(sessions.get(session_id).is_none());
    }

    #[test]
    fn sessions_know_so_many_partitions_and_no_more() {
        let some = |range: std::ops::Range<i32>| range.map(partition).collect::<Vec<_>>();
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let first = sessions.ask(0, request(0, 0, some(0..400_000)));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let second = sessions.ask(0, request(0, 0, some(0..200_000)));
        assert!(matches!(second, Ok(Opened::Sessionless(_))));
        // Half of them are known already.
        let more = sessions.ask(0, request(session_id, 1, some(350_000..450_000)));
        assert_eq!(more, Ok(Opened::Incremental { session_id }));
        assert!(sessions.due_of(session_id).into_iter().eq(0..450_000));
        let too_many = sessions.ask(0, request(session_id, 2, some(450_000..550_000)));
        assert_eq!(too_many, Err(ErrorCode::FetchSessionIdNotFound));
        let second = sessions.ask(0, request(0, 0, some(0..200_000)));
        assert!(matches!(second, Ok(Opened::Full { .. })));
    }

    #[test]
    fn names_that_no_topic_has_are_not_kept() {
        let named = |length: usize| FetchPartition {
            topic: TopicKey::Name("n".repeat(length).into()),
            ..partition(0)
        };
        let by_name = |session_id: i32, epoch: i32, length: usize| {
            let mut request = request(session_id, epoch, vec![named(length)]);
            request.terms.uses_ids = false;
            request
        };
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let long = sessions.ask(0, by_name(0, 0, 250));
        assert!(matches!(long, Ok(Opened::Sessionless(_))), "{long:?}");
        let opened = sessions.ask(0, by_name(0, 0, 249));
        let Ok(Opened::Full { session_id }) = opened else { panic!("{opened:?}") };
        let longer = sessions.ask(0, by_name(session_id, 1, 250));
        assert_eq!(longer, Err(ErrorCode::FetchSessionIdNotFound));
        assert!(sessions.get(session_id).is_none());
    }

    #[test]
    fn partitions_are_added_forgotten_and_rotated() {
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let first = sessions.ask(0, request(0, 0, vec![partition(0), partition(1)]));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let mut change = request(session_id, 1, vec![partition(2)]);
        change.named.forgotten.push((TopicKey::Id(Uuid::ONE), 0));
        assert!(sessions.ask(0, change).is_ok());
        let session = sessions.get_mut(session_id).expect("a session");
        let places: Vec<u32> = session.due().map(|(place, _)| place).collect();
        session.serve(places.iter().map(|place| (*place, Served::Last)).take(1));
        assert_eq!(sessions.due_of(session_id), [2, 1]);
    }

    #[test]
    fn what_its_client_knows_is_not_due_until_it_moves() {
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let first = sessions.ask(0, request(0, 0, (0..4).map(partition).collect()));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let session = sessions.get_mut(session_id).expect("a session");
        let fates = [Served::Told, Served::Last, Served::Not, Served::Told];
        session.serve((0..).zip(fates));
        assert!(session.watch(0, LogId(7)) && !session.watch(0, LogId(7)));
        assert_eq!(sessions.due_of(session_id), [2, 1]);
        assert_eq!(sessions.on_moved(session_id, 0), []);
        assert_eq!(sessions.due_of(session_id), [2, 1, 0]);
        // What is asked anew is due, too.
        assert!(sessions.ask(0, request(session_id, 1, vec![partition(3)])).is_ok());
        assert_eq!(sessions.due_of(session_id), [2, 1, 0, 3]);
    }

    #[test]
    fn a_session_that_ends_lets_go_of_what_it_watched() {
        let mut sessions = FetchSessions::new(Random::new(1), 1000);
        let first = sessions.ask(0, request(0, 0, vec![partition(0), partition(1)]));
        let Ok(Opened::Full { session_id }) = first else { panic!("{first:?}") };
        let session = sessions.get_mut(session_id).expect("a session");
        (0..2).for_each(|place| assert!(session.watch(place, LogId(place))));
        let watcher = |place| (LogId(place), Watcher::Session { id: session_id, place });
        let mut change = request(session_id, 1, vec![]);
        change.named.forgotten.push((TopicKey::Id(Uuid::ONE), 0));
        assert!(sessions.ask(0, change).is_ok());
        assert!(sessions.take_let_go().eq([watcher(0)]));
        assert!(sessions.ask(0, request(session_id, FINAL_EPOCH, vec![])).is_ok());
        assert!(sessions.take_let_go().eq([watcher(1)]));
    }
}
