//! Writes that wait for room in an arena. They hold up nobody but who asked for them: the shard goes
//! on, and offers them again, the oldest first, when a flush has made room.

use std::collections::VecDeque;

use bytes::Bytes;
use strom_base::IdMap;
use strom_storage::disk::FileId;

use super::gather::Write;

/// More records than this do not wait. They are written on the shard, which takes no requests meanwhile.
/// The buffers that the records stand in may take more than they do.
const BYTES_MAX: usize = 8 << 20;
/// From here on large requests are not taken up, which is the back-pressure: so that seldom comes to it.
const CROWDED_BYTES: usize = BYTES_MAX / 2;
/// Shorter ones are copied: what a request was received into must not be held for a part of it.
const OWN_BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct WaitingWrites {
    /// With the time since when each waits, in monotonic milliseconds.
    writes: VecDeque<(u64, Write)>,
    /// How many there are of each file.
    of_file: IdMap<FileId, u32>,
    bytes: usize,
    /// Of those that a worker was given to write and has not written.
    handed_over: usize,
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
        self.bytes + self.handed_over + bytes <= BYTES_MAX
    }

    /// Whether enough waits: who has much to write had better not come now.
    pub(super) fn is_crowded(&self) -> bool {
        self.bytes + self.handed_over >= CROWDED_BYTES
    }

    pub(super) fn push(&mut self, now_ms: u64, mut write: Write) {
        if write.bytes.len() < OWN_BYTES_MAX {
            write.bytes = Bytes::copy_from_slice(&write.bytes);
        }
        self.count(&write);
        self.writes.push_back((now_ms, write));
    }

    /// Gives the oldest back that was taken, or what is left of it.
    pub(super) fn push_front(&mut self, since_ms: u64, write: Write) {
        self.count(&write);
        self.writes.push_front((since_ms, write));
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Write)> {
        let (since_ms, write) = self.writes.pop_front()?;
        self.discount(&write);
        Some((since_ms, write))
    }

    /// Since when the oldest waits.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.writes.front().map(|(since_ms, _)| *since_ms)
    }

    /// A worker is to write so many bytes …
    pub(super) fn hand_over(&mut self, bytes: usize) {
        self.handed_over += bytes;
    }

    /// … and has done so.
    pub(super) fn on_written(&mut self, bytes: usize) {
        self.handed_over = self.handed_over.saturating_sub(bytes);
    }

    /// Takes out those of some files, in their order.
    pub(super) fn take_of(&mut self, is_wanted: impl Fn(FileId) -> bool) -> Vec<Write> {
        let mut taken = Vec::new();
        for (since_ms, write) in std::mem::take(&mut self.writes) {
            if is_wanted(write.file) {
                self.discount(&write);
                taken.push(write);
            } else {
                self.writes.push_back((since_ms, write));
            }
        }
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
