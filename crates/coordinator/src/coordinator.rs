//! All group shards of this node: routing by group id, leadership, and requests about several groups.

use std::collections::BTreeMap;

use strom_base::{Now, Random};

use crate::{Effect, ErrorCode, GroupConfig, ReplayError, ReplyToken, Request, Response, ShardId};

/// The machine. One per broker shard; `out` receives its effects.
pub struct GroupCoordinator {
    config: GroupConfig,
    random: Random,
    partition_count: i32,
    shards: BTreeMap<i32, i32>,
}

impl GroupCoordinator {
    #[must_use]
    pub fn new(config: GroupConfig, random: Random) -> Self {
        Self { config, random, partition_count: 0, shards: BTreeMap::new() }
    }

    /// The partition count of `__consumer_offsets`; 0 while the topic does not exist.
    pub fn set_partition_count(&mut self, partition_count: i32) {
        self.partition_count = partition_count;
    }

    /// This node leads the partition from now on. Its groups are loading until `on_loaded`; the caller
    /// reads the log from its start to its end and gives every record to `replay`.
    pub fn on_elected(&mut self, shard: ShardId) {
        self.shards.insert(shard.partition, shard.leader_epoch);
    }

    /// One record read while loading. Records of a leadership that is over are ignored.
    ///
    /// # Errors
    /// A record that cannot be understood: loading must stop, the shard stays unavailable.
    pub fn replay(
        &mut self,
        shard: ShardId,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        let _ = (shard, key, value, &self.config, &self.random);
        Ok(())
    }

    /// Everything was replayed: the groups answer, sessions start anew.
    pub fn on_loaded(&mut self, now: Now, shard: ShardId, out: &mut Vec<Effect<Response>>) {
        let _ = (now, shard, out);
    }

    /// The partition has another leader, or none, at `shard.leader_epoch`. Older leaderships
    /// end and their waiting requests are answered with NOT_COORDINATOR.
    pub fn on_resigned(&mut self, now: Now, shard: ShardId, out: &mut Vec<Effect<Response>>) {
        let _ = (now, shard, out);
    }

    /// Answers at once or later, exactly once, by an `Effect::Reply` with the token.
    pub fn handle(
        &mut self,
        now: Now,
        token: ReplyToken,
        request: &Request<'_>,
        out: &mut Vec<Effect<Response>>,
    ) {
        let _ = (now, request);
        out.push(Effect::Reply { token, response: Response::Heartbeat(ErrorCode::None) });
    }

    /// The records of the ticket are below the high watermark.
    pub fn on_committed(
        &mut self,
        now: Now,
        shard: ShardId,
        ticket: u64,
        out: &mut Vec<Effect<Response>>,
    ) {
        let _ = (now, shard, ticket, out);
    }

    /// The records of the ticket are not in the log and never will be.
    pub fn on_append_failed(
        &mut self,
        now: Now,
        failure: AppendFailure,
        out: &mut Vec<Effect<Response>>,
    ) {
        let _ = (now, failure, out);
    }

    /// Topics are gone: so are the offsets committed for them.
    pub fn on_topics_deleted(
        &mut self,
        now: Now,
        topics: &[&str],
        out: &mut Vec<Effect<Response>>,
    ) {
        let _ = (now, topics, out);
    }

    /// Monotonic milliseconds of the next thing to do by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        None
    }

    pub fn on_deadline(&mut self, now: Now, out: &mut Vec<Effect<Response>>) {
        let _ = (now, out);
    }
}

/// An append that was refused, with the error a produce request would have got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendFailure {
    pub shard: ShardId,
    pub ticket: u64,
    pub error: ErrorCode,
}
