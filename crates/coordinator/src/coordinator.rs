//! All groups of this node: requests find their shard by group id; those about several groups are
//! split.

use std::sync::Arc;

use strom_base::{Now, Random};

use crate::request::{DescribeGroupsRequest, FetchGroup, ListGroupsRequest, OffsetFetchRequest};
use crate::response::ListGroupsResponse;
use crate::runtime::Runtime;
use crate::shard::{FetchWish, GroupShard};
use crate::{
    AnswerRoom, Effect, ErrorCode, GroupConfig, ReplayError, ReplyToken, Request, Response,
    ShardId, partition_for_group,
};

mod gather;

use gather::Gathering;

/// The machine. One per broker shard; `out` receives its effects.
///
/// A shard is elected, replayed and loaded; then it answers until it resigns.
pub struct GroupCoordinator {
    config: Arc<GroupConfig>,
    random: Random,
    partition_count: i32,
    shards: Runtime<GroupShard>,
    gathering: Gathering,
}

type Out = Vec<Effect<Response>>;

impl GroupCoordinator {
    #[must_use]
    pub fn new(config: GroupConfig, random: Random) -> Self {
        Self {
            config: Arc::new(config),
            random,
            partition_count: 0,
            shards: Runtime::default(),
            gathering: Gathering::default(),
        }
    }

    /// The partition count of `__consumer_offsets`; 0 while the topic does not exist.
    pub fn set_partition_count(&mut self, partition_count: i32) {
        self.partition_count = partition_count;
    }

    /// The partition that a group lives in.
    #[must_use]
    pub fn partition_of(&self, group_id: &str) -> i32 {
        partition_for_group(group_id, self.partition_count)
    }

    /// This node leads the partition from now on. Its groups are loading until `on_loaded`; the
    /// caller reads the log from its start to its end and gives every record to `replay`.
    pub fn on_elected(&mut self, shard: ShardId, out: &mut Out) {
        let random = Random::new(self.random.next_u64());
        let machine = GroupShard::new(shard, self.config.clone(), random);
        let from = out.len();
        self.shards.on_elected(shard, machine, out);
        self.gathering.gather(from, out);
    }

    /// One record read while loading. Records of a leadership that is over are ignored.
    ///
    /// # Errors
    /// A record that cannot be understood: loading must stop, and `on_resigned` end the leadership.
    pub fn replay(
        &mut self,
        shard: ShardId,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        self.shards.replay(shard, key, value)
    }

    /// Everything was replayed: the groups answer, sessions start anew.
    pub fn on_loaded(&mut self, now: Now, shard: ShardId, out: &mut Out) {
        self.shards.on_loaded(now, shard, out);
    }

    /// The partition is led elsewhere since `shard.leader_epoch`, or gone. Leaderships up to then
    /// end, and their waiting requests are answered with NOT_COORDINATOR.
    pub fn on_resigned(&mut self, shard: ShardId, out: &mut Out) {
        let from = out.len();
        self.shards.on_resigned(shard, out);
        self.gathering.gather(from, out);
    }

    /// The records of the ticket are below the high watermark.
    pub fn on_committed(&mut self, now: Now, shard: ShardId, ticket: u64, out: &mut Out) {
        let from = out.len();
        self.shards.on_committed(now, shard, ticket, out);
        self.gathering.gather(from, out);
    }

    /// The records of the ticket are not in the log and never will be.
    pub fn on_append_failed(&mut self, now: Now, failure: AppendFailure, out: &mut Out) {
        let from = out.len();
        self.shards.on_append_failed(now, failure, out);
        self.gathering.gather(from, out);
    }

    /// Topics are gone: so are the offsets committed for them.
    pub fn on_topics_deleted(&mut self, now: Now, topics: &[&str], out: &mut Out) {
        for shard in self.shards.loaded_mut() {
            shard.on_topics_deleted(now, topics, out);
        }
    }

    /// Monotonic milliseconds of the next thing to do by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.shards.next_deadline()
    }

    pub fn on_deadline(&mut self, now: Now, out: &mut Out) {
        let from = out.len();
        self.shards.on_deadline(now, out);
        self.gathering.gather(from, out);
    }

    /// Answers at once or later, exactly once, by an `Effect::Reply` with the token.
    pub fn handle(&mut self, now: Now, token: ReplyToken, request: &Request<'_>, out: &mut Out) {
        match request {
            Request::OffsetFetch(request) => self.fetch_offsets(now, token, request, out),
            Request::DeleteGroups(group_ids) => self.delete_groups(now, token, group_ids, out),
            Request::ListGroups(request) => self.list_groups(token, request, out),
            Request::DescribeGroups(request) => self.describe_groups(token, request, out),
            request => match self.shard_of(group_id_of(request)) {
                Ok(shard) => shard.handle(now, token, request, out),
                Err(error) => out.push(Effect::Reply { token, response: request.refused(error) }),
            },
        }
    }

    fn shard_of(&mut self, group_id: &str) -> Result<&mut GroupShard, ErrorCode> {
        self.shards.active(partition_for_group(group_id, self.partition_count))
    }

    fn fetch_offsets(
        &mut self,
        now: Now,
        token: ReplyToken,
        request: &OffsetFetchRequest<'_>,
        out: &mut Out,
    ) {
        let from = out.len();
        let empty = Response::OffsetFetch(Vec::new());
        let mut room = AnswerRoom::default();
        for (token, group) in self.gathering.split(token, &request.groups, empty, out) {
            let wish = FetchWish { require_stable: request.require_stable, group };
            match self.shard_of(group.group_id) {
                Ok(shard) => shard.fetch_offsets(now, (token, &mut room), &wish, out),
                Err(error) => refuse_fetch(token, group, error, out),
            }
        }
        self.gathering.gather(from, out);
    }

    fn delete_groups(&mut self, now: Now, token: ReplyToken, group_ids: &[&str], out: &mut Out) {
        let from = out.len();
        let empty = Response::DeleteGroups(Vec::new());
        for (token, group_id) in self.gathering.split(token, group_ids, empty, out) {
            match self.shard_of(group_id) {
                Ok(shard) => shard.delete_group(now, token, group_id, out),
                Err(error) => {
                    let response = Request::DeleteGroups(vec![*group_id]).refused(error);
                    out.push(Effect::Reply { token, response });
                }
            }
        }
        self.gathering.gather(from, out);
    }

    /// The groups of every shard here; none while any of them loads.
    fn list_groups(&self, token: ReplyToken, request: &ListGroupsRequest<'_>, out: &mut Out) {
        let mut response = ListGroupsResponse { error: ErrorCode::None, groups: Vec::new() };
        if self.shards.is_loading() {
            response.error = ErrorCode::CoordinatorLoadInProgress;
        } else {
            response.groups =
                self.shards.loaded().flat_map(|shard| shard.list_groups(request)).collect();
        }
        out.push(Effect::Reply { token, response: Response::ListGroups(response) });
    }

    fn describe_groups(
        &mut self,
        token: ReplyToken,
        request: &DescribeGroupsRequest<'_>,
        out: &mut Out,
    ) {
        let mut groups = Vec::with_capacity(request.group_ids.len());
        let mut room = AnswerRoom::default();
        for group_id in &request.group_ids {
            groups.push(match self.shard_of(group_id) {
                Ok(shard) => shard.describe_group(request.version, group_id, &mut room),
                Err(error) => crate::failure::describe_refused(group_id, error),
            });
        }
        out.push(Effect::Reply { token, response: Response::DescribeGroups(groups) });
    }

    /// The shards that answer requests.
    pub fn shards(&self) -> impl Iterator<Item = &GroupShard> {
        self.shards.loaded()
    }

    /// # Panics
    /// An invariant is broken.
    pub fn check(&self) {
        self.shards.loaded().for_each(GroupShard::check);
    }
}

fn refuse_fetch(token: ReplyToken, group: &FetchGroup<'_>, error: ErrorCode, out: &mut Out) {
    let refused = crate::failure::fetch_refused(group.group_id, error);
    out.push(Effect::Reply { token, response: Response::OffsetFetch(vec![refused]) });
}

/// The group of a request about one group; nothing for the others, which go their own ways.
fn group_id_of<'a>(request: &Request<'a>) -> &'a str {
    match request {
        Request::Join(request) => request.group_id,
        Request::Sync(request) => request.group_id,
        Request::Heartbeat(request) => request.group_id,
        Request::Leave(request) => request.group_id,
        Request::OffsetCommit(request) => request.group_id,
        Request::OffsetDelete(request) => request.group_id,
        Request::OffsetFetch(_)
        | Request::DeleteGroups(_)
        | Request::ListGroups(_)
        | Request::DescribeGroups(_) => "",
    }
}

/// An append that was refused, with the error a produce request would have got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendFailure {
    pub shard: ShardId,
    pub ticket: u64,
    pub error: ErrorCode,
}
