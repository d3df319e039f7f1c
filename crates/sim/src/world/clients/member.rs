//! A member of a consumer group of the classic kind: it joins, shares the partitions out when it
//! leads, reads from where the group stands, commits, and sends heartbeats. One question at a time.

mod requests;

use std::collections::BTreeMap;

use strom_protocol::ErrorCode;
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::find_coordinator_response::FindCoordinatorResponse;
use strom_protocol::heartbeat_response::HeartbeatResponse;
use strom_protocol::join_group_response::JoinGroupResponse;
use strom_protocol::leave_group_response::LeaveGroupResponse;
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::offset_commit_response::OffsetCommitResponse;
use strom_protocol::offset_fetch_response::OffsetFetchResponse;
use strom_protocol::sync_group_response::SyncGroupResponse;

use super::list_offsets;
use super::wire::{
    FETCH, FIND_COORDINATOR, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, LIST_OFFSETS, OFFSET_COMMIT,
    OFFSET_FETCH, SYNC_GROUP, each_record,
};
use super::{Context, Link};
use crate::world::clock::MILLISECOND;
use crate::world::committed::Offsets;
use crate::world::generations::Heard;
use crate::world::places::{Place, Places};

#[derive(Debug)]
enum Asked {
    Coordinator,
    Join,
    Sync,
    /// With what was acknowledged when it asked.
    Offsets(Offsets),
    Starts,
    Fetch,
    /// And whether the coordinator must refuse it.
    Commit(Offsets, bool),
    /// A commit that must be refused, of this generation.
    Late(i32),
    /// Sent then, in milliseconds.
    Heartbeat(u64),
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lost,
    Outside,
    Joined,
    /// It knows its share, not yet where the group stands in it.
    Assigned,
    Reading,
}

#[derive(Debug)]
pub(in crate::world) struct Member {
    places: Places,
    session_ms: i32,
    stage: Stage,
    member_id: String,
    generation: i32,
    /// What the others get, when it leads.
    shares: Vec<(String, Vec<u8>)>,
    assigned: Vec<Place>,
    positions: Offsets,
    committed: Offsets,
    /// Positions that lie outside of the log.
    outside: Vec<Place>,
    heartbeat_due_ms: u64,
    /// It does nothing until then, and may wake up with beliefs that are long out of date.
    sleeps_until_ms: u64,
    asked: Option<(i32, Asked)>,
    heard: Heard,
    /// A commit of the generation before, which somebody of the same process has forgotten to send.
    late: Option<(i32, Offsets)>,
    /// The life of the node that answered last.
    life: u32,
}

impl Member {
    /// With sessions of this length; heartbeats are sent some six times as often.
    pub(in crate::world) fn new(places: &Places, session_ms: i32) -> Self {
        Self {
            places: places.clone(),
            session_ms,
            stage: Stage::Lost,
            member_id: String::new(),
            generation: -1,
            shares: Vec::new(),
            assigned: Vec::new(),
            positions: Offsets::new(),
            committed: Offsets::new(),
            outside: Vec::new(),
            heartbeat_due_ms: 0,
            sleeps_until_ms: 0,
            asked: None,
            heard: Heard::default(),
            late: None,
            life: 0,
        }
    }

    /// It comes back as another: what it may still have under way is fenced then.
    pub(super) fn on_disconnected(&mut self) {
        *self = Self::new(&self.places, self.session_ms);
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() {
            return Ok(());
        }
        let now_ms = context.now.monotonic_ms;
        if self.stage == Stage::Reading && context.random.one_in(50) {
            self.sleeps_until_ms = now_ms + context.random.below(3 * self.session_ms as u64);
        }
        if self.sleeps_until_ms > now_ms {
            context.wake_after((self.sleeps_until_ms - now_ms) * MILLISECOND);
            return Ok(());
        }
        let (id, asked) = match self.stage {
            Stage::Lost => (self.ask_coordinator(link, context)?, Asked::Coordinator),
            Stage::Outside => (self.ask_join(link, context)?, Asked::Join),
            Stage::Joined => (self.ask_sync(link, context)?, Asked::Sync),
            Stage::Assigned => {
                let floor = context.audit.committed.floor();
                (self.ask_offsets(link, context)?, Asked::Offsets(floor))
            }
            // Who oversleeps may commit before it hears that the others went on without it.
            Stage::Reading if self.heartbeat_due_ms <= now_ms && context.random.one_in(2) => {
                self.heartbeat_due_ms = now_ms + self.session_ms as u64 / 6;
                (self.ask_heartbeat(link, context)?, Asked::Heartbeat(now_ms))
            }
            Stage::Reading if !self.outside.is_empty() => {
                let request = list_offsets::earliest(&self.places, &self.outside);
                (link.send(LIST_OFFSETS, &request, context)?, Asked::Starts)
            }
            Stage::Reading if self.late.is_some() => match self.late.take() {
                Some((generation, offsets))
                    if context.audit.generations.is_fenced(self.life, generation) =>
                {
                    let id = self.ask_commit(generation, &offsets, link, context)?;
                    (id, Asked::Late(generation))
                }
                _ => {
                    context.retry();
                    return Ok(());
                }
            },
            Stage::Reading if self.positions != self.committed && context.random.one_in(3) => {
                let offsets = self.news();
                context.audit.committed.send(&offsets);
                let is_fenced = context.audit.generations.is_fenced(self.life, self.generation);
                let id = self.ask_commit(self.generation, &offsets, link, context)?;
                (id, Asked::Commit(offsets, is_fenced))
            }
            Stage::Reading if context.random.one_in(150) => {
                (self.ask_leave(link, context)?, Asked::Leave)
            }
            Stage::Reading if self.assigned.is_empty() => {
                context.retry();
                return Ok(());
            }
            Stage::Reading => (self.ask_fetch(link, context)?, Asked::Fetch),
        };
        self.asked = Some((id, asked));
        Ok(())
    }

    /// What was read since the last commit.
    fn news(&self) -> Offsets {
        let is_new = |(place, offset): &(&Place, &i64)| self.committed.get(*place) != Some(*offset);
        self.positions.iter().filter(is_new).map(|(place, at)| (*place, *at)).collect()
    }

    pub(super) fn on_answer(
        &mut self,
        correlation_id: i32,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let Some((_, asked)) = self.asked.take_if(|(id, _)| *id == correlation_id) else {
            return Err("a member was answered out of order".into());
        };
        context.pause(10);
        self.life = context.audit.told_in_life;
        let error = match asked {
            Asked::Coordinator => {
                let answer: FindCoordinatorResponse<'_> = FIND_COORDINATOR.answer(bytes)?;
                self.stage = Stage::Outside;
                answer.error_code
            }
            Asked::Join => self.on_joined(&JOIN_GROUP.answer(bytes)?, context)?,
            Asked::Sync => self.on_synced(&SYNC_GROUP.answer(bytes)?)?,
            Asked::Offsets(floor) => {
                let answer: OffsetFetchResponse<'_> = OFFSET_FETCH.answer(bytes)?;
                self.on_offsets(&answer, &floor, context)?
            }
            Asked::Starts => {
                let answer: ListOffsetsResponse<'_> = LIST_OFFSETS.answer(bytes)?;
                self.outside.clear();
                let starts = list_offsets::answered(&self.places, &answer)?;
                starts.iter().for_each(|(place, _)| context.audit.committed.begin_anew(*place));
                self.positions.extend(starts.iter().map(|(place, (_, offset))| (*place, *offset)));
                0
            }
            Asked::Fetch => {
                let answer: FetchResponse<'_> = FETCH.answer(bytes)?;
                self.on_records(&answer, context)?;
                answer.error_code
            }
            Asked::Commit(offsets, is_fenced) => {
                let answer: OffsetCommitResponse<'_> = OFFSET_COMMIT.answer(bytes)?;
                let error = self.on_committed(&answer, offsets, context);
                // A group that lost its last offset begins anew.
                if is_fenced && error == 0 && !context.audit.committed.may_expire {
                    return Err(format!("a commit of the past generation {}", self.generation));
                }
                error
            }
            Asked::Late(generation) => {
                let answer: OffsetCommitResponse<'_> = OFFSET_COMMIT.answer(bytes)?;
                let mut parts = answer.topics.iter().flat_map(|topic| &topic.partitions);
                let is_taken = parts.any(|part| part.error_code == 0);
                if is_taken && !context.audit.committed.may_expire {
                    return Err(format!("a commit of the past generation {generation}"));
                }
                0
            }
            Asked::Heartbeat(sent_ms) => {
                let answer: HeartbeatResponse = HEARTBEAT.answer(bytes)?;
                match answer.error_code {
                    0 => self.heard.note(self.life, sent_ms),
                    code => self.check_expulsion(ErrorCode::from_code(code), context)?,
                }
                answer.error_code
            }
            Asked::Leave => {
                let _: LeaveGroupResponse<'_> = LEAVE_GROUP.answer(bytes)?;
                *self = Self::new(&self.places, self.session_ms);
                0
            }
        };
        self.on_error(ErrorCode::from_code(error), context)
    }

    fn on_error(&mut self, error: ErrorCode, context: &mut Context<'_>) -> Result<(), String> {
        match error {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => self.stage = Stage::Outside,
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => self.rejoin(),
            ErrorCode::UnknownMemberId => {
                self.member_id.clear();
                // Of a group that nothing is left of nobody remembers the generation.
                self.generation = -1;
                self.rejoin();
            }
            _ if error.is_retriable() => {
                context.retry();
                self.rejoin();
                self.stage = Stage::Lost;
            }
            _ => return Err(format!("a member is told {}", error.name())),
        }
        Ok(())
    }

    fn check_expulsion(&self, error: ErrorCode, context: &Context<'_>) -> Result<(), String> {
        let now_ms = context.now.monotonic_ms;
        let is_in_time = self.heard.is_in_time(self.life, now_ms, self.session_ms);
        match error {
            ErrorCode::UnknownMemberId if is_in_time => Err(format!(
                "a member was shut out of generation {} within its session",
                self.generation
            )),
            _ => Ok(()),
        }
    }

    fn rejoin(&mut self) {
        self.heard.forget();
        if self.generation >= 0 && self.positions != self.committed {
            self.late = Some((self.generation, self.news()));
        }
        self.stage = Stage::Outside;
        self.assigned.clear();
        self.positions.clear();
        self.committed.clear();
        self.outside.clear();
    }

    fn on_joined(
        &mut self,
        answer: &JoinGroupResponse<'_>,
        context: &mut Context<'_>,
    ) -> Result<i16, String> {
        if !answer.member_id.is_empty() {
            answer.member_id.clone_into(&mut self.member_id);
        }
        if answer.error_code != ErrorCode::None.code() {
            return Ok(answer.error_code);
        }
        if answer.generation_id < self.generation {
            return Err(format!("generation {} after {}", answer.generation_id, self.generation));
        }
        self.generation = answer.generation_id;
        context.audit.generations.join(self.life, self.generation);
        self.stage = Stage::Joined;
        let members = answer.members.iter().map(|member| member.member_id.to_owned());
        self.shares = share_out(&self.places, members.collect());
        Ok(0)
    }

    fn on_synced(&mut self, answer: &SyncGroupResponse<'_>) -> Result<i16, String> {
        if answer.error_code != ErrorCode::None.code() {
            return Ok(answer.error_code);
        }
        self.assigned = read_share(answer.assignment);
        self.positions.clear();
        self.committed.clear();
        self.stage = if self.assigned.is_empty() { Stage::Reading } else { Stage::Assigned };
        Ok(0)
    }

    fn on_offsets(
        &mut self,
        answer: &OffsetFetchResponse<'_>,
        floor: &Offsets,
        context: &mut Context<'_>,
    ) -> Result<i16, String> {
        if answer.error_code != ErrorCode::None.code() {
            return Ok(answer.error_code);
        }
        let mut told = Offsets::new();
        for topic in &answer.topics {
            for part in &topic.partitions {
                if part.error_code != ErrorCode::None.code() {
                    return Ok(part.error_code);
                }
                let place = self.places.find(topic.name, part.partition_index);
                let place = place.ok_or("an offset of nobody")?;
                context.audit.committed.check(place, part.committed_offset, floor)?;
                if part.committed_offset >= 0 {
                    told.insert(place, part.committed_offset);
                }
                self.positions.insert(place, part.committed_offset.max(0));
                self.committed.insert(place, part.committed_offset.max(0));
            }
        }
        context.audit.tell_committed(&told);
        self.stage = Stage::Reading;
        Ok(0)
    }

    fn on_records(
        &mut self,
        answer: &FetchResponse<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        for topic in &answer.responses {
            for part in &topic.partitions {
                let place = self.places.find(topic.topic, part.partition_index);
                let place = place.ok_or("an answer for nobody")?;
                match ErrorCode::from_code(part.error_code) {
                    ErrorCode::None => {}
                    ErrorCode::OffsetOutOfRange => {
                        self.outside.push(place);
                        continue;
                    }
                    error if error.is_retriable() => continue,
                    error => return Err(format!("{place:?}: {}", error.name())),
                }
                let records = part.records.as_ref().and_then(|records| records.inline());
                let position = self.positions.get_mut(&place).ok_or("an answer for nobody")?;
                let read = (records.unwrap_or_default(), context.audit.was_read_wrong);
                each_record(place, read, |(offset, _), mark| {
                    if offset > *position {
                        return Err(format!("{place:?}: {offset} for {position}"));
                    }
                    if offset == *position {
                        *position += 1;
                        context.audit.see(place, offset, mark);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn on_committed(
        &mut self,
        answer: &OffsetCommitResponse<'_>,
        offsets: Offsets,
        context: &mut Context<'_>,
    ) -> i16 {
        let parts = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let failed = parts.map(|part| part.error_code).find(|error| *error != 0);
        if failed.is_none() {
            context.audit.commit(&offsets);
            self.committed.extend(offsets);
        }
        failed.unwrap_or(0)
    }
}

/// Places in turn to the members, as numbers.
fn share_out(places: &Places, members: Vec<String>) -> Vec<(String, Vec<u8>)> {
    let mut shares: Vec<(String, Vec<u8>)> =
        members.into_iter().map(|member| (member, Vec::new())).collect();
    let count = shares.len().max(1);
    for place in places.all() {
        if let Some((_, share)) = shares.get_mut(place.index() % count) {
            share.extend_from_slice(&place.0.to_be_bytes());
        }
    }
    shares
}

fn read_share(bytes: &[u8]) -> Vec<Place> {
    bytes.as_chunks().0.iter().map(|number| Place(u16::from_be_bytes(*number))).collect()
}

/// Places by topic.
fn by_topic(places: &Places, offsets: &Offsets) -> BTreeMap<&'static str, Vec<(i32, i64)>> {
    let mut topics: BTreeMap<&'static str, Vec<(i32, i64)>> = BTreeMap::new();
    for (place, offset) in offsets {
        let (topic, partition) = places.at(*place);
        topics.entry(topic).or_default().push((partition, *offset));
    }
    topics
}
