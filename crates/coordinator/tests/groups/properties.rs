//! Whatever clients and the log do: no panic, every request answered once, nothing forgotten.

use proptest::prelude::*;
use strom_coordinator::request::{
    CommitTopic, DeleteTopic, HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};
use strom_coordinator::response::JoinResponse;
use strom_coordinator::{
    AppendFailure, ErrorCode, GroupConfig, GroupCoordinator, OwnedRecord, Request, Response,
};

use crate::world::{GROUP, SHARD, World, commit, join, sync};

/// One step of a test; the numbers choose among what there is to choose from.
#[derive(Clone, Debug)]
enum Step {
    Join { member: usize, instance: u8, version: i16, changed: bool },
    Sync { member: usize, is_leader: bool, generation: i32 },
    Heartbeat { member: usize, generation: i32 },
    Leave { member: usize, instance: u8 },
    Commit { member: usize, generation: i32, topic: bool, retention: bool },
    Fetch { require_stable: bool },
    DeleteOffsets,
    DeleteGroup,
    DeleteTopic,
    Advance { by_ms: u64 },
    Commits { on: bool },
    CommitNext,
    FailNext,
}

fn steps(with_failures: bool) -> impl Strategy<Value = Vec<Step>> {
    let number = 0usize..8;
    let generation = -1i32..6;
    let join = (number.clone(), 0u8..8, 3i16..10, any::<bool>());
    let join = join.prop_map(|(member, instance, version, changed)| Step::Join {
        member,
        instance,
        version,
        changed,
    });
    let synced = (number.clone(), any::<bool>(), generation.clone());
    let synced = synced.prop_map(|(member, is_leader, generation)| Step::Sync {
        member,
        is_leader,
        generation,
    });
    let beat = (number.clone(), generation.clone());
    let beat = beat.prop_map(|(member, generation)| Step::Heartbeat { member, generation });
    let leave = (number.clone(), 0u8..8);
    let leave = leave.prop_map(|(member, instance)| Step::Leave { member, instance });
    let commit = (number, generation, any::<bool>(), any::<bool>());
    let commit = commit.prop_map(|(member, generation, topic, retention)| Step::Commit {
        member,
        generation,
        topic,
        retention,
    });
    let fate = if with_failures { Step::FailNext } else { Step::CommitNext };
    let step = prop_oneof![
        10 => join,
        8 => synced,
        3 => beat,
        1 => leave,
        4 => commit,
        1 => any::<bool>().prop_map(|require_stable| Step::Fetch { require_stable }),
        1 => Just(Step::DeleteOffsets),
        1 => Just(Step::DeleteGroup),
        1 => Just(Step::DeleteTopic),
        4 => (0u64..4_000).prop_map(|by_ms| Step::Advance { by_ms }),
        1 => Just(Step::Advance { by_ms: 8_000 }),
        1 => Just(Step::Advance { by_ms: 700_000 }),
        2 => prop::bool::weighted(0.7).prop_map(|on| Step::Commits { on }),
        3 => Just(Step::CommitNext),
        3 => Just(fate),
    ];
    prop::collection::vec(step, 1..160)
}

struct Run {
    world: World,
    /// Every member id that was ever given out.
    members: Vec<String>,
    sent: u64,
}

impl Run {
    fn new() -> Self {
        let config =
            GroupConfig { offsets_retention_ms: 60_000, group_max_size: 3, ..Default::default() };
        Self { world: World::new(config), members: Vec::new(), sent: 0 }
    }

    /// Mostly somebody of the group, or who was told an id last; sometimes anybody or nobody.
    fn member(&mut self, number: usize) -> String {
        let described = self.world.describe().members;
        let known = match number {
            0..=3 if !described.is_empty() => {
                Some(described[number % described.len()].member_id.clone())
            }
            4 | 5 => self.members.iter().rev().nth(number - 4).cloned(),
            6 => self.members.first().cloned(),
            _ => None,
        };
        known.unwrap_or_default()
    }

    /// The last join that succeeded.
    fn joined(&self) -> Option<&JoinResponse> {
        let joins = self.world.replies.values().filter_map(|response| match response {
            Response::Join(joined) if joined.error == ErrorCode::None => Some(joined),
            _ => None,
        });
        joins.max_by_key(|joined| joined.generation_id)
    }

    /// Mostly the current one.
    fn generation(&self, number: i32) -> i32 {
        match number {
            0..4 => self.joined().map_or(number, |joined| joined.generation_id),
            _ => number,
        }
    }

    fn send(&mut self, request: &Request<'_>) {
        self.world.send(request);
        self.sent += 1;
        for response in self.world.replies.values() {
            if let Response::Join(joined) = response
                && !joined.member_id.is_empty()
                && !self.members.contains(&joined.member_id)
            {
                self.members.push(joined.member_id.clone());
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Join { member, instance, version, changed } => {
                let member_id = self.member(member);
                let instance_id = format!("i{instance}");
                let mut request = JoinRequest { version, ..join(&member_id) };
                request.group_instance_id = (instance > 5).then_some(instance_id.as_str());
                if changed {
                    request.protocols[0].metadata = b"\0\0\0";
                }
                self.send(&Request::Join(request));
            }
            Step::Sync { member, is_leader, generation } => {
                self.sync(member, is_leader, generation);
            }
            Step::Heartbeat { member, generation } => {
                let member_id = self.member(member);
                let generation_id = self.generation(generation);
                self.send(&Request::Heartbeat(HeartbeatRequest {
                    group_id: GROUP,
                    generation_id,
                    member_id: &member_id,
                    group_instance_id: None,
                }));
            }
            Step::Leave { member, instance } => {
                let member_id = self.member(member);
                let instance_id = format!("i{instance}");
                let group_instance_id = (instance > 5).then_some(instance_id.as_str());
                let members = vec![LeavingMember { member_id: &member_id, group_instance_id }];
                self.send(&Request::Leave(LeaveRequest { group_id: GROUP, members }));
            }
            Step::Commit { member, generation, topic, retention } => {
                let member_id = self.member(member);
                let mut request = commit(&member_id, self.generation(generation), 5);
                request.topics[0].name = if topic { "t1" } else { "t2" };
                let retention_time_ms = if retention { 1_000 } else { -1 };
                self.send(&Request::OffsetCommit(OffsetCommitRequest {
                    retention_time_ms,
                    ..request
                }));
            }
            Step::Advance { by_ms } => self.world.advance(by_ms),
            _ => self.administer(step),
        }
    }

    fn sync(&mut self, member: usize, is_leader: bool, generation: i32) {
        let Some(mut joined) = self.joined().cloned() else { return };
        let member_id = if is_leader { joined.leader.clone() } else { self.member(member) };
        let described = self.world.describe();
        let assigned = described.members.iter().filter(|_| is_leader);
        let assigned: Vec<(&str, &[u8])> =
            assigned.map(|member| (member.member_id.as_str(), &b"A"[..])).collect();
        joined.generation_id = self.generation(generation);
        self.send(&Request::Sync(sync(&joined, &member_id, &assigned)));
    }

    fn administer(&mut self, step: &Step) {
        match *step {
            Step::Fetch { require_stable } => {
                let group =
                    strom_coordinator::request::FetchGroup { group_id: GROUP, topics: None };
                let groups = vec![group.clone(), group];
                self.send(&Request::OffsetFetch(OffsetFetchRequest { require_stable, groups }));
            }
            Step::DeleteOffsets => {
                let topics = vec![DeleteTopic { name: "t2", partitions: vec![0, 0, 1] }];
                let request = OffsetDeleteRequest { group_id: GROUP, topics };
                self.send(&Request::OffsetDelete(request));
            }
            Step::DeleteGroup => self.send(&Request::DeleteGroups(vec![GROUP, "none"])),
            Step::DeleteTopic => {
                let mut out = Vec::new();
                self.world.coordinator.on_topics_deleted(self.world.now, &["t1"], &mut out);
                self.world.take(out);
            }
            Step::Commits { on } => {
                self.world.commits = on;
                self.world.take(Vec::new());
            }
            Step::CommitNext if !self.world.pending.is_empty() => self.world.commit_next(),
            Step::FailNext if !self.world.pending.is_empty() => {
                self.world.fail_next(ErrorCode::NotEnoughReplicas);
            }
            _ => {}
        }
    }

    fn stored(world: &World) -> Vec<OwnedRecord> {
        world.coordinator.shards().flat_map(|shard| shard.stored_records()).collect()
    }

    /// Time passes until nobody is left to wait for.
    fn finish(&mut self) {
        self.world.commits = true;
        self.world.take(Vec::new());
        self.world.advance(3_600_000);
        let waiting: usize =
            self.world.coordinator.shards().map(|shard| shard.waiting().len()).sum();
        assert_eq!(waiting, 0);
        assert_eq!(self.world.replies.len() as u64, self.sent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_log_says_what_the_shard_knows(steps in steps(false)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.world.commits = true;
        run.world.take(Vec::new());
        prop_assert_eq!(Run::stored(&run.world), Run::stored(&run.world.restarted()));
        run.finish();
    }

    #[test]
    fn failed_appends_leave_no_trace(steps in steps(true)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.world.commits = true;
        run.world.take(Vec::new());
        prop_assert_eq!(Run::stored(&run.world), Run::stored(&run.world.restarted()));
        run.finish();
    }

    #[test]
    fn the_same_steps_give_the_same_log(steps in steps(true)) {
        let log = || {
            let mut run = Run::new();
            steps.iter().for_each(|step| run.step(step));
            (run.world.log, run.world.replies)
        };
        prop_assert_eq!(log(), log());
    }

    #[test]
    fn resigning_answers_everybody(steps in steps(true)) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        let mut out = Vec::new();
        run.world.commits = false;
        run.world.coordinator.on_resigned(SHARD, &mut out);
        run.world.take(out);
        prop_assert_eq!(run.world.replies.len() as u64, run.sent);
    }

    #[test]
    fn no_record_can_make_a_shard_panic(
        kind in 0i16..4,
        key in prop::collection::vec(any::<u8>(), 0..24),
        value in prop::collection::vec(0u8..8, 0..64),
    ) {
        let random = strom_base::Random::new(1);
        let mut coordinator = GroupCoordinator::new(GroupConfig::default(), random);
        coordinator.set_partition_count(1);
        let mut out = Vec::new();
        coordinator.on_elected(SHARD, &mut out);
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend(key);
        let _ = coordinator.replay(SHARD, &bytes, Some(&value));
        let _ = coordinator.replay(SHARD, &[&[0, 2, 0, 0][..], &[]].concat(), Some(&value));
        coordinator.on_loaded(strom_base::Now::default(), SHARD, &mut out);
        coordinator.check();
        let error = ErrorCode::NotLeaderOrFollower;
        let failure = AppendFailure { shard: SHARD, ticket: 3, error };
        coordinator.on_append_failed(strom_base::Now::default(), failure, &mut out);
    }
}

#[test]
fn offsets_of_many_partitions_are_one_append() {
    let mut world = World::prompt();
    let mut request = commit("", -1, 1);
    let partition = request.topics[0].partitions[0];
    let partitions = (0..100).map(|number| strom_coordinator::request::CommitPartition {
        partition: number,
        ..partition
    });
    request.topics =
        vec![CommitTopic { name: "t1", partitions: partitions.collect(), ..Default::default() }];
    world.commits = false;
    world.send(&Request::OffsetCommit(request));
    assert_eq!(world.pending.len(), 1);
}
