//! What is checked before a leader takes batches (Apache Kafka's `LogValidator`).
//!
//! The header and the checksum always; the records themselves only when the topic demands it: keys
//! on compacted topics, timestamps that the header alone does not prove to be in range.

use strom_base::Now;
use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{
    self, BatchError, BatchHeader, NO_TIMESTAMP, RecordDemands, RecordSummary, Rejection,
    TimestampType, check_produced_header, walk_records,
};

use super::append::no_batch;
use super::{AppendError, RecordError};
use crate::config::LogConfig;

/// The one batch of a client's append, checked.
pub(super) fn client_batch(
    batches: &[u8],
    config: &LogConfig,
    now: Now,
    unfolding_left: &mut usize,
) -> Result<BatchHeader, AppendError> {
    let mut walk = records::batches(batches);
    let batch = match walk.next() {
        Some(Ok(batch)) => batch,
        // Apache Kafka finds these before it looks at a batch as a batch.
        Some(Err(error @ (BatchError::Length(_) | BatchError::Magic(..=-1 | 3..)))) => {
            return Err(AppendError::Corrupt(error.to_string()));
        }
        Some(Err(error)) => return Err(AppendError::invalid_record(error.to_string())),
        None => return Err(no_batch()),
    };
    if walk.next().is_some() {
        return Err(AppendError::invalid_record(
            "Produce requests are only allowed to contain exactly one record batch per partition",
        ));
    }
    check_batch(&batch.header, batch.bytes, config)?;
    let invalid = |error: BatchError| AppendError::invalid_record(error.to_string());
    check_produced_header(&batch.header).map_err(invalid)?;
    check_records(&batch.header, batch.bytes, (config, now), unfolding_left)?;
    Ok(batch.header)
}

fn check_batch(header: &BatchHeader, bytes: &[u8], config: &LogConfig) -> Result<(), AppendError> {
    let limit = config.max_message_bytes;
    if header.size() > limit as usize {
        return Err(AppendError::BatchTooLarge { size: header.size(), limit });
    }
    if !records::verify_crc(bytes) {
        let (stored, computed) = (header.crc, records::crc_of(bytes));
        let reason = format!("stored crc = {stored}, computed crc = {computed}");
        return Err(AppendError::Corrupt(reason));
    }
    Ok(())
}

/// Bytes of the whole, sound batches that a coordinator of this node made.
pub(super) fn own_batches(batches: &[u8], config: &LogConfig) -> Result<usize, AppendError> {
    let mut walk = records::batches(batches);
    for batch in walk.by_ref() {
        let batch = batch.map_err(|error| AppendError::invalid_record(error.to_string()))?;
        check_batch(&batch.header, batch.bytes, config)?;
    }
    Ok(walk.position())
}

/// Bytes of the batches of the metadata quorum's leader, which gave them offsets and its epoch.
pub(super) fn raft_batches(
    batches: &[u8],
    leader_epoch: i32,
    log_end_offset: i64,
) -> Result<usize, AppendError> {
    let mut next_offset = log_end_offset;
    let mut walk = records::batches(batches);
    for batch in walk.by_ref() {
        let batch = batch.map_err(|error| AppendError::invalid_record(error.to_string()))?;
        let header = batch.header;
        if header.partition_leader_epoch != leader_epoch {
            return Err(AppendError::invalid_record(format!(
                "Append from Raft leader did not set the batch epoch correctly, \
                 expected {leader_epoch} but the batch has {}",
                header.partition_leader_epoch
            )));
        }
        if header.base_offset != next_offset || header.last_offset() == i64::MAX {
            return Err(AppendError::UnexpectedOffset {
                first_offset: header.base_offset,
                last_offset: header.last_offset(),
                log_end_offset: next_offset,
            });
        }
        if !records::verify_crc(batch.bytes) {
            return Err(AppendError::Corrupt(format!("batch at {}", header.base_offset)));
        }
        next_offset = header.next_offset();
    }
    Ok(walk.position())
}

/// Timestamps and keys; walks the records only where the header does not tell.
fn check_records(
    header: &BatchHeader,
    batch: &[u8],
    (config, now): (&LogConfig, Now),
    unfolding_left: &mut usize,
) -> Result<(), AppendError> {
    if config.timestamp_type == TimestampType::LogAppendTime
        && header.timestamp_type() == TimestampType::LogAppendTime
    {
        let message = "Invalid timestamp type in message. Producer should not set timestamp type \
                       to LogAppendTime."
            .to_owned();
        let records = vec![RecordError { batch_index: 0, message }];
        return Err(AppendError::InvalidTimestamp { records });
    }
    let earliest = now.wall_ms.saturating_sub(config.timestamp_before_max_ms);
    let latest = now.wall_ms.saturating_add(config.timestamp_after_max_ms);
    let creates = config.timestamp_type == TimestampType::CreateTime;
    let in_range = !creates
        || (config.timestamp_before_max_ms == i64::MAX && header.max_timestamp <= latest)
        || header.max_timestamp == NO_TIMESTAMP;
    let keys = config.cleanup.compact;
    if in_range && !keys {
        return Ok(());
    }
    let demands = RecordDemands { keys, timestamps: creates.then_some(earliest..=latest) };
    let invalid = |error: BatchError| AppendError::invalid_record(error.to_string());
    check_unfolding(header, *unfolding_left)?;
    let (mut codecs, limit) = (Codecs::new(), config.unfolded_bytes_max().min(*unfolding_left));
    let walked = walk_records(header, batch, (&mut codecs, limit), &demands);
    count_unfolded(unfolding_left, &codecs);
    let summary = walked.map_err(invalid)?;
    if summary.rejected_count > 0 {
        return Err(rejected(&summary, header, &demands));
    }
    Ok(())
}

/// Who has used up what may be unfolded is not looked into at all: also to begin with it takes time.
pub(super) fn check_unfolding(header: &BatchHeader, left: usize) -> Result<(), AppendError> {
    if left > 0 || header.codec() == Ok(Codec::None) {
        return Ok(());
    }
    Err(AppendError::invalid_record("the batches before it in the request unfold to too much"))
}

/// Takes what was unfolded from what may be.
pub(super) fn count_unfolded(left: &mut usize, codecs: &Codecs) {
    let bytes = usize::try_from(codecs.unfolded_bytes()).unwrap_or(usize::MAX);
    *left = left.saturating_sub(bytes);
}

fn rejected(summary: &RecordSummary, header: &BatchHeader, demands: &RecordDemands) -> AppendError {
    let message = |index: i32, rejection: &Rejection| match rejection {
        Rejection::NoKey => "Compacted topic cannot accept message without key.".to_owned(),
        Rejection::Timestamp(timestamp) => {
            let (earliest, latest) =
                demands.timestamps.as_ref().map_or((0, 0), |range| (*range.start(), *range.end()));
            let offset = header.base_offset.saturating_add(i64::from(index));
            format!(
                "Timestamp {timestamp} of message with offset {offset} is out of range. \
                 The timestamp should be within [{earliest}, {latest}]"
            )
        }
    };
    let records: Vec<RecordError> = summary
        .rejected
        .iter()
        .map(|(index, why)| RecordError { batch_index: *index, message: message(*index, why) })
        .collect();
    if summary.rejects_timestamps {
        return AppendError::InvalidTimestamp { records };
    }
    let reason = format!(
        "One or more records have been rejected due to {} record errors in total",
        summary.rejected_count
    );
    AppendError::InvalidRecord { reason, records }
}
