//! The folder of a log: made with the first append, not before.
//!
//! A topic is in the metadata log as soon as it is there at all; a partition that nobody has written to
//! needs nothing of its own on the disk. What lies in a new folder is synced with the first sync of the
//! records, which covers it: until then all of it may be lost together.

use bytes::Bytes;
use strom_base::{Planted, planted};

use super::{Log, Out, Promise};
use crate::disk::{DiskEffect, DiskError, FileKind, Ticket};
use crate::format::{leader_epoch_checkpoint, partition_metadata};
use crate::segment::Segment;

/// How far the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    Missing,
    /// The disk had no room for it. A part of it may be there.
    Refused,
    Asked,
    Stands,
}

impl Log {
    /// Makes the folder if there is none: for an owner that has files of its own in it. A log that
    /// has something to write does so by itself.
    pub fn make_folder(&mut self, out: &mut Out) {
        if self.has_folder() || self.is_deleted() {
            return;
        }
        let mut files = Vec::with_capacity(2);
        let topic_id = self.identity.topic_id;
        if !topic_id.is_zero() {
            let bytes = Bytes::from(partition_metadata::format(topic_id));
            files.push((FileKind::PartitionMetadata, bytes));
        }
        if !self.epochs.entries().is_empty() {
            let bytes = Bytes::from(leader_epoch_checkpoint::format(self.epochs.entries()));
            files.push((FileKind::LeaderEpochs, bytes));
        }
        self.unsynced_files = files.iter().map(|(kind, _)| *kind).collect();
        self.folder = Folder::Asked;
        self.files_since = self.next_sequence;
        let (path, ticket) = (self.path(), self.promise(Promise::Folder));
        out.push(DiskEffect::CreateFolder { path, files, ticket });
        self.create_records_file(out);
    }

    /// Whether there is a folder, or will be one: not before the first append.
    pub fn has_folder(&self) -> bool {
        matches!(self.folder, Folder::Asked | Folder::Stands)
    }

    /// The folder could not be made: a full disk may have room for it later.
    pub(super) fn on_folder_failed(&mut self, error: &DiskError) {
        self.folder = Folder::Refused;
        self.unsynced_files.clear();
        if !matches!(error, DiskError::Full(_)) {
            self.failure.get_or_insert_with(|| error.clone());
        }
    }

    /// Its log directory has failed: it takes no appends any more, and no sync counts.
    pub fn fail(&mut self, error: DiskError) {
        self.failure.get_or_insert(error);
    }

    /// Whatever could not be done: it ends the log, or there was no room, perhaps to make a file. What was
    /// asked before that is known may not find it.
    #[cold]
    pub(super) fn look_at_error(&mut self, ticket: Ticket, error: &DiskError) {
        if self.is_failure(ticket, error) {
            self.failure.get_or_insert_with(|| error.clone());
        }
        if matches!(error, DiskError::Full(_)) {
            self.files_since = self.next_sequence;
            self.lacks_records_file = true;
            self.segments.iter_mut().for_each(Segment::doubt_empty_indexes);
        }
    }

    /// Whether the disk failed what has this ticket, and not only for want of room, or of a folder or a file
    /// that had no room.
    pub(super) fn is_failure(&self, ticket: Ticket, error: &DiskError) -> bool {
        match error {
            DiskError::Full(_) => false,
            _ if planted(Planted::FailedSyncIsRetried) => false,
            DiskError::NotFound(_) => self.has_folder() && ticket.sequence >= self.files_since,
            _ => true,
        }
    }
}
