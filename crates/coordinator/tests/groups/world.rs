//! A node with one partition of `__consumer_offsets`, whose log and clock the test holds.

use std::collections::BTreeMap;

use strom_base::{Now, Random};
use strom_coordinator::request::{
    CommitPartition, CommitTopic, FetchGroup, HeartbeatRequest, JoinProtocol, JoinRequest,
    LeaveRequest, LeavingMember, OffsetCommitRequest, OffsetFetchRequest, SyncAssignment,
    SyncRequest,
};
use strom_coordinator::response::{
    DescribedGroup, FetchedGroup, JoinResponse, LeaveResponse, SyncResponse,
};
use strom_coordinator::{
    AppendFailure, Effect, ErrorCode, GroupConfig, GroupCoordinator, OwnedRecord, ReplyToken,
    Request, Response, ShardId,
};

pub(crate) const SHARD: ShardId = ShardId { partition: 0, leader_epoch: 1 };
pub(crate) const GROUP: &str = "group";

/// Consumer metadata of version 0: topic `t1`, no user data.
pub(crate) const READS_T1: &[u8] = b"\0\0\0\0\0\x01\0\x02t1\xff\xff\xff\xff";

pub(crate) struct World {
    pub coordinator: GroupCoordinator,
    pub now: Now,
    /// Appends become committed at once; else when the test says so.
    pub commits: bool,
    pub pending: Vec<(u64, Vec<OwnedRecord>)>,
    pub log: Vec<OwnedRecord>,
    pub replies: BTreeMap<u64, Response>,
    pub requests: u64,
    config: GroupConfig,
}

impl World {
    pub(crate) fn new(config: GroupConfig) -> Self {
        Self::with_log(config, Vec::new())
    }

    /// Without a delay before the first rebalance.
    pub(crate) fn prompt() -> Self {
        Self::new(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() })
    }

    pub(crate) fn with_log(config: GroupConfig, log: Vec<OwnedRecord>) -> Self {
        let coordinator = GroupCoordinator::new(config.clone(), Random::new(7));
        let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let mut world = Self {
            coordinator,
            now,
            commits: true,
            pending: Vec::new(),
            log,
            replies: BTreeMap::new(),
            requests: 0,
            config,
        };
        world.load();
        world
    }

    /// The same log on another node.
    pub(crate) fn restarted(&self) -> Self {
        let mut world = Self::with_log(self.config.clone(), self.log.clone());
        world.now = self.now;
        world
    }

    fn load(&mut self) {
        let mut out = Vec::new();
        self.coordinator.set_partition_count(1);
        self.coordinator.on_elected(SHARD, &mut out);
        for record in &self.log {
            let replayed = self.coordinator.replay(SHARD, &record.key, record.value.as_deref());
            assert_eq!(replayed, Ok(()));
        }
        self.coordinator.on_loaded(self.now, SHARD, &mut out);
        self.take(out);
    }

    pub(crate) fn take(&mut self, out: Vec<Effect<Response>>) {
        for effect in out {
            match effect {
                Effect::Append { shard, ticket, records } => {
                    assert_eq!(shard, SHARD);
                    self.pending.push((ticket, records));
                }
                Effect::Reply { token, response } => {
                    let before = self.replies.insert(token.request, response);
                    assert_eq!(before, None, "{token:?} is answered twice");
                }
            }
        }
        self.coordinator.check();
        while self.commits && !self.pending.is_empty() {
            self.commit_next();
        }
    }

    pub(crate) fn commit_next(&mut self) {
        let (ticket, records) = self.pending.remove(0);
        self.log.extend(records);
        let mut out = Vec::new();
        self.coordinator.on_committed(self.now, SHARD, ticket, &mut out);
        self.take(out);
    }

    pub(crate) fn fail_next(&mut self, error: ErrorCode) {
        let (ticket, _) = self.pending.remove(0);
        let mut out = Vec::new();
        let failure = AppendFailure { shard: SHARD, ticket, error };
        self.coordinator.on_append_failed(self.now, failure, &mut out);
        self.take(out);
    }

    pub(crate) fn advance(&mut self, by_ms: u64) {
        let until_ms = self.now.monotonic_ms + by_ms;
        while let Some(due_ms) = self.coordinator.next_deadline().filter(|due| *due <= until_ms) {
            self.at(due_ms.max(self.now.monotonic_ms));
            let mut out = Vec::new();
            self.coordinator.on_deadline(self.now, &mut out);
            self.take(out);
        }
        self.at(until_ms);
    }

    fn at(&mut self, monotonic_ms: u64) {
        self.now.wall_ms += i64::try_from(monotonic_ms - self.now.monotonic_ms).unwrap();
        self.now.monotonic_ms = monotonic_ms;
    }

    /// Sends a request; its answer may come later.
    pub(crate) fn send(&mut self, request: &Request<'_>) -> u64 {
        self.requests += 1;
        let token = ReplyToken::new(self.requests);
        let mut out = Vec::new();
        self.coordinator.handle(self.now, token, request, &mut out);
        self.take(out);
        self.requests
    }

    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Response {
        let request = self.send(request);
        self.answer(request)
    }

    pub(crate) fn answer(&mut self, request: u64) -> Response {
        self.replies.remove(&request).expect("not answered yet")
    }

    pub(crate) fn is_answered(&self, request: u64) -> bool {
        self.replies.contains_key(&request)
    }

    pub(crate) fn joined(&mut self, request: u64) -> JoinResponse {
        match self.answer(request) {
            Response::Join(response) => response,
            other => panic!("not a join: {other:?}"),
        }
    }

    pub(crate) fn synced(&mut self, request: u64) -> SyncResponse {
        match self.answer(request) {
            Response::Sync(response) => response,
            other => panic!("not a sync: {other:?}"),
        }
    }

    /// The id of a new dynamic member, which has yet to join with it.
    pub(crate) fn new_member_id(&mut self) -> String {
        let request = self.send(&Request::Join(join("")));
        let response = self.joined(request);
        assert_eq!(response.error, ErrorCode::MemberIdRequired);
        response.member_id
    }

    /// A group of one member that is assigned `A`. Needs a prompt world.
    pub(crate) fn stable_group(&mut self, request: JoinRequest<'_>) -> JoinResponse {
        let request = self.send(&Request::Join(request));
        self.advance(0);
        let joined = self.joined(request);
        assert_eq!(joined.error, ErrorCode::None);
        let sync = sync(&joined, &joined.member_id, &[(&joined.member_id, b"A")]);
        let request = self.send(&Request::Sync(sync));
        assert_eq!(self.synced(request).assignment, &b"A"[..]);
        joined
    }

    pub(crate) fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let request =
            HeartbeatRequest { group_id: GROUP, generation_id, member_id, group_instance_id: None };
        match self.ask(&Request::Heartbeat(request)) {
            Response::Heartbeat(error) => error,
            other => panic!("not a heartbeat: {other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, members: Vec<LeavingMember<'_>>) -> LeaveResponse {
        match self.ask(&Request::Leave(LeaveRequest { group_id: GROUP, members })) {
            Response::Leave(response) => response,
            other => panic!("not a leave: {other:?}"),
        }
    }

    pub(crate) fn describe(&mut self) -> DescribedGroup {
        let request = strom_coordinator::request::DescribeGroupsRequest {
            version: 5,
            group_ids: vec![GROUP],
        };
        match self.ask(&Request::DescribeGroups(request)) {
            Response::DescribeGroups(mut groups) => groups.remove(0),
            other => panic!("not a description: {other:?}"),
        }
    }

    pub(crate) fn commit_error(&mut self, request: OffsetCommitRequest<'_>) -> ErrorCode {
        match self.ask(&Request::OffsetCommit(request)) {
            Response::OffsetCommit(topics) => topics[0].partitions[0].error,
            other => panic!("not a commit: {other:?}"),
        }
    }

    pub(crate) fn fetch_all(&mut self, require_stable: bool) -> FetchedGroup {
        let groups = vec![FetchGroup { group_id: GROUP, topics: None }];
        match self.ask(&Request::OffsetFetch(OffsetFetchRequest { require_stable, groups })) {
            Response::OffsetFetch(mut groups) => groups.remove(0),
            other => panic!("not a fetch: {other:?}"),
        }
    }

    /// Topic, partition and offset of everything that is committed.
    pub(crate) fn offsets(&mut self) -> Vec<(String, i32, i64)> {
        let topics = self.fetch_all(false).topics.into_iter();
        topics
            .flat_map(|topic| {
                let name = topic.name;
                let partitions = topic.partitions.into_iter();
                partitions.map(move |one| (name.clone(), one.partition, one.offset))
            })
            .collect()
    }
}

/// A consumer that joins with version 5 and reads `t1`.
pub(crate) fn join(member_id: &str) -> JoinRequest<'_> {
    JoinRequest {
        version: 5,
        group_id: GROUP,
        member_id,
        client_id: "client",
        client_host: "/127.0.0.1",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer",
        protocols: vec![JoinProtocol { name: "range", metadata: READS_T1 }],
        group_instance_id: None,
    }
}

/// A consumer of old that is given its id with its first answer.
pub(crate) fn old_join() -> JoinRequest<'static> {
    JoinRequest { version: 3, ..join("") }
}

pub(crate) fn static_join(instance_id: &str) -> JoinRequest<'_> {
    JoinRequest { group_instance_id: Some(instance_id), ..join("") }
}

pub(crate) fn sync<'a>(
    joined: &JoinResponse,
    member_id: &'a str,
    assignments: &[(&'a str, &'a [u8])],
) -> SyncRequest<'a> {
    let assignments = assignments.iter();
    let assignments =
        assignments.map(|(member_id, assignment)| SyncAssignment { member_id, assignment });
    SyncRequest {
        group_id: GROUP,
        generation_id: joined.generation_id,
        member_id,
        assignments: assignments.collect(),
        ..SyncRequest::default()
    }
}

/// A commit of one offset of `t1`-0, by a member or (-1 and no id) by nobody in particular.
pub(crate) fn commit(member_id: &str, generation_id: i32, offset: i64) -> OffsetCommitRequest<'_> {
    let partition = CommitPartition { partition: 0, offset, leader_epoch: -1, metadata: None };
    OffsetCommitRequest {
        version: 8,
        group_id: GROUP,
        generation_id,
        member_id,
        group_instance_id: None,
        retention_time_ms: -1,
        topics: vec![CommitTopic { name: "t1", partitions: vec![partition], ..Default::default() }],
    }
}
