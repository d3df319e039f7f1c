//! What was asked of the disk, and what of it is held in memory of our own for those who read it next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::sync::{Arc, Weak};

use super::Presence;
use super::bring_in::{Chunk, Memory, RangeKey, Wanted};

/// Ranges that are asked for at most; further ones are asked for when one of them is there.
const ASKED_MAX: usize = 64;
/// Ranges that are remembered at most; whose reader has gone are forgotten beyond that.
const KNOWN_MAX: usize = 256;
/// Ranges that are held at most, a MiB each.
const HELD_MAX: usize = 12;
/// What was read ahead and not used is kept while so many others are asked for.
const UNUSED_ASKS: u64 = 64;
/// How many ranges are remembered that were read past the page cache: some GiB.
const SEEN_MAX: usize = 4096;

#[derive(Debug)]
enum State {
    Asked,
    /// In the page cache.
    Cached,
    Held {
        chunk: Arc<Chunk>,
        is_used: bool,
    },
}

#[derive(Debug)]
struct Entry {
    state: State,
    number: u64,
    length: usize,
    /// The place alone does not tell the file: another may take its name. Not to keep it open: the last
    /// to close a removed one waits for the disk.
    file: Weak<File>,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    entries: BTreeMap<RangeKey, Entry>,
    last_number: u64,
    /// Each memory there is has one: those that are read into, held and still looked at.
    permits: Arc<()>,
    /// Read past the page cache before: who comes to them again is not alone.
    seen: BTreeSet<RangeKey>,
    seen_order: VecDeque<RangeKey>,
}

impl Known {
    /// Where a reader finds a range, as far as it is known. What came into the page cache is said once.
    pub(super) fn presence(
        &mut self,
        key: RangeKey,
        file: &Arc<File>,
        length: usize,
    ) -> Option<Presence> {
        let entry = self.entries.get_mut(&key)?;
        let is_other = entry.file.as_ptr() != Arc::as_ptr(file) || entry.length < length;
        match &mut entry.state {
            State::Asked => Some(Presence::Awaited),
            State::Cached => self.entries.remove(&key).map(|entry| Presence::Cached(entry.length)),
            State::Held { .. } if is_other => None,
            State::Held { chunk, is_used } => {
                *is_used = true;
                Some(Presence::Held(Arc::clone(chunk)))
            }
        }
    }

    /// Whether nobody has asked for it as far as that is remembered.
    pub(super) fn is_new(&self, key: RangeKey) -> bool {
        !self.seen.contains(&key) && !self.entries.contains_key(&key)
    }

    /// Whether there is room for a range to be held.
    pub(super) fn has_memory(&self) -> bool {
        Arc::strong_count(&self.permits) <= HELD_MAX || self.oldest_free().is_some()
    }

    /// What a thread is to read; `None` when too much is asked for already. `is_direct`: past the page
    /// cache, unless others have read it as well: for them the page cache keeps it.
    pub(super) fn ask(
        &mut self,
        key: RangeKey,
        (file, length): (&Arc<File>, usize),
        is_direct: bool,
    ) -> Option<Wanted> {
        let asked = self.entries.values().filter(|it| matches!(it.state, State::Asked)).count();
        if asked >= ASKED_MAX {
            return None;
        }
        if self.entries.len() >= KNOWN_MAX {
            self.entries.retain(|_, entry| !matches!(entry.state, State::Cached));
        }
        self.entries.remove(&key);
        let memory = if is_direct && self.see(key) { self.memory() } else { None };
        self.last_number += 1;
        let (number, file) = (self.last_number, Arc::clone(file));
        let entry = Entry { state: State::Asked, number, length, file: Arc::downgrade(&file) };
        self.entries.insert(key, entry);
        Some(Wanted { key, number, file, length, memory })
    }

    /// It was asked for in vain.
    pub(super) fn forget(&mut self, key: RangeKey) {
        self.entries.remove(&key);
    }

    /// A range is there, or could not be read: its reader will see.
    pub(super) fn on_brought(&mut self, key: RangeKey, number: u64, chunk: Option<Chunk>) {
        let entry = self.entries.get_mut(&key).filter(|entry| entry.number == number);
        match (entry, chunk) {
            (Some(entry), Some(chunk)) => {
                entry.state = State::Held { chunk: Arc::new(chunk), is_used: false };
            }
            (Some(entry), None) => entry.state = State::Cached,
            (None, _) => {}
        }
    }

    /// Nothing was asked for since a while: memory that nobody looks at goes.
    pub(super) fn on_quiet(&mut self) {
        self.entries.retain(|_, entry| !matches!(entry.state, State::Held { .. }));
    }

    /// Remembers who was here; false for the second visit.
    fn see(&mut self, key: RangeKey) -> bool {
        let is_new = self.seen.insert(key);
        if is_new {
            self.seen_order.push_back(key);
        }
        if self.seen_order.len() > SEEN_MAX
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        is_new
    }

    fn oldest_free(&self) -> Option<RangeKey> {
        let is_free = |entry: &Entry| match &entry.state {
            State::Held { chunk, is_used } => {
                let is_over = *is_used || entry.number + UNUSED_ASKS < self.last_number;
                is_over && Arc::strong_count(chunk) == 1
            }
            _ => false,
        };
        let free = self.entries.iter().filter(|(_, entry)| is_free(entry));
        free.min_by_key(|(_, entry)| entry.number).map(|(key, _)| *key)
    }

    /// Room for a range: new, or that of the oldest which nobody needs.
    fn memory(&mut self) -> Option<Memory> {
        if Arc::strong_count(&self.permits) <= HELD_MAX {
            return Some(Memory::new(Arc::clone(&self.permits)));
        }
        let oldest = self.oldest_free()?;
        match self.entries.remove(&oldest)?.state {
            State::Held { chunk, .. } => Arc::into_inner(chunk).map(Chunk::into_memory),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_storage::disk::{FileId, FileKind, LogId};

    const ID: FileId = FileId { log: LogId(1), segment: 0, kind: FileKind::Records };

    fn file() -> Arc<File> {
        Arc::new(tempfile::tempfile().expect("a file"))
    }

    /// Reads a range as its thread would.
    fn bring(known: &mut Known, wanted: Wanted) {
        let chunk = wanted.memory.map(|memory| Chunk::of(memory, b"records"));
        known.on_brought(wanted.key, wanted.number, chunk);
    }

    #[test]
    fn a_range_is_held_for_others_and_through_the_page_cache_the_next_time() {
        let (mut known, file) = (Known::default(), file());
        let wanted = known.ask((ID, 0), (&file, 7), true).expect("asked");
        assert!(wanted.memory.is_some());
        assert!(matches!(known.presence((ID, 0), &file, 7), Some(Presence::Awaited)));
        bring(&mut known, wanted);
        for _ in 0..2 {
            let Some(Presence::Held(chunk)) = known.presence((ID, 0), &file, 7) else {
                panic!("gone")
            };
            assert_eq!(chunk.bytes(), b"records");
        }
        known.on_quiet();
        assert!(known.presence((ID, 0), &file, 7).is_none());
        let again = known.ask((ID, 0), (&file, 7), true).expect("asked");
        assert!(again.memory.is_none());
        bring(&mut known, again);
        assert!(matches!(known.presence((ID, 0), &file, 7), Some(Presence::Cached(7))));
        assert!(known.presence((ID, 0), &file, 7).is_none());
    }

    #[test]
    fn what_is_held_of_a_file_is_not_given_for_another_of_its_name() {
        let (mut known, before, after) = (Known::default(), file(), file());
        let wanted = known.ask((ID, 0), (&before, 7), true).expect("asked");
        bring(&mut known, wanted);
        assert!(known.presence((ID, 0), &after, 7).is_none());
        assert!(known.presence((ID, 0), &before, 8).is_none());
    }

    #[test]
    fn memory_is_bounded_and_that_of_the_oldest_used_one_goes_first() {
        let (mut known, file) = (Known::default(), file());
        let range = |index: usize| (ID, index as u64 * 1000);
        for index in 0..HELD_MAX {
            let wanted = known.ask(range(index), (&file, 7), true).expect("asked");
            bring(&mut known, wanted);
        }
        // Nobody has used any of them yet.
        let wanted = known.ask(range(100), (&file, 7), true).expect("asked");
        assert!(wanted.memory.is_none());
        let held = known.presence(range(1), &file, 7);
        assert!(matches!(known.presence(range(2), &file, 7), Some(Presence::Held(_))));
        // The first of them is still looked at.
        let wanted = known.ask(range(101), (&file, 7), true).expect("asked");
        assert!(wanted.memory.is_some());
        assert!(known.presence(range(2), &file, 7).is_none());
        drop(held);
        assert!(matches!(known.presence(range(1), &file, 7), Some(Presence::Held(_))));
    }

    #[test]
    fn no_more_is_asked_for_than_is_bounded() {
        let (mut known, file) = (Known::default(), file());
        let mut asked = Vec::new();
        for position in 0..ASKED_MAX as u64 {
            asked.push(known.ask((ID, position), (&file, 1), false).expect("asked"));
        }
        assert!(known.ask((ID, 1000), (&file, 1), false).is_none());
        bring(&mut known, asked.remove(0));
        assert!(known.ask((ID, 1000), (&file, 1), false).is_some());
    }

    #[test]
    fn what_was_read_for_an_earlier_reader_does_not_answer_a_later_one() {
        let (mut known, file) = (Known::default(), file());
        let wanted = known.ask((ID, 0), (&file, 7), true).expect("asked");
        known.on_brought((ID, 0), wanted.number + 1, None);
        assert!(matches!(known.presence((ID, 0), &file, 7), Some(Presence::Awaited)));
    }
}
