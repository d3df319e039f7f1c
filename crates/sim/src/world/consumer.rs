//! A consumer that reads all partitions from the first offset on, without a group or a session.

use std::collections::BTreeMap;

use strom_protocol::ErrorCode;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::{FetchResponse, PartitionData};
use strom_protocol::records::{batches, verify_crc};

use super::actor::{Context, Link};
use super::audit::Place;
use super::wire::FETCH;

const RETRY_MS: u64 = 20;

#[derive(Debug)]
pub(super) struct Consumer {
    positions: BTreeMap<Place, Position>,
    asked: Option<i32>,
    /// Everything, by place and offset.
    pub(super) read: BTreeMap<Place, BTreeMap<i64, String>>,
    /// The judge's own reader: its findings are not told to the audit on the way.
    is_judge: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    next_offset: i64,
    /// The high watermark it was last told; `None` before the first answer.
    high_watermark: Option<i64>,
}

impl Consumer {
    pub(super) fn new(places: &[Place], is_judge: bool) -> Self {
        let positions = places.iter().map(|place| (place.clone(), Position::default())).collect();
        Self { positions, asked: None, read: BTreeMap::new(), is_judge }
    }

    /// Whether it stands at the high watermark of every partition.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.positions
            .values()
            .all(|position| position.high_watermark == Some(position.next_offset))
    }

    pub(super) fn on_disconnected(&mut self, seen_may_be_lost: bool) {
        self.asked = None;
        if seen_may_be_lost {
            self.read.clear();
            for position in self.positions.values_mut() {
                *position = Position::default();
            }
        }
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() || (self.is_judge && self.is_at_the_end()) {
            return Ok(());
        }
        let mut topics: Vec<FetchTopic<'_>> = Vec::new();
        for ((topic, partition), position) in &self.positions {
            let wanted = FetchPartition {
                partition: *partition,
                current_leader_epoch: -1,
                fetch_offset: position.next_offset,
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
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: context.random.below(50) as i32,
            min_bytes: 1,
            max_bytes: 100_000,
            session_epoch: -1,
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
        let answer: FetchResponse<'_> = FETCH.answer(bytes)?;
        if answer.error_code != ErrorCode::None.code() {
            return Err(format!("a fetch failed with {}", answer.error_code));
        }
        for topic in &answer.responses {
            for part in &topic.partitions {
                let place = (topic.topic.to_owned(), part.partition_index);
                self.take(&place, part, context)?;
            }
        }
        let delay_ms = context.random.below(10);
        context.wake_after(delay_ms);
        Ok(())
    }

    fn take(
        &mut self,
        place: &Place,
        part: &PartitionData<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let error = ErrorCode::from_code(part.error_code);
        if error != ErrorCode::None {
            context.wake_after(RETRY_MS);
            let is_fatal = !error.is_retriable();
            return if is_fatal { Err(format!("{place:?}: {}", error.name())) } else { Ok(()) };
        }
        let position = self.positions.get_mut(place).ok_or("an answer for nobody")?;
        position.high_watermark = Some(part.high_watermark);
        let bytes = part.records.as_ref().and_then(|records| records.inline()).unwrap_or_default();
        for batch in batches(bytes) {
            let batch = batch.map_err(|error| format!("{place:?}: {error}"))?;
            if !verify_crc(batch.bytes) {
                return Err(format!("{place:?}: a checksum is wrong"));
            }
            let body = batch.bytes.get(strom_protocol::records::HEADER_LENGTH..);
            for record in batch.header.records(body.unwrap_or_default()) {
                let record = record.map_err(|error| format!("{place:?}: {error}"))?;
                let offset = batch.header.offset_of(&record);
                if offset < position.next_offset {
                    continue;
                }
                if offset != position.next_offset || offset >= part.high_watermark {
                    return Err(format!("{place:?}: {offset} for {}", position.next_offset));
                }
                position.next_offset += 1;
                let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                if !record.value.is_some_and(|value| value.starts_with(key.as_bytes())) {
                    return Err(format!("{place:?} offset {offset}: key and value differ"));
                }
                if !self.is_judge {
                    context.audit.see(place, offset, &key);
                }
                self.read.entry(place.clone()).or_default().insert(offset, key);
            }
        }
        Ok(())
    }
}
