//! The groups of one partition of `__consumer_offsets`.
//!
//! A request is validated against the latest state and becomes records, a reply, or both. Records
//! change the hard state the moment they are appended, as a version that others see once it is
//! committed ([`Versioned`]); soft state (the classic protocol of each group) changes at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_base::time::earlier;
use strom_base::{Now, Random, RetentionClock};

use crate::classic::{ClassicGroup, GroupTimer, Turn, Write};
use crate::outbox::Outbox;
use crate::record::{CommittedOffset, RecordKey, StoredGroup, codec};
use crate::runtime::Machine;
use crate::timers::Timers;
use crate::versioned::Versioned;
use crate::{
    AppendFailure, Effect, ErrorCode, GroupConfig, ReplayError, ReplyToken, Response, ShardId,
};

mod append;
mod apply;
mod check;
mod commit;
mod delete;
mod describe;
mod expire;
mod fetch;
mod membership;

pub(crate) use commit::commit_refused;
pub(crate) use fetch::FetchWish;

/// One machine of the [`Runtime`](crate::runtime::Runtime).
pub struct GroupShard {
    id: ShardId,
    config: Arc<GroupConfig>,
    random: Random,
    groups: BTreeMap<Arc<str>, Group>,
    timers: Timers<GroupTimer>,
    outbox: Outbox<RecordKey, Parked>,
    /// When to look for expired offsets; none while loading.
    expire_at_ms: Option<u64>,
    retention_clock: RetentionClock,
}

/// A group exists, for those who decide, when its latest metadata does; then and only then
/// it has a classic side.
#[derive(Default)]
struct Group {
    metadata: Versioned<StoredGroup>,
    offsets: Offsets,
    classic: Option<ClassicGroup>,
}

/// By topic and partition.
type Offsets = BTreeMap<Arc<str>, BTreeMap<i32, Versioned<CommittedOffset>>>;

/// What is to be done once an append is decided.
#[derive(Clone, Debug)]
enum Parked {
    Reply { token: ReplyToken, response: Response },
    Stored { group_id: Arc<str>, write: Write },
}

type Out = Vec<Effect<Response>>;

impl GroupShard {
    #[must_use]
    pub fn new(id: ShardId, config: Arc<GroupConfig>, random: Random) -> Self {
        Self {
            id,
            config,
            random,
            groups: BTreeMap::new(),
            timers: Timers::new(),
            outbox: Outbox::new(),
            expire_at_ms: None,
            retention_clock: RetentionClock::default(),
        }
    }

    /// The shared spelling of a group that exists.
    fn known(&self, group_id: &str) -> Option<Arc<str>> {
        let (group_id, group) = self.groups.get_key_value(group_id)?;
        group.classic.as_ref().map(|_| group_id.clone())
    }

    fn classic(&self, group_id: &str) -> Option<&ClassicGroup> {
        self.groups.get(group_id)?.classic.as_ref()
    }

    fn turn<'a>(
        &'a mut self,
        now: Now,
        group_id: &'a Arc<str>,
        out: &'a mut Out,
    ) -> Option<Turn<'a>> {
        let group = self.groups.get_mut(group_id)?.classic.as_mut()?;
        Some(Turn { now, config: &self.config, group_id, group, timers: &mut self.timers, out })
    }

    fn on_timer(&mut self, now: Now, timer: GroupTimer, out: &mut Out) {
        let group_id = match &timer {
            GroupTimer::Session { group_id, .. }
            | GroupTimer::Join { group_id }
            | GroupTimer::Sync { group_id } => group_id.clone(),
        };
        let Some(mut turn) = self.turn(now, &group_id, out) else { return };
        let write = match timer {
            GroupTimer::Session { member_id, .. } => turn.on_session_deadline(&member_id),
            GroupTimer::Join { .. } => turn.on_join_deadline(),
            GroupTimer::Sync { .. } => turn.on_sync_deadline(),
        };
        self.store(now, &group_id, write, out);
    }
}

impl Machine for GroupShard {
    type Response = Response;

    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ReplayError> {
        if let Some(record) = codec::decode(key, value)? {
            self.apply(None, record);
        }
        Ok(())
    }

    /// Members get a whole session from now on: nobody could hear them while the shard was loading.
    fn on_loaded(&mut self, now: Now, out: &mut Out) {
        for group in self.groups.values_mut() {
            group.classic = group.metadata.committed().map(ClassicGroup::from_stored);
        }
        let group_ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            let Some(mut turn) = self.turn(now, &group_id, out) else { continue };
            let write = turn.on_loaded();
            self.store(now, &group_id, write, out);
        }
        self.schedule_expiry(now);
    }

    fn on_unloaded(&mut self, out: &mut Out) {
        for parked in self.outbox.drain() {
            if let Parked::Reply { token, response } = parked {
                let response = response.failed(ErrorCode::NotCoordinator);
                out.push(Effect::Reply { token, response });
            }
        }
        for group in std::mem::take(&mut self.groups).into_values() {
            if let Some(classic) = group.classic {
                classic.on_dropped(ErrorCode::NotCoordinator, out);
            }
        }
        self.timers = Timers::new();
        self.expire_at_ms = None;
    }

    fn on_committed(&mut self, now: Now, ticket: u64, out: &mut Out) {
        self.commit_append(now, ticket, out);
    }

    fn on_append_failed(&mut self, now: Now, failure: AppendFailure, out: &mut Out) {
        self.roll_back_append(now, failure, out);
    }

    fn next_deadline(&self) -> Option<u64> {
        let soonest = earlier(self.timers.next_deadline(), self.outbox.next_deadline());
        earlier(soonest, self.expire_at_ms)
    }

    fn on_deadline(&mut self, now: Now, out: &mut Out) {
        for parked in self.outbox.expire(now) {
            self.fail(now, parked, ErrorCode::RequestTimedOut, out);
        }
        while let Some(timer) = self.timers.pop_due(now) {
            self.on_timer(now, timer, out);
        }
        if self.expire_at_ms.is_some_and(|due_ms| due_ms <= now.monotonic_ms) {
            self.expire_offsets(now, out);
            self.schedule_expiry(now);
        }
    }
}
