//! From what was read to the answer's bytes.

use strom_base::Uuid;
use strom_protocol::fetch::{FetchedTopic, write_fetch_response};
use strom_protocol::fetch_response::{AbortedTransaction, EpochEndOffset, PartitionData};
use strom_protocol::{ErrorCode, Records};

use super::{ParkedFetch, Part, Source};
use crate::Broker;
use crate::call::RequestError;
use crate::effect::{Effects, FileRange, Response};
use crate::fetch_sessions::FetchPartition;

impl Broker {
    /// The answer that names these parts.
    pub(super) fn answer_fetch(
        &self,
        out: &mut Effects,
        fetch: &ParkedFetch,
        parts: &[Part],
    ) -> Result<Response, RequestError> {
        let mut empty = out.spare();
        let slices = parts.iter().filter_map(|part| part.fetched.slice);
        empty.ranges.extend(slices.map(|slice| FileRange {
            at: 0,
            file: slice.file,
            position: slice.position,
            length: slice.length,
        }));
        let session_id = match &fetch.source {
            Source::Owned(_) => 0,
            Source::Session { session_id, .. } => *session_id,
        };
        let session = self.fetch_sessions.get(session_id);
        let wanted = |place: u32| match &fetch.source {
            Source::Owned(partitions) => partitions.get(place as usize),
            Source::Session { .. } => session?.get(place),
        };
        let topic_of = |part: &Part| {
            let (name, id) = wanted(part.place).map_or(("", Uuid::ZERO), |it| it.topic.told());
            FetchedTopic { name, id }
        };
        let version = fetch.address.version;
        fetch.address.encode_by(empty, &mut out.holes, |writer| {
            let asked = (version, session_id);
            write_fetch_response(writer, asked, parts, topic_of, |part| {
                let index = wanted(part.place).map_or(-1, |wanted| wanted.partition);
                partition_data(fetch, index, part)
            })
        })
    }
}

/// Whether an incremental answer has to name the partition.
pub(super) fn is_news(wanted: &FetchPartition, part: &Part) -> bool {
    part.error != ErrorCode::None
        || part.fetched.slice.is_some()
        || part.fetched.diverging.is_some()
        || wanted.sent_high_watermark != part.fetched.high_watermark
        || wanted.sent_log_start_offset != part.fetched.log_start_offset
}

fn partition_data<'a>(fetch: &ParkedFetch, partition_index: i32, part: &Part) -> PartitionData<'a> {
    let fetched = &part.fetched;
    let aborted = fetched.aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
        ..Default::default()
    });
    PartitionData {
        partition_index,
        error_code: part.error.code(),
        high_watermark: fetched.high_watermark,
        last_stable_offset: fetched.last_stable_offset,
        log_start_offset: fetched.log_start_offset,
        diverging_epoch: fetched.diverging.map_or_else(Default::default, |diverging| {
            EpochEndOffset {
                epoch: diverging.leader_epoch,
                end_offset: diverging.end_offset,
                ..Default::default()
            }
        }),
        aborted_transactions: fetch.is_read_committed.then(|| aborted.collect()),
        records: Some(match fetched.slice {
            Some(slice) => Records::External { length: slice.length },
            None => Records::Inline(&[]),
        }),
        ..Default::default()
    }
}
