//! One index of one segment: a prefix that lies in its file and a tail that is still in memory.
//!
//! The tail is written out when it has grown, when its segment closes and when the log is idle, so
//! memory does not grow with the log. Bytes count as on file only once their write is kept.

use bytes::Bytes;
use strom_base::{Planted, planted};

use crate::disk::{DiskEffect, FileId, ReadFiles, Ticket};
use crate::format::index_entry::IndexEntry;
use crate::log::ReadError;

/// Below this many entries a search reads them all at once.
const SEARCH_BLOCK: u32 = 512;

/// The active segment's indexes are written out when they hold this many entries in memory.
pub(crate) const INDEX_TAIL_MAX: usize = 512;

/// An index's file, to be read.
#[derive(Clone, Copy)]
pub(crate) struct IndexFile<'a> {
    pub(crate) files: &'a dyn ReadFiles,
    pub(crate) file: FileId,
}

#[derive(Clone, Debug)]
pub(crate) struct SegmentIndex<E> {
    /// Entries in the file.
    on_file: u32,
    /// Entries at the start of the tail that an unfinished write carries.
    writing: u32,
    tail: Vec<E>,
    /// A write was asked for: the file is, or will be, there.
    has_file: bool,
    /// Its file may hold, or will, what no sync was asked for yet.
    is_unsynced: bool,
}

impl<E> Default for SegmentIndex<E> {
    fn default() -> Self {
        Self { on_file: 0, writing: 0, tail: Vec::new(), has_file: false, is_unsynced: false }
    }
}

impl<E: IndexEntry> SegmentIndex<E> {
    /// An index whose entries all lie in its file.
    pub(crate) fn from_file(entries: u32) -> Self {
        Self { on_file: entries, has_file: true, is_unsynced: true, ..Self::default() }
    }

    /// The same, of which the first `entries` are known to lie in the file by now. `has_file`: there
    /// is one, be it empty.
    pub(crate) fn found_on_file(mut self, entries: u32, has_file: bool) -> Self {
        let more = entries.saturating_sub(self.on_file) as usize;
        self.tail.drain(..more.min(self.tail.len()));
        self.on_file += more as u32;
        self.has_file |= has_file;
        self.is_unsynced = self.has_file;
        self
    }

    /// The same with `count` more entries on file, and of its own in memory only those that are new.
    pub(crate) fn continued(&self, count: u32, is_new: impl Fn(&E) -> bool) -> Self {
        let tail = self.tail.iter().filter(|entry| is_new(entry)).copied().collect();
        let (on_file, has_file) = (self.on_file + count, self.has_file);
        Self { on_file, writing: 0, tail, has_file, is_unsynced: has_file }
    }

    pub(crate) fn len(&self) -> u32 {
        self.on_file + self.tail.len() as u32
    }

    /// Entries that lie in the file.
    pub(crate) fn on_file(&self) -> u32 {
        self.on_file
    }

    /// The first entry that is not in the file, nor on its way there if that counts.
    pub(crate) fn first_behind(&self, counts_asked: bool) -> Option<E> {
        let asked = if counts_asked { self.writing as usize } else { 0 };
        self.tail.get(asked).copied()
    }

    pub(crate) fn tail_len(&self) -> usize {
        self.tail.len()
    }

    /// How many entries of the tail are such.
    pub(crate) fn tail_count(&self, is_such: impl Fn(&E) -> bool) -> usize {
        self.tail.iter().filter(|entry| is_such(entry)).count()
    }

    pub(crate) fn has_file(&self) -> bool {
        self.has_file
    }

    /// Whether a sync that is asked for now has to name the file. True once each time.
    pub(crate) fn take_unsynced(&mut self) -> bool {
        std::mem::take(&mut self.is_unsynced)
    }

    /// A sync that named the file did not come through: the next one names it again.
    pub(crate) fn mark_unsynced(&mut self) {
        self.is_unsynced = self.has_file;
    }

    /// Nothing is left to write, nothing is being written.
    pub(crate) fn is_on_file(&self) -> bool {
        self.has_file && self.tail.is_empty()
    }

    pub(crate) fn push(&mut self, entry: E) {
        self.tail.push(entry);
    }

    /// How many entries, from the first on, satisfy `holds`, which is true up to some entry and
    /// false from there on.
    pub(crate) fn partition_point(
        &self,
        source: IndexFile<'_>,
        holds: impl Fn(&E) -> bool,
    ) -> Result<u32, ReadError> {
        if self.tail.first().is_some_and(&holds) {
            return Ok(self.on_file + self.tail.partition_point(holds) as u32);
        }
        let (mut low, mut high) = (0, self.on_file);
        while high - low > SEARCH_BLOCK {
            let middle = low + (high - low) / 2;
            if holds(&read_one(source, middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let block: Vec<E> = read_entries(source, low, high - low)?;
        Ok(low + block.partition_point(holds) as u32)
    }

    pub(crate) fn get(&self, index: u32, source: IndexFile<'_>) -> Result<Option<E>, ReadError> {
        match index.checked_sub(self.on_file) {
            Some(in_tail) => Ok(self.tail.get(in_tail as usize).copied()),
            None => read_one(source, index).map(Some),
        }
    }

    /// All entries, oldest first.
    pub(crate) fn all(&self, source: IndexFile<'_>) -> Result<Vec<E>, ReadError> {
        let mut entries = read_entries(source, 0, self.on_file)?;
        entries.extend_from_slice(&self.tail);
        Ok(entries)
    }

    /// Asks for the tail to be written; `None` when a write is under way or nothing is to do.
    /// An index without entries gets an empty file.
    pub(crate) fn write_out(&mut self, file: FileId, ticket: Ticket) -> Option<DiskEffect> {
        if self.writing > 0 || (self.tail.is_empty() && self.has_file) {
            return None;
        }
        self.writing = self.tail.len() as u32;
        self.has_file = true;
        self.is_unsynced = true;
        let position = u64::from(self.on_file) * E::LENGTH as u64;
        Some(DiskEffect::Write { file, position, bytes: Bytes::from(self.tail_bytes()), ticket })
    }

    /// What is not on file, as the file has it.
    pub(crate) fn tail_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.tail.len() * E::LENGTH);
        self.tail.iter().for_each(|entry| entry.encode(&mut bytes));
        bytes
    }

    /// A write of so many entries is done. One of none made the file, perhaps while another is under
    /// way.
    pub(crate) fn on_written(&mut self, entries: u32) {
        if entries == 0 {
            return;
        }
        let entries =
            if planted(Planted::IndexEntriesOfAnother) { self.tail.len() as u32 } else { entries };
        self.tail.drain(..(entries as usize).min(self.tail.len()));
        self.on_file += entries;
        self.writing = 0;
        if self.tail.is_empty() {
            self.tail = Vec::new();
        }
    }

    /// The entries stay in the tail and are written again.
    pub(crate) fn on_write_failed(&mut self, entries: u32) {
        if entries > 0 {
            self.writing = 0;
        }
        self.doubt_if_empty();
    }

    /// A file of which nothing is known to be written may not even be there.
    pub(crate) fn doubt_if_empty(&mut self) {
        if self.on_file == 0 && self.writing == 0 {
            (self.has_file, self.is_unsynced) = (false, false);
        }
    }

    /// Entries on their way into the file.
    pub(crate) fn writing(&self) -> u32 {
        self.writing
    }

    /// Keeps the first `len` entries. A write under way no longer counts.
    pub(crate) fn truncate(&mut self, len: u32, file: FileId) -> Option<DiskEffect> {
        let had = self.on_file + self.writing;
        self.writing = 0;
        self.tail.truncate(len.saturating_sub(self.on_file) as usize);
        self.on_file = self.on_file.min(len);
        let length = u64::from(self.on_file) * E::LENGTH as u64;
        (had > self.on_file).then_some(DiskEffect::Truncate { file, length })
    }
}

fn read_one<E: IndexEntry>(source: IndexFile<'_>, index: u32) -> Result<E, ReadError> {
    let entries = read_entries(source, index, 1)?;
    entries.first().copied().ok_or(corrupt(source, u64::from(index) * E::LENGTH as u64))
}

fn read_entries<E: IndexEntry>(
    source: IndexFile<'_>,
    first: u32,
    count: u32,
) -> Result<Vec<E>, ReadError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; count as usize * E::LENGTH];
    let position = u64::from(first) * E::LENGTH as u64;
    let read = source.files.read_at(source.file, position, &mut bytes)?;
    if read < bytes.len() {
        return Err(corrupt(source, position));
    }
    bytes
        .chunks_exact(E::LENGTH)
        .map(|entry| E::decode(entry).ok_or(corrupt(source, position)))
        .collect()
}

fn corrupt(source: IndexFile<'_>, position: u64) -> ReadError {
    ReadError::Corrupt { segment: source.file.segment, position }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{FileKind, LogId};
    use crate::format::index_entry::OffsetEntry;

    /// The write that made the file is done, the one of the entry is not: only that puts it there.
    #[test]
    fn an_empty_file_holds_no_entry() {
        let mut index = SegmentIndex::<OffsetEntry>::default();
        let file = FileId { log: LogId(0), segment: 0, kind: FileKind::OffsetIndex };
        let ticket = |sequence| Ticket { log: LogId(0), sequence };
        assert!(index.write_out(file, ticket(1)).is_some());
        let made = index.writing();
        index.push(OffsetEntry { relative_offset: 3, position: 100 });
        assert!(index.write_out(file, ticket(2)).is_some());
        let written = index.writing();
        index.on_written(made);
        assert_eq!((index.on_file(), index.tail_len()), (0, 1));
        index.on_write_failed(written);
        assert!(index.write_out(file, ticket(3)).is_some(), "it is tried again");
        index.on_written(index.writing());
        assert_eq!((index.on_file(), index.tail_len()), (1, 0));
    }
}
