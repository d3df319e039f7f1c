//! The group coordinator of this node: requests in, appends to `__consumer_offsets`, answers out.
//!
//! The coordinator decides; here its effects are performed. A request waits under a token with the
//! address of its answer; every token is answered exactly once, which is the coordinator's promise.

pub(crate) mod load;
mod withheld;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use strom_base::{IdMap, Now, Random, Uuid};
use strom_coordinator as core;
use strom_coordinator::{
    AppendFailure, GroupConfig, GroupCoordinator, OwnedRecord, ReplyToken, ShardId,
};
use strom_protocol::ErrorCode;
use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_replica::CommitWaiter;
use strom_replica::partition::append_error_code;
use strom_storage::disk::{LogId, Ticket};
use strom_storage::log::AppendOrigin;

use crate::Broker;
use crate::api;
use crate::call::{Outcome, RequestError, ReturnAddress};
use crate::effect::{Response, Turn};
use load::Loading;

/// The topic that holds what groups committed.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

type GroupEffect = core::Effect<core::Response>;

/// A topic of a request whose partitions are answered without the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedTopic {
    pub(crate) name: String,
    pub(crate) topic_id: Uuid,
    pub(crate) error: ErrorCode,
    pub(crate) partitions: Vec<i32>,
}

/// What an answer needs beside the coordinator's response.
#[derive(Debug, Default)]
pub(crate) enum Extra {
    #[default]
    Nothing,
    /// Of a commit or a deletion of offsets.
    Refused(Vec<RefusedTopic>),
    /// Of a fetch of offsets: one entry for each group.
    RefusedOfGroups(Vec<Vec<RefusedTopic>>),
    /// Of a fetch of offsets that can tell a group's error only at its partitions (version 1).
    Requested(Vec<RefusedTopic>),
    /// DescribeGroups: say what the caller may do.
    WithAuthorizedOperations,
}

#[derive(Debug)]
struct Waiting {
    address: ReturnAddress,
    extra: Extra,
}

/// The coordinator and who waits for it.
pub(crate) struct Groups {
    coordinator: GroupCoordinator,
    /// The coordinator's next deadline, once asked for and as long as nobody had it at hand: every
    /// input of the node asks, and few have to do with groups.
    deadline: Cell<Option<Option<u64>>>,
    waiting: IdMap<u64, Waiting>,
    last_request: u64,
    /// Partitions of the offsets topic led here, with their leader epochs.
    led: BTreeMap<i32, i32>,
    loading: Vec<Loading>,
    /// Appends that have to be synced as well (`flush.messages`), by log and coordinator's ticket.
    unsynced: IdMap<(LogId, u64), Ticket>,
    /// Where in the metadata log the creation of the offsets topic stands, once asked for.
    pub(crate) creation_offset: Option<i64>,
}

impl Groups {
    pub(crate) fn new(config: GroupConfig, random: Random) -> Self {
        Self {
            coordinator: GroupCoordinator::new(config, random),
            deadline: Cell::new(None),
            waiting: IdMap::default(),
            last_request: 0,
            led: BTreeMap::new(),
            loading: Vec::new(),
            unsynced: IdMap::default(),
            creation_offset: None,
        }
    }

    /// Requests that the coordinator has not answered yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Monotonic milliseconds.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let retry = self.loading.iter().map(|loading| loading.retry_at_ms).min();
        let known = self.deadline.get().unwrap_or_else(|| self.coordinator.next_deadline());
        self.deadline.set(Some(known));
        strom_base::time::earlier(known, retry)
    }

    fn coordinator(&mut self) -> &mut GroupCoordinator {
        self.deadline.set(None);
        &mut self.coordinator
    }

    fn shard(&self, partition: i32) -> Option<ShardId> {
        let leader_epoch = *self.led.get(&partition)?;
        Some(ShardId { partition, leader_epoch })
    }
}

impl Broker {
    /// Hands a request to the coordinator; its answer comes by `address`, now or later.
    pub(crate) fn ask_groups(
        &mut self,
        turn: &mut Turn<'_>,
        address: ReturnAddress,
        extra: Extra,
        request: &core::Request<'_>,
    ) -> Outcome {
        self.groups.last_request += 1;
        let token = self.groups.last_request;
        self.groups.waiting.insert(token, Waiting { address, extra });
        let mut effects = Vec::new();
        self.groups.coordinator().handle(turn.now, ReplyToken::new(token), request, &mut effects);
        self.perform_group_effects(turn, effects);
        Outcome::Parked
    }

    /// The coordinator's records of `ticket` in this log are committed, or with an error taken back.
    pub(crate) fn on_group_append(
        &mut self,
        turn: &mut Turn<'_>,
        (log, ticket): (LogId, u64),
        error: ErrorCode,
    ) {
        if let Some(sync) = self.groups.unsynced.remove(&(log, ticket))
            && error == ErrorCode::None
        {
            self.await_sync(log, sync, CommitWaiter::Coordinator { ticket });
            return;
        }
        let partition = self.partitions.get(log).map(|it| it.log.identity().partition);
        let Some(shard) = partition.and_then(|it| self.groups.shard(it)) else { return };
        let mut effects = Vec::new();
        if error == ErrorCode::None {
            self.groups.coordinator().on_committed(turn.now, shard, ticket, &mut effects);
        } else {
            let failure = AppendFailure { shard, ticket, error };
            self.groups.coordinator().on_append_failed(turn.now, failure, &mut effects);
        }
        self.perform_group_effects(turn, effects);
    }

    /// Topics are gone: so are the offsets committed for them.
    pub(crate) fn on_group_topics_deleted(&mut self, turn: &mut Turn<'_>, topics: &[&str]) {
        let mut effects = Vec::new();
        self.groups.coordinator().on_topics_deleted(turn.now, topics, &mut effects);
        self.perform_group_effects(turn, effects);
    }

    pub(crate) fn on_groups_deadline(&mut self, turn: &mut Turn<'_>) {
        let mut effects = Vec::new();
        if self.groups.coordinator.next_deadline().is_some_and(|at| at <= turn.now.monotonic_ms) {
            self.groups.coordinator().on_deadline(turn.now, &mut effects);
        }
        self.perform_group_effects(turn, effects);
        self.continue_loading_groups(turn);
    }

    /// Effects in order; a refused append may bring forth more.
    fn perform_group_effects(&mut self, turn: &mut Turn<'_>, effects: Vec<GroupEffect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                core::Effect::Reply { token, response } => {
                    self.answer_group_request(turn, token.request, &response);
                }
                core::Effect::Append { shard, ticket, records } => {
                    if let Err(error) = self.append_for_groups(turn, shard, ticket, &records) {
                        let failure = AppendFailure { shard, ticket, error };
                        let mut more = Vec::new();
                        self.groups.coordinator().on_append_failed(turn.now, failure, &mut more);
                        queue.extend(more);
                    }
                }
            }
        }
    }

    fn answer_group_request(&mut self, turn: &mut Turn<'_>, token: u64, response: &core::Response) {
        let Some(Waiting { address, extra }) = self.groups.waiting.remove(&token) else { return };
        let result = encode(self, &address, &extra, response).map(Outcome::Reply);
        self.conclude(turn, address.to, result);
    }

    /// One batch of the coordinator's into its partition.
    fn append_for_groups(
        &mut self,
        turn: &mut Turn<'_>,
        shard: ShardId,
        ticket: u64,
        records: &[OwnedRecord],
    ) -> Result<(), ErrorCode> {
        if self.groups.shard(shard.partition) != Some(shard) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let (log, partition) = self
            .groups_topic_id()
            .and_then(|topic_id| self.partitions.find(topic_id, shard.partition))
            .and_then(|log| Some((log, self.partitions.get_mut(log)?)))
            .ok_or(ErrorCode::NotLeaderOrFollower)?;
        let codec = self.settings.node.offsets.topic_compression_codec;
        let codec = Codec::from_id(codec).unwrap_or_default();
        let batch = batch_of(turn.now, records, codec)?;
        let appended = partition
            .append(turn.now, batch, AppendOrigin::Coordinator, &mut turn.out.disk)
            .map_err(|refused| append_error_code(&refused))?;
        let waiter = CommitWaiter::Coordinator { ticket };
        self.await_commit(log, appended.last_offset + 1, waiter);
        self.owe(turn, u64::from(appended.bytes));
        if let Some(sync) = appended.sync_ticket {
            self.groups.unsynced.insert((log, ticket), sync);
        }
        Ok(())
    }

    pub(crate) fn groups_topic_id(&self) -> Option<Uuid> {
        self.metadata.image().topics.by_name(OFFSETS_TOPIC).map(|topic| topic.id)
    }
}

/// One batch stamped with the present time, as Apache Kafka writes them; `codec` is
/// `offsets.topic.compression.codec`, by default none.
fn batch_of(now: Now, records: &[OwnedRecord], codec: Codec) -> Result<BytesMut, ErrorCode> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for record in records {
        let record = NewRecord {
            timestamp_ms: now.wall_ms,
            key: Some(&record.key),
            value: record.value.as_deref(),
            headers: &[],
        };
        builder.append(&record).map_err(|_| ErrorCode::RecordListTooLarge)?;
    }
    let batch = builder.build_compressed(codec.into(), &mut Codecs::new());
    let batch = batch.map_err(|_| ErrorCode::UnknownServerError)?;
    Ok(BytesMut::from(batch.as_slice()))
}

fn encode(
    broker: &Broker,
    address: &ReturnAddress,
    extra: &Extra,
    response: &core::Response,
) -> Result<Response, RequestError> {
    match response {
        core::Response::Join(joined) => api::join_group::answer(address, joined),
        core::Response::Sync(synced) => api::sync_group::answer(address, synced),
        core::Response::Heartbeat(error) => api::heartbeat::answer(address, *error),
        core::Response::Leave(left) => api::leave_group::answer(address, left),
        core::Response::OffsetCommit(topics) => api::offset_commit::answer(address, extra, topics),
        core::Response::OffsetFetch(groups) => {
            api::offset_fetch::answer(broker, address, extra, groups)
        }
        core::Response::OffsetDelete(deleted) => {
            api::offset_delete::answer(address, extra, deleted)
        }
        core::Response::DeleteGroups(groups) => api::delete_groups::answer(address, groups),
        core::Response::ListGroups(listed) => api::list_groups::answer(address, listed),
        core::Response::DescribeGroups(groups) => {
            api::describe_groups::answer(address, extra, groups)
        }
    }
}
