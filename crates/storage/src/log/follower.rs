//! A follower's append: the leader's bytes as they are.

use bytes::Bytes;
use strom_base::Now;
use strom_protocol::records::NO_TIMESTAMP;

use super::commit::entries;
use super::roll::Incoming;
use super::{AppendError, Appended, Log, Out};

impl Log {
    /// Appends exactly these bytes: one or more whole batches with offsets and epochs as the leader
    /// set them. A partial batch at the end is dropped; the first batch of an epoch above
    /// `leader_epoch` and all after it are skipped. Without any batch left nothing is appended
    /// and `ticket` is `None`.
    ///
    /// # Errors
    /// A bad checksum, or offsets that do not continue the log. Nothing has changed then.
    pub fn append_as_follower(
        &mut self,
        now: Now,
        batches: Bytes,
        leader_epoch: i32,
        out: &mut Out,
    ) -> Result<Appended, AppendError> {
        self.check_usable()?;
        let length = checked_length(&batches, leader_epoch)?;
        let batches = batches.slice(..length);
        let Some(sum) = Incoming::of(&batches) else { return Ok(self.nothing_appended()) };
        let log_end_offset = self.offsets.log_end;
        if sum.first_offset < log_end_offset {
            // The leader's batch may begin below our empty log: DeleteRecords cuts inside batches.
            let is_empty = self.offsets.log_start == log_end_offset && self.pending.is_empty();
            if !is_empty || sum.last_offset < log_end_offset {
                return Err(AppendError::UnexpectedOffset {
                    first_offset: sum.first_offset,
                    last_offset: sum.last_offset,
                    log_end_offset,
                });
            }
            self.truncate_fully_and_start_at(now, sum.first_offset, out);
        }
        Ok(self.commit(batches, sum, now, out))
    }

    fn nothing_appended(&self) -> Appended {
        Appended {
            first_offset: self.offsets.log_end,
            last_offset: self.offsets.log_end - 1,
            log_append_time_ms: NO_TIMESTAMP,
            log_start_offset: self.offsets.log_start,
            record_count: 0,
            bytes: 0,
            ticket: None,
            sync_ticket: None,
            is_duplicate: false,
        }
    }
}

/// How many bytes from the start are whole, intact batches with growing offsets.
fn checked_length(batches: &[u8], leader_epoch: i32) -> Result<usize, AppendError> {
    let (mut length, mut end_offset) = (0, i64::MIN);
    for (entry, bytes) in entries(batches) {
        if entry.header.is_some_and(|header| header.partition_leader_epoch > leader_epoch) {
            return Ok(length);
        }
        if entry.base_offset < 0 || entry.base_offset < end_offset || entry.last_offset == i64::MAX
        {
            let (first_offset, last_offset) = (entry.base_offset, entry.last_offset);
            let log_end_offset = end_offset;
            let error = AppendError::UnexpectedOffset { first_offset, last_offset, log_end_offset };
            return Err(error);
        }
        if !entry.is_intact(bytes) {
            let reason = format!("checksum of the batch at offset {}", entry.base_offset);
            return Err(AppendError::Corrupt(reason));
        }
        length += bytes.len();
        end_offset = entry.last_offset + 1;
    }
    let rest = batches.get(length..).unwrap_or_default();
    match strom_protocol::records::entry_size(rest) {
        // A batch that is there as a whole, but unreadable.
        Some(size) if size.is_ok_and(|size| size > rest.len()) => Ok(length),
        None => Ok(length),
        Some(_) => Err(AppendError::Corrupt("unreadable batch header".to_owned())),
    }
}
