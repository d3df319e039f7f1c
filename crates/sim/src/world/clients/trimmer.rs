//! Somebody who deletes records from the front of partitions now and then.

use strom_protocol::ErrorCode;
use strom_protocol::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use strom_protocol::delete_records_response::DeleteRecordsResponse;

use super::wire::DELETE_RECORDS;
use super::{Context, Link};
use crate::world::places::Place;

#[derive(Debug)]
pub(in crate::world) struct Trimmer {
    places: Vec<Place>,
    asked: Option<(i32, i64)>,
}

impl Trimmer {
    pub(in crate::world) fn new(places: &[Place]) -> Self {
        Self { places: places.to_vec(), asked: None }
    }

    pub(super) fn on_disconnected(&mut self) {
        self.asked = None;
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() {
            return Ok(());
        }
        let index = context.random.below(self.places.len() as u64) as usize;
        let Some(place) = self.places.get(index).copied() else { return Ok(()) };
        let end = context.audit.end_of(place);
        if end == 0 || context.random.one_in(2) {
            context.pause(200);
            return Ok(());
        }
        let offset = context.random.below(end as u64 / 2 + 1) as i64;
        context.audit.trim(place, offset);
        let (name, partition_index) = context.audit.places.at(place);
        let partition = DeleteRecordsPartition { partition_index, offset, ..Default::default() };
        let topic = DeleteRecordsTopic { name, partitions: vec![partition], ..Default::default() };
        let request =
            DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
        self.asked = Some((link.send(DELETE_RECORDS, &request, context)?, offset));
        Ok(())
    }

    pub(super) fn on_answer(
        &mut self,
        correlation_id: i32,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let asked = self.asked.take_if(|(id, _)| *id == correlation_id);
        let (_, offset) = asked.ok_or("a deletion of records was answered out of order")?;
        let answer: DeleteRecordsResponse<'_> = DELETE_RECORDS.answer(bytes)?;
        for part in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            let error = ErrorCode::from_code(part.error_code);
            // It asked for less than what was acknowledged since the last power failure.
            if error != ErrorCode::None && !error.is_retriable() {
                return Err(format!("records below {offset} are not deleted: {}", error.name()));
            }
            if error == ErrorCode::None && part.low_watermark < offset {
                return Err(format!("{} after a deletion below {offset}", part.low_watermark));
            }
        }
        context.pause(300);
        Ok(())
    }
}
