//! A consumer that reads all partitions from the first offset on, without a group.

use strom_protocol::ErrorCode;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::{FetchResponse, PartitionData};

use super::list_offsets;
use super::session::FetchSession;
use super::times::{Steps, Times};
use super::wire::{FETCH, LIST_OFFSETS, each_record};
use super::{Context, Link};
use crate::world::order::Asked;
use crate::world::places::{Place, Places};
use crate::world::records::Records;

#[derive(Debug)]
pub(in crate::world) struct Consumer {
    /// By place.
    positions: Vec<Position>,
    asked: Option<i32>,
    /// That was about times.
    has_asked_times: bool,
    /// Places whose position lies outside of the log: where they start is asked.
    lost: Vec<Place>,
    session: Option<FetchSession>,
    /// The judge's own reader: what it reads is kept for the judge, and told to nobody else.
    is_judge: bool,
    /// Only the judge's.
    times: Times,
    /// What it has asked for at most, in one answer and of one partition.
    bytes_max: (i32, u64),
    /// It asks to wait this long at most, in milliseconds, and now and then for longer.
    wait_max_ms: u64,
    /// How much all others had heard of when it asked last.
    heard: u64,
}

#[derive(Clone, Debug, Default)]
struct Position {
    next_offset: i64,
    /// Where its reading began.
    first_offset: i64,
    /// The high watermark it was last told; `None` before the first answer.
    high_watermark: Option<i64>,
    /// When it asked last.
    asked: Asked,
    log_start_offset: i64,
    /// What it was told last.
    error: Option<ErrorCode>,
    /// Only the judge's: everything, by offset …
    read: Records,
    /// … and by time.
    steps: Steps,
}

impl Consumer {
    pub(in crate::world) fn new(places: &Places, has_session: bool) -> Self {
        Self {
            positions: vec![Position::default(); places.len()],
            asked: None,
            has_asked_times: false,
            lost: Vec::new(),
            session: has_session.then(FetchSession::default),
            is_judge: false,
            times: Times::default(),
            bytes_max: (100_000, 30_000),
            wait_max_ms: 50,
            heard: 0,
        }
    }

    pub(in crate::world) fn with_wait(self, wait_max_ms: u64) -> Self {
        Self { wait_max_ms, ..self }
    }

    pub(in crate::world) fn judge(places: &Places, has_session: bool) -> Self {
        Self { is_judge: true, wait_max_ms: 1, ..Self::new(places, has_session) }
    }

    /// Whether it has read everything, and was told of times what it has read.
    pub(in crate::world) fn has_judged(&self, heard: u64) -> bool {
        self.is_at_the_end(heard) && self.times.is_told()
    }

    /// Whether it stands at the high watermark of every partition, and nobody heard of anything since it
    /// asked: that may lie behind what it was told.
    fn is_at_the_end(&self, heard: u64) -> bool {
        self.asked.is_none()
            && self.heard == heard
            && self.positions.iter().all(|it| it.high_watermark == Some(it.next_offset))
    }

    /// Where it is not at the end: the index of the place, the next offset, the high watermark and the error
    /// that it was told last.
    pub(in crate::world) fn unread(&self) -> Vec<(usize, i64, Option<i64>, &'static str)> {
        let all = self.positions.iter().enumerate();
        let unread = all.filter(|(_, it)| it.high_watermark != Some(it.next_offset));
        unread
            .map(|(place, it)| {
                (place, it.next_offset, it.high_watermark, it.error.map_or("", ErrorCode::name))
            })
            .collect()
    }

    /// By place: where the reading began, and everything from there on.
    pub(in crate::world) fn read(&self) -> impl Iterator<Item = (i64, &Records)> {
        self.positions.iter().map(|it| (it.first_offset, &it.read))
    }

    /// What was read may be gone when the power failed: then it is read again.
    pub(super) fn on_disconnected(&mut self, power_failed: bool) {
        self.asked = None;
        self.lost.clear();
        self.times.ask_again();
        self.has_asked_times = false;
        if let Some(session) = &mut self.session {
            session.close();
        }
        for position in &mut self.positions {
            if power_failed {
                *position = Position::default();
            }
            position.high_watermark = None;
            position.log_start_offset = 0;
        }
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() {
            return Ok(());
        }
        if self.is_judge && self.is_at_the_end(context.audit.heard()) {
            return self.ask_for_times(link, context);
        }
        if !self.lost.is_empty() {
            let request = list_offsets::earliest(&context.audit.places, &self.lost);
            self.asked = Some(link.send(LIST_OFFSETS, &request, context)?);
            return Ok(());
        }
        for (place, position) in context.audit.places.all().zip(&mut self.positions) {
            position.asked = context.audit.ask(place);
        }
        let offsets = context.audit.places.all().zip(&self.positions);
        let offsets = offsets.map(|(place, it)| (place, it.next_offset));
        let wanted: Vec<(Place, i64)> = match &mut self.session {
            Some(session) => session.news(offsets),
            None => offsets.collect(),
        };
        let mut topics: Vec<FetchTopic<'_>> = Vec::new();
        for (place, fetch_offset) in wanted {
            let (topic, partition) = context.audit.places.at(place);
            let wanted = FetchPartition {
                partition,
                current_leader_epoch: -1,
                fetch_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: 1 + context.random.below(self.bytes_max.1) as i32,
                ..Default::default()
            };
            match topics.last_mut() {
                Some(last) if last.topic == topic => last.partitions.push(wanted),
                _ => topics.push(FetchTopic {
                    topic,
                    partitions: vec![wanted],
                    ..Default::default()
                }),
            }
        }
        let (session_id, session_epoch) = self.session.as_ref().map_or((0, -1), |it| it.id());
        let long = if self.is_judge { 0 } else { context.random.below(8) };
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: context.random.below(self.wait_max_ms << long.saturating_sub(4)) as i32,
            min_bytes: 1 + if long > 5 { context.random.below(9000) as i32 } else { 0 },
            max_bytes: self.bytes_max.0,
            isolation_level: context.random.below(2) as i8,
            session_id,
            session_epoch,
            topics,
            ..Default::default()
        };
        self.heard = context.audit.heard();
        self.asked = Some(link.send(FETCH, &request, context)?);
        Ok(())
    }

    /// Once it has read everything.
    fn ask_for_times(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.times.is_told() {
            // Others may still read something, until the node holds nothing for who is gone.
            context.pause(10);
            return Ok(());
        }
        let places = &context.audit.places;
        let read = places.all().zip(&self.positions);
        let read = read.map(|(place, it)| (place, &it.steps, it.next_offset));
        let wanted = self.times.ask(read, context.random);
        let request = list_offsets::since(places, wanted);
        self.asked = Some(link.send(LIST_OFFSETS, &request, context)?);
        self.has_asked_times = true;
        Ok(())
    }

    pub(super) fn on_answer(
        &mut self,
        correlation_id: i32,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        if self.asked.take() != Some(correlation_id) {
            return Err("a fetch was answered out of order".into());
        }
        context.pause(10);
        if !self.lost.is_empty() {
            return self.on_starts(bytes, &context.audit.places);
        }
        if std::mem::take(&mut self.has_asked_times) {
            let answer = LIST_OFFSETS.answer(bytes)?;
            return self.times.on_told(&list_offsets::answered(&context.audit.places, &answer)?);
        }
        let answer: FetchResponse<'_> = FETCH.answer(bytes)?;
        let error = ErrorCode::from_code(answer.error_code);
        if let Some(session) = &mut self.session {
            match error {
                ErrorCode::None => session.on_answer(answer.session_id)?,
                ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch => {
                    session.close();
                    return Ok(());
                }
                _ => {}
            }
        }
        if error != ErrorCode::None {
            return Err(format!("a fetch failed with {}", error.name()));
        }
        for topic in &answer.responses {
            for part in &topic.partitions {
                let place = context.audit.places.find(topic.topic, part.partition_index);
                self.take(place.ok_or("an answer for nobody")?, part, context)?;
            }
        }
        Ok(())
    }

    fn on_starts(&mut self, bytes: &[u8], places: &Places) -> Result<(), String> {
        self.lost.clear();
        for (place, (_, offset)) in list_offsets::answered(places, &LIST_OFFSETS.answer(bytes)?)? {
            let position = self.positions.get_mut(place.index()).ok_or("an offset for nobody")?;
            if offset < position.next_offset {
                let next_offset = position.next_offset;
                return Err(format!("{place:?} starts at {offset}, yet {next_offset} is outside"));
            }
            (position.first_offset, position.next_offset) = (offset, offset);
            position.read.retain(|it, _| it >= offset);
            position.steps = Steps::default();
        }
        Ok(())
    }

    fn take(
        &mut self,
        place: Place,
        part: &PartitionData<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let error = ErrorCode::from_code(part.error_code);
        if let Some(position) = self.positions.get_mut(place.index()) {
            position.error = Some(error);
        }
        if error == ErrorCode::OffsetOutOfRange {
            self.lost.push(place);
            return Ok(());
        }
        if error != ErrorCode::None {
            context.retry();
            let is_fatal = !error.is_retriable();
            return if is_fatal { Err(format!("{place:?}: {}", error.name())) } else { Ok(()) };
        }
        let position = self.positions.get_mut(place.index()).ok_or("an answer for nobody")?;
        let (high_watermark, log_start) = (part.high_watermark, part.log_start_offset);
        if position.high_watermark.is_some_and(|known| known > high_watermark)
            || log_start < position.log_start_offset
            || log_start > high_watermark
        {
            return Err(format!(
                "{place:?}: {log_start} to {high_watermark} after {} to {:?}",
                position.log_start_offset, position.high_watermark
            ));
        }
        if part.last_stable_offset != high_watermark {
            return Err(format!("{place:?}: {} is not stable", part.last_stable_offset));
        }
        position.high_watermark = Some(high_watermark);
        context.audit.answer(place, position.asked, (high_watermark, high_watermark));
        position.log_start_offset = log_start;
        let bytes = part.records.as_ref().and_then(|records| records.inline()).unwrap_or_default();
        let read = (bytes, context.audit.was_read_wrong);
        each_record(place, read, |(offset, timestamp), mark| {
            if offset < position.next_offset {
                return Ok(());
            }
            if offset != position.next_offset || offset >= high_watermark {
                return Err(format!("{place:?}: {offset} for {}", position.next_offset));
            }
            position.next_offset += 1;
            if self.is_judge {
                context.audit.steps += 1;
                position.read.insert(offset, mark);
                position.steps.see(offset, timestamp);
            } else {
                context.audit.see(place, offset, mark);
            }
            Ok(())
        })?;
        Ok(())
    }
}
