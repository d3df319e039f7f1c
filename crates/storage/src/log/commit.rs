//! The part all appends share: roll, take the batches into the state, ask for one write.

use bytes::Bytes;
use strom_base::Now;
use strom_protocol::records::{self, NO_TIMESTAMP};

use super::pending::PendingAppend;
use super::roll::Incoming;
use super::{AppendError, Appended, Log, Out};
use crate::disk::{DiskEffect, FileKind};
use crate::entry::BatchEntry;
use crate::format::index_entry::TransactionEntry;
use crate::producers::{CompletedTransaction, ProducerUndo, marker_of};

impl Incoming {
    /// Sums up whole, checked batches; `None` for none.
    pub(super) fn of(batches: &[u8]) -> Option<Incoming> {
        let mut sum: Option<Incoming> = None;
        for (entry, bytes) in entries(batches) {
            let sum = sum.get_or_insert(Incoming {
                first_offset: entry.base_offset,
                last_offset: entry.last_offset,
                max_timestamp: NO_TIMESTAMP,
                record_count: 0,
                bytes: 0,
            });
            sum.last_offset = entry.last_offset;
            sum.max_timestamp = sum.max_timestamp.max(entry.max_timestamp);
            let count = entry.header.map_or(1, |header| header.record_count);
            sum.record_count = sum.record_count.saturating_add(count as u32);
            sum.bytes += bytes.len() as u64;
        }
        sum
    }
}

/// The batches of a buffer, up to the first that is torn or unreadable.
pub(super) fn entries(mut batches: &[u8]) -> impl Iterator<Item = (BatchEntry, &[u8])> {
    std::iter::from_fn(move || {
        let size = records::entry_size(batches)?.ok()?;
        let (batch, rest) = batches.split_at_checked(size)?;
        let entry = BatchEntry::parse(batch).ok()?;
        batches = rest;
        Some((entry, batch))
    })
}

impl Log {
    pub(super) fn check_usable(&self) -> Result<(), AppendError> {
        match &self.failure {
            Some(error) => Err(AppendError::StorageFailed(error.to_string())),
            None if self.is_deleted() => {
                Err(AppendError::StorageFailed("the log is deleted".to_owned()))
            }
            None => Ok(()),
        }
    }

    /// Takes checked batches with final offsets and epochs; cannot fail.
    pub(super) fn commit(
        &mut self,
        batches: Bytes,
        sum: Incoming,
        now: Now,
        out: &mut Out,
    ) -> Appended {
        self.make_folder(out);
        self.roll_if_needed(&sum, now, out);
        let mark = self.active().mark();
        let producers = self.take_in(&batches, out);
        let ticket = self.ticket();
        let file = self.active().file(ticket.log, FileKind::Records);
        let position = u64::from(mark.state.size);
        out.push(DiskEffect::Write { file, position, bytes: batches, ticket });
        self.pending.push_back(PendingAppend {
            sequence: ticket.sequence,
            last_offset: sum.last_offset,
            is_written: false,
            log_end_offset: self.offsets.log_end,
            mark,
            producers,
        });
        self.offsets.log_end = sum.last_offset + 1;
        let sync_ticket = self.sync_by_count(now, out);
        if sync_ticket.is_some() {
            self.fill_ahead(now, sum.bytes, out);
        }
        self.bytes_since_sync += sum.bytes;
        self.sync_in_background(out);
        Appended {
            first_offset: sum.first_offset,
            last_offset: sum.last_offset,
            log_append_time_ms: NO_TIMESTAMP,
            log_start_offset: self.offsets.log_start,
            record_count: sum.record_count,
            bytes: sum.bytes as u32,
            ticket: Some(ticket),
            sync_ticket,
            is_duplicate: false,
        }
    }

    fn take_in(&mut self, batches: &[u8], out: &mut Out) -> Vec<ProducerUndo> {
        let mut undos = Vec::new();
        let mut new_epoch_from = None;
        for (entry, bytes) in entries(batches) {
            let position = self.active().state.size;
            self.recent.push(&entry, position);
            let interval = self.config.index_interval_bytes;
            self.active_mut().add(&entry, interval);
            let Some(header) = entry.header else { continue };
            if self.epochs.assign(header.partition_leader_epoch, header.base_offset) {
                new_epoch_from.get_or_insert(header.base_offset);
            }
            if header.has_producer_id() {
                let marker = if header.is_control() { marker_of(&header, bytes) } else { None };
                let (undo, completed) = self.producers.apply(&header, marker);
                undos.push(undo);
                if let Some(completed) = completed.filter(|completed| completed.is_aborted) {
                    self.note_aborted(completed, out);
                }
            }
        }
        if let Some(from) = new_epoch_from {
            self.write_epochs(from, out);
        }
        undos
    }

    fn note_aborted(&mut self, completed: CompletedTransaction, out: &mut Out) {
        self.active_mut().transactions.push(TransactionEntry {
            producer_id: completed.producer_id,
            first_offset: completed.first_offset,
            last_offset: completed.last_offset,
            last_stable_offset: completed.last_stable_offset,
        });
        self.write_index(self.segments.len() - 1, FileKind::TransactionIndex, out);
    }
}
