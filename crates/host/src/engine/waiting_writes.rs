//! Writes that wait for room in an arena. They hold up nobody but who asked for them: the shard goes
//! on, and offers them again, the oldest first, when a flush has made room.

use std::collections::VecDeque;

use strom_base::IdMap;
use strom_storage::disk::FileId;

use super::gather::Write;

/// More records than this do not wait. They are written on the shard, which takes no requests meanwhile:
/// that is the back-pressure. The buffers that the records stand in may take more than they do.
const BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default)]
pub(super) struct WaitingWrites {
    writes: VecDeque<Write>,
    /// How many there are of each file.
    of_file: IdMap<FileId, u32>,
    bytes: usize,
}

impl WaitingWrites {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Whether what comes behind in the file has to wait, too.
    pub(super) fn has(&self, file: FileId) -> bool {
        !self.writes.is_empty() && self.of_file.contains_key(&file)
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= BYTES_MAX
    }

    pub(super) fn push(&mut self, write: Write) {
        self.count(&write);
        self.writes.push_back(write);
    }

    /// Gives the oldest back that was taken, or what is left of it.
    pub(super) fn push_front(&mut self, write: Write) {
        self.count(&write);
        self.writes.push_front(write);
    }

    pub(super) fn pop(&mut self) -> Option<Write> {
        let write = self.writes.pop_front()?;
        self.discount(&write);
        Some(write)
    }

    /// Takes out those of some files, in their order.
    pub(super) fn take_of(&mut self, is_wanted: impl Fn(FileId) -> bool) -> Vec<Write> {
        let (taken, left): (Vec<Write>, Vec<Write>) =
            self.writes.drain(..).partition(|write| is_wanted(write.file));
        self.writes = left.into();
        taken.iter().for_each(|write| self.discount(write));
        taken
    }

    fn count(&mut self, write: &Write) {
        *self.of_file.entry(write.file).or_default() += 1;
        self.bytes += write.bytes.len();
    }

    fn discount(&mut self, write: &Write) {
        self.bytes -= write.bytes.len();
        if let Some(count) = self.of_file.get_mut(&write.file) {
            *count -= 1;
            if *count == 0 {
                self.of_file.remove(&write.file);
            }
        }
    }
}
