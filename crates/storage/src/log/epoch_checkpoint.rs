//! The leader epochs of a log and the file that keeps them. Recovery reads no batch below the recovery point:
//! what begins there has to stand in the file.

use bytes::Bytes;

use super::pending::Promise;
use super::{Log, Out};
use crate::disk::{DiskEffect, Ticket};
use crate::format::leader_epoch_checkpoint;

/// What the file lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct EpochCheckpoint {
    /// From this offset on it tells of other epochs than the log's.
    lacks_from: i64,
    /// The last one asked for, while nobody knows what became of it.
    asked: Option<u64>,
}

impl Default for EpochCheckpoint {
    fn default() -> Self {
        Self { lacks_from: i64::MAX, asked: None }
    }
}

impl Log {
    /// The epoch of the last batch or of the last leadership; `None` for a log that never had one.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// The largest known epoch at or below `epoch` and where it ends (KIP-101);
    /// `None` when undefined (-1, -1).
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.epochs.end_offset(epoch, self.offsets.log_end)
    }

    /// A leadership begins: the epoch starts at the log end offset. The ticket is kept when the
    /// epoch checkpoint is synced; `None`: the epoch is known already, or stands nowhere but in
    /// memory until there is a folder, as there is no record of it.
    pub fn start_epoch(&mut self, epoch: i32, out: &mut Out) -> Option<Ticket> {
        let start_offset = self.offsets.log_end;
        let changed = self.epochs.assign(epoch, start_offset);
        if changed { self.write_epochs(start_offset, out) } else { None }
    }

    /// The epochs have changed, from this offset on.
    pub(super) fn write_epochs(&mut self, from: i64, out: &mut Out) -> Option<Ticket> {
        if !self.has_folder() {
            return None;
        }
        let bytes = Bytes::from(leader_epoch_checkpoint::format(self.epochs.entries()));
        let path = self.path_in_folder(leader_epoch_checkpoint::FILE_NAME);
        let ticket = self.promise(Promise::Epochs);
        let checkpoint = &mut self.epoch_checkpoint;
        checkpoint.lacks_from = checkpoint.lacks_from.min(from);
        checkpoint.asked = Some(ticket.sequence);
        out.push(DiskEffect::Replace { path, bytes, ticket });
        Some(ticket)
    }

    /// What failed is tried again.
    pub(super) fn write_lacking_epochs(&mut self, out: &mut Out) {
        let EpochCheckpoint { lacks_from, asked } = self.epoch_checkpoint;
        if lacks_from < i64::MAX && asked.is_none() {
            self.write_epochs(lacks_from, out);
        }
    }

    /// An older one that comes through lacks what the last one has.
    pub(super) fn on_epochs_written(&mut self, sequence: u64, is_kept: bool) {
        let checkpoint = &mut self.epoch_checkpoint;
        if checkpoint.asked == Some(sequence) {
            checkpoint.asked = None;
            if is_kept {
                checkpoint.lacks_from = i64::MAX;
            }
        }
    }

    /// Below it the file tells of all epochs.
    pub(super) fn epochs_noted_end(&self) -> i64 {
        self.epoch_checkpoint.lacks_from
    }
}
