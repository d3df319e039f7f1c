//! A consumer that reads all partitions from the first offset on, without a group.

use std::collections::BTreeMap;

use strom_protocol::ErrorCode;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::{FetchResponse, PartitionData};

use super::actor::{Context, Link};
use super::audit::{Place, Records};
use super::list_offsets;
use super::session::FetchSession;
use super::wire::{FETCH, LIST_OFFSETS, texts_of};

const RETRY_MS: u64 = 20;

#[derive(Debug)]
pub(super) struct Consumer {
    positions: BTreeMap<Place, Position>,
    asked: Option<i32>,
    /// Places whose position lies outside of the log: where they start is asked.
    lost: Vec<Place>,
    session: Option<FetchSession>,
    /// Everything, by place and offset.
    pub(super) read: Records,
    /// The judge's own reader: its findings are not told to the audit on the way.
    is_judge: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    next_offset: i64,
    /// Where its reading began.
    first_offset: i64,
    /// The high watermark it was last told; `None` before the first answer.
    high_watermark: Option<i64>,
    log_start_offset: i64,
}

impl Consumer {
    pub(super) fn new(places: &[Place], has_session: bool) -> Self {
        let positions = places.iter().map(|place| (place.clone(), Position::default())).collect();
        Self {
            positions,
            asked: None,
            lost: Vec::new(),
            session: has_session.then(FetchSession::default),
            read: BTreeMap::new(),
            is_judge: false,
        }
    }

    pub(super) fn judge(places: &[Place], has_session: bool) -> Self {
        Self { is_judge: true, ..Self::new(places, has_session) }
    }

    /// Whether it stands at the high watermark of every partition.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.positions
            .values()
            .all(|position| position.high_watermark == Some(position.next_offset))
    }

    /// Where the reading of each place began.
    pub(super) fn starts(&self) -> BTreeMap<Place, i64> {
        self.positions.iter().map(|(place, it)| (place.clone(), it.first_offset)).collect()
    }

    /// What was read may be gone when the power failed: then it is read again.
    pub(super) fn on_disconnected(&mut self, power_failed: bool) {
        self.asked = None;
        self.lost.clear();
        if let Some(session) = &mut self.session {
            session.close();
        }
        if power_failed {
            self.read.clear();
            for position in self.positions.values_mut() {
                *position = Position::default();
            }
        }
        for position in self.positions.values_mut() {
            position.high_watermark = None;
            position.log_start_offset = 0;
        }
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() || (self.is_judge && self.is_at_the_end()) {
            return Ok(());
        }
        if !self.lost.is_empty() {
            let request = list_offsets::earliest(&self.lost);
            self.asked = Some(link.send(LIST_OFFSETS, &request, context)?);
            return Ok(());
        }
        let offsets = self.positions.iter().map(|(place, it)| (place, it.next_offset));
        let wanted: Vec<(&Place, i64)> = match &mut self.session {
            Some(session) => session.news(offsets),
            None => offsets.collect(),
        };
        let mut topics: Vec<FetchTopic<'_>> = Vec::new();
        for ((topic, partition), fetch_offset) in wanted {
            let wanted = FetchPartition {
                partition: *partition,
                current_leader_epoch: -1,
                fetch_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: 1 + context.random.below(30_000) as i32,
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
            max_wait_ms: context.random.below(50 << long.saturating_sub(4)) as i32,
            min_bytes: 1 + if long > 5 { context.random.below(9000) as i32 } else { 0 },
            max_bytes: 100_000,
            isolation_level: context.random.below(2) as i8,
            session_id,
            session_epoch,
            topics,
            ..Default::default()
        };
        self.asked = Some(link.send(FETCH, &request, context)?);
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
        let delay_ms = context.random.below(10);
        context.wake_after(delay_ms);
        if !self.lost.is_empty() {
            return self.on_starts(bytes);
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
                let place = (topic.topic.to_owned(), part.partition_index);
                self.take(&place, part, context)?;
            }
        }
        Ok(())
    }

    fn on_starts(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.lost.clear();
        for (place, offset) in list_offsets::answered(&LIST_OFFSETS.answer(bytes)?)? {
            let position = self.positions.get_mut(&place).ok_or("an offset for nobody")?;
            if offset < position.next_offset {
                return Err(format!("{place:?} starts at {offset}, yet {position:?} is outside"));
            }
            (position.first_offset, position.next_offset) = (offset, offset);
            if let Some(read) = self.read.get_mut(&place) {
                read.retain(|at, _| *at >= offset);
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        place: &Place,
        part: &PartitionData<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let error = ErrorCode::from_code(part.error_code);
        if error == ErrorCode::OffsetOutOfRange {
            self.lost.push(place.clone());
            return Ok(());
        }
        if error != ErrorCode::None {
            context.wake_after(RETRY_MS);
            let is_fatal = !error.is_retriable();
            return if is_fatal { Err(format!("{place:?}: {}", error.name())) } else { Ok(()) };
        }
        let position = self.positions.get_mut(place).ok_or("an answer for nobody")?;
        let (high_watermark, log_start) = (part.high_watermark, part.log_start_offset);
        if position.high_watermark.is_some_and(|known| known > high_watermark)
            || log_start < position.log_start_offset
        {
            return Err(format!("{place:?}: {log_start} to {high_watermark} after {position:?}"));
        }
        if part.last_stable_offset != high_watermark {
            return Err(format!("{place:?}: {} is not stable", part.last_stable_offset));
        }
        position.high_watermark = Some(high_watermark);
        position.log_start_offset = log_start;
        let bytes = part.records.as_ref().and_then(|records| records.inline()).unwrap_or_default();
        for (offset, key) in texts_of(place, bytes)? {
            if offset < position.next_offset {
                continue;
            }
            if offset != position.next_offset || offset >= high_watermark {
                return Err(format!("{place:?}: {offset} for {}", position.next_offset));
            }
            position.next_offset += 1;
            if !self.is_judge {
                context.audit.see(place, offset, &key);
            }
            self.read.entry(place.clone()).or_default().insert(offset, key);
        }
        Ok(())
    }
}
