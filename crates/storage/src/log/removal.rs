//! What is on its way out: segments renamed to `.deleted`, a folder renamed to `-delete`.
//!
//! Files are removed `file.delete.delay.ms` after their renaming, so that who still reads them may
//! finish.

use std::collections::VecDeque;

use strom_base::{Now, Uuid};

use super::sync::KINDS;
use super::{Log, Out};
use crate::disk::{DiskEffect, DiskPath, FileId, FileKind};
use crate::format::{directory_name, file_name};
use crate::segment::Segment;

/// Producer snapshots inside of segments.
const SNAPSHOTS_KEPT: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Removal {
    /// The folder's name once it is no longer `topic-partition`.
    pub(super) folder: Option<Box<str>>,
    state: FolderState,
    /// Monotonic deadlines, ascending but for a change of the delay.
    files: VecDeque<(u64, DiskPath)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum FolderState {
    #[default]
    Kept,
    RemovedAt(u64),
    Removed,
}

impl Removal {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        match self.state {
            FolderState::Kept => self.files.front().map(|(deadline, _)| *deadline),
            FolderState::RemovedAt(deadline) => Some(deadline),
            FolderState::Removed => None,
        }
    }

    pub(super) fn on_deadline(&mut self, now: Now, out: &mut Out) {
        while let Some((deadline, _)) = self.files.front()
            && *deadline <= now.monotonic_ms
            && self.state == FolderState::Kept
        {
            if let Some((_, path)) = self.files.pop_front() {
                out.push(DiskEffect::RemoveFile { path, closes: None });
            }
        }
    }
}

impl Log {
    /// The partition is deleted: its folder is renamed now and removed after
    /// `file.delete.delay.ms` (see [`Log::next_deadline`]). `unique` names the renamed folder.
    pub fn delete(&mut self, now: Now, unique: Uuid, out: &mut Out) {
        if self.removal.state != FolderState::Kept {
            return;
        }
        if !self.has_folder() {
            self.removal.state = FolderState::RemovedAt(now.monotonic_ms);
            return;
        }
        let from = self.path();
        let (topic, partition) = (&self.identity.topic, self.identity.partition);
        let folder = directory_name::format_delete(topic, partition, unique);
        self.removal.folder = Some(folder.into());
        let closes = self.segments.iter().flat_map(|segment| self.files_of(segment)).collect();
        out.push(DiskEffect::Rename { from, to: self.path(), closes });
        let deadline = now.deadline_ms(self.config.file_delete_delay_ms);
        self.removal.state = FolderState::RemovedAt(deadline);
        self.removal.files.clear();
    }

    /// True once a deleted log's folder is removed: the owner may drop the log.
    pub fn is_removed(&self) -> bool {
        self.removal.state == FolderState::Removed
    }

    /// Nothing more is to be asked of it but its removal.
    pub fn is_deleted(&self) -> bool {
        self.removal.state != FolderState::Kept
    }

    pub(super) fn remove_folder(&mut self, now: Now, out: &mut Out) {
        if let FolderState::RemovedAt(deadline) = self.removal.state
            && deadline <= now.monotonic_ms
        {
            if self.has_folder() {
                out.push(DiskEffect::RemoveDirectory { path: self.path() });
            }
            self.removal.state = FolderState::Removed;
        }
    }

    /// Takes a segment's files out of sight and removes them later.
    pub(super) fn retire_segment(&mut self, segment: &Segment, now: Now, out: &mut Out) {
        if !self.has_folder() {
            return;
        }
        for file in self.files_of(segment) {
            let path = self.path_of(file);
            self.retire(path, vec![file], now, out);
        }
    }

    /// What was taken back, or came into a folder before that was refused, would be taken for this log's by
    /// the next start. Nobody reads it; and where it was for want of room, there may be none for another
    /// name either.
    pub(super) fn remove_files_of(&self, segment: &Segment, out: &mut Out) {
        for file in KINDS.map(|kind| segment.file(self.identity.id, kind)) {
            out.push(DiskEffect::RemoveFile { path: self.path_of(file), closes: Some(file) });
        }
    }

    /// Producer snapshots at `from` and later, below `to`. Nobody reads them for long: they go at
    /// once, in order with the replacing that made them.
    pub(super) fn remove_snapshots(&mut self, from: i64, to: i64, out: &mut Out) {
        let first = self.snapshots.partition_point(|offset| *offset < from);
        let end = self.snapshots.partition_point(|offset| *offset < to).max(first);
        for offset in self.snapshots.drain(first..end).collect::<Vec<_>>() {
            let file = self.file(offset, FileKind::ProducerSnapshot);
            out.push(DiskEffect::RemoveFile { path: self.path_of(file), closes: Some(file) });
        }
    }

    /// Of the snapshots that stand at no segment's base the newest stay, because recovery begins a little
    /// before the recovery point and needs one that is not behind that.
    pub(super) fn remove_old_snapshots(&mut self, out: &mut Out) {
        let is_at_base = |offset: &i64| {
            self.segments.binary_search_by_key(offset, |segment| segment.base_offset).is_ok()
        };
        let inner: Vec<i64> = self.snapshots.iter().copied().filter(|it| !is_at_base(it)).collect();
        let old = inner.get(..inner.len().saturating_sub(SNAPSHOTS_KEPT)).unwrap_or_default();
        for offset in old {
            self.remove_snapshots(*offset, offset + 1, out);
        }
    }

    fn retire(&mut self, from: DiskPath, closes: Vec<FileId>, now: Now, out: &mut Out) {
        let path = format!("{}{}", from.path, file_name::DELETED);
        let to = DiskPath { directory: from.directory, path };
        out.push(DiskEffect::Rename { from, to: to.clone(), closes });
        let deadline = now.deadline_ms(self.config.file_delete_delay_ms);
        self.removal.files.push_back((deadline, to));
    }
}
