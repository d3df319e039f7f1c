//! What is checked before a leader takes batches (Apache Kafka's `LogValidator`).
//!
//! The header and the checksum; the records themselves only when the topic demands it: see
//! [`super::Examination`].

use strom_protocol::records::{
    self, BatchError, BatchHeader, TimestampType, check_produced_header,
};

use super::append::no_batch;
use super::{AppendError, RecordError};
use crate::config::LogConfig;

/// The one batch of a client's append, checked but for its records.
pub(super) fn client_batch(batches: &[u8], config: &LogConfig) -> Result<BatchHeader, AppendError> {
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
    check_timestamp_type(&batch.header, config)?;
    Ok(batch.header)
}

fn check_timestamp_type(header: &BatchHeader, config: &LogConfig) -> Result<(), AppendError> {
    if config.timestamp_type == TimestampType::LogAppendTime
        && header.timestamp_type() == TimestampType::LogAppendTime
    {
        let message = "Invalid timestamp type in message. Producer should not set timestamp type \
                       to LogAppendTime."
            .to_owned();
        let records = vec![RecordError { batch_index: 0, message }];
        return Err(AppendError::InvalidTimestamp { records });
    }
    Ok(())
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
