//! Reads that would wait for the disk: found out without waiting, done by threads of their own
//! ([`bring_in`]), and told to who asked when they are there.
//!
//! They go through the page cache, also where records are written past it: read in order, by the
//! system's own readahead, that costs less than to read past it into memory of our own, and all who
//! come later find it.
//!
//! What was brought in is read next come what may: so a broken disk is reported by the read itself,
//! and memory that is short makes a read wait, not start over for ever. A page that goes between the
//! look at its neighbours and its use makes its reader wait, too.
//!
//! To look for a page that is not there makes the system bring in that one page: who looked often
//! enough would find all places it looks at, and little between them. So what is awaited is not looked
//! for again.

mod bring_in;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use strom_storage::disk::FileId;
use tokio::sync::mpsc::UnboundedSender;

use crate::file_disk::read_fully;

pub(crate) use bring_in::Brought;

use bring_in::{RangeKey, Wanted, bring_in};

/// Reads that wait for the disk at the same time.
const THREADS: usize = 2;
/// What is brought in at once of a longer range, but for a little rest.
pub(crate) const RANGE_BYTES_MAX: usize = 1 << 20;
/// A rest that is not worth a read of its own.
pub(crate) const REST_BYTES_MAX: usize = 64 * 1024;
/// Of a longer range a byte is looked at in such distances.
const PROBE_STEP: usize = 64 * 1024;
/// Ranges that are asked for at most; further ones are asked for when one of them is there.
const ASKED_MAX: usize = 64;
/// Nothing is asked for ahead of its reader while so many are.
const ASKED_AHEAD_MAX: usize = 16;
/// Ranges that are remembered at most; whose reader has gone are forgotten beyond that.
const KNOWN_MAX: usize = 256;
/// What was brought in counts as there while so many others are asked for: it may be gone then.
const FRESH_ASKS: u64 = 64;

/// A range of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRange<'a> {
    pub(crate) id: FileId,
    pub(crate) file: &'a Arc<File>,
    pub(crate) position: u64,
    pub(crate) length: usize,
}

impl ReadRange<'_> {
    fn key(&self) -> RangeKey {
        (self.id, self.position)
    }
}

/// What is known of a range that somebody waits for.
#[derive(Clone, Copy, Debug)]
enum State {
    /// It is to be asked for when fewer are.
    Refused,
    Asked {
        length: usize,
    },
    /// Its reader has not come back for it yet. `asks`: how many there had been.
    There {
        length: usize,
        asks: u64,
    },
}

#[derive(Debug, Default)]
struct Known {
    states: BTreeMap<RangeKey, State>,
    /// How many of them are asked for.
    asked: usize,
    /// How many ever were.
    asks: u64,
}

impl Known {
    /// Whether it is awaited, or so many bytes of it are there, which is said once.
    fn state(&mut self, key: RangeKey, length: usize) -> Option<State> {
        let state = *self.states.get(&key)?;
        let State::There { length: there, asks } = state else { return Some(state) };
        self.states.remove(&key);
        let is_fresh = self.asks < asks + FRESH_ASKS && there >= length;
        is_fresh.then_some(state)
    }

    fn set(&mut self, key: RangeKey, state: State) {
        let is_full =
            |states: &BTreeMap<_, _>| states.len() >= KNOWN_MAX && !states.contains_key(&key);
        if is_full(&self.states) {
            self.states.retain(|_, state| !matches!(state, State::Refused));
        }
        if is_full(&self.states) {
            self.states.retain(|_, state| matches!(state, State::Asked { .. }));
        }
        self.states.insert(key, state);
    }
}

/// The side of the thread that reads: the broker's, or a network thread.
#[derive(Debug)]
pub(crate) struct ColdReads {
    /// To the threads, which begin with the first read that has to wait. `None`: there are none to be had.
    queue: OnceCell<Option<Sender<Wanted>>>,
    /// Told of each range when it is in memory.
    brought: UnboundedSender<Brought>,
    known: RefCell<Known>,
}

impl ColdReads {
    /// `brought` is told of each range when it is in memory.
    #[must_use]
    pub(crate) fn new(brought: UnboundedSender<Brought>) -> Self {
        Self { queue: OnceCell::new(), brought, known: RefCell::default() }
    }

    fn start(&self) -> Option<Sender<Wanted>> {
        let (queue, ranges) = channel();
        let ranges = Arc::new(Mutex::new(ranges));
        for index in 0..THREADS {
            let (ranges, brought) = (Arc::clone(&ranges), self.brought.clone());
            let started = std::thread::Builder::new()
                .name(format!("cold-read-{index}"))
                .stack_size(256 * 1024)
                .spawn(move || bring_in(&ranges, &brought));
            if let Err(error) = started {
                tracing::warn!(%error, "no thread for reads that wait for the disk");
                return (index > 0).then_some(queue);
            }
        }
        Some(queue)
    }

    /// Reads as many bytes as there are, without waiting for the disk.
    ///
    /// # Errors
    /// `WouldBlock`: they are asked for.
    pub(crate) fn read(
        &self,
        (id, file): (FileId, &Arc<File>),
        position: u64,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let range = ReadRange { id, file, position, length: buffer.len() };
        match self.known(range) {
            Some(true) => return read_fully(file, position, buffer),
            Some(false) => return Err(ErrorKind::WouldBlock.into()),
            None => {}
        }
        match read_now(file, position, buffer)? {
            Some(count) => Ok(count),
            None if self.ask(range) => Err(ErrorKind::WouldBlock.into()),
            None => read_fully(file, position, buffer),
        }
    }

    /// Whether a range is in memory; if not, it is asked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn is_present(&self, range: ReadRange<'_>) -> io::Result<bool> {
        match self.known(range) {
            Some(is_there) => Ok(is_there),
            // Without threads who asks reads by itself, and waits.
            None => Ok(is_cached(range)? || !self.ask(range)),
        }
    }

    /// Asks for what its reader will come to next.
    pub(crate) fn read_ahead(&self, range: ReadRange<'_>) {
        let is_wanted = {
            let known = self.known.borrow();
            known.asked < ASKED_AHEAD_MAX && !known.states.contains_key(&range.key())
        };
        if is_wanted {
            self.ask(range);
        }
    }

    /// Whether a range that was asked for is there; `None`: it was not, or too long ago.
    fn known(&self, range: ReadRange<'_>) -> Option<bool> {
        let state = self.known.borrow_mut().state(range.key(), range.length)?;
        match state {
            State::There { .. } => Some(true),
            State::Asked { .. } => Some(false),
            State::Refused => Some(!self.ask(range)),
        }
    }

    /// False when nobody is there to be asked.
    fn ask(&self, range: ReadRange<'_>) -> bool {
        let Some(queue) = self.queue.get_or_init(|| self.start()) else { return false };
        let mut known = self.known.borrow_mut();
        let (key, length) = (range.key(), range.length);
        if known.asked >= ASKED_MAX {
            known.set(key, State::Refused);
            return true;
        }
        let is_asked = queue.send(Wanted { key, file: Arc::clone(range.file), length }).is_ok();
        if is_asked {
            known.set(key, State::Asked { length });
            known.asked += 1;
            known.asks += 1;
        }
        is_asked
    }

    /// A thread tells.
    pub(crate) fn on_brought(&self, Brought(key): Brought) {
        let mut known = self.known.borrow_mut();
        known.asked = known.asked.saturating_sub(1);
        let asks = known.asks;
        if let Some(state) = known.states.get_mut(&key)
            && let State::Asked { length } = *state
        {
            *state = State::There { length, asks };
        }
    }
}

fn is_cached(range: ReadRange<'_>) -> io::Result<bool> {
    let last = range.length.saturating_sub(1);
    for offset in (0..last).step_by(PROBE_STEP).chain([last]) {
        if read_now(range.file, range.position + offset as u64, &mut [0])?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads what is in memory; `None` when not all of it is.
pub(crate) fn read_now(file: &File, position: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let length = buffer.len();
    let read = preadv2(file, &mut [IoSliceMut::new(buffer)], position, ReadWriteFlags::NOWAIT);
    let count = match read {
        Ok(count) => count,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
        // A file system that does not know how: then it is read as it comes.
        Err(Errno::OPNOTSUPP) => return read_fully(file, position, buffer).map(Some),
        Err(error) => return Err(error.into()),
    };
    let is_whole = count == length || position + count as u64 >= file.metadata()?.len();
    Ok(is_whole.then_some(count))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::sync::mpsc::Receiver;

    use super::*;
    use strom_storage::disk::{FileKind, LogId};
    use tokio::sync::mpsc::unbounded_channel;

    const ID: FileId = FileId { log: LogId(1), segment: 0, kind: FileKind::Records };

    /// Without threads: what is asked for is brought in when the test says so.
    fn cold_reads() -> (ColdReads, Receiver<Wanted>) {
        let (queue, ranges) = channel();
        let cold = ColdReads::new(unbounded_channel().0);
        cold.queue.set(Some(queue)).expect("not yet set");
        (cold, ranges)
    }

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let file = tempfile::tempfile_in(".").expect("a file");
        file.write_all_at(bytes, 0).expect("written");
        Arc::new(file)
    }

    fn range(file: &Arc<File>, position: u64, length: usize) -> ReadRange<'_> {
        ReadRange { id: ID, file, position, length }
    }

    #[test]
    fn what_is_in_memory_is_read_at_once_up_to_the_end() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"records");
        let mut buffer = [0; 10];
        let read = cold.read((ID, &file), 3, &mut buffer).expect("read");
        assert_eq!(&buffer[..read], b"ords");
        assert!(ranges.try_recv().is_err());
    }

    #[test]
    fn what_is_not_in_memory_is_asked_for_once_and_then_read_come_what_may() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"records");
        assert!(cold.ask(range(&file, 0, 7)));
        assert_eq!(cold.known(range(&file, 0, 7)), Some(false));
        assert_eq!(ranges.try_iter().map(|it| it.length).collect::<Vec<_>>(), [7]);
        cold.on_brought(Brought((ID, 0)));
        assert_eq!(cold.known(range(&file, 0, 7)), Some(true));
        assert_eq!(cold.known(range(&file, 0, 7)), None);
    }

    #[test]
    fn what_is_awaited_is_not_looked_for() {
        let (cold, _ranges) = cold_reads();
        let file = file_of(b"records");
        assert!(cold.ask(range(&file, 0, 7)));
        // All of it is in memory, and would be found.
        assert!(!cold.is_present(range(&file, 0, 7)).expect("read"));
        let error = cold.read((ID, &file), 0, &mut [0; 7]).expect_err("awaited");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn what_was_brought_in_for_less_or_long_ago_is_not_taken_for_there() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"records");
        assert!(cold.ask(range(&file, 0, 4)));
        cold.on_brought(Brought((ID, 0)));
        assert_eq!(cold.known(range(&file, 0, 7)), None);
        assert!(cold.ask(range(&file, 0, 7)));
        cold.on_brought(Brought((ID, 0)));
        for position in 1..=FRESH_ASKS {
            assert!(cold.ask(range(&file, position, 1)));
            cold.on_brought(Brought((ID, position)));
        }
        assert_eq!(cold.known(range(&file, 0, 7)), None);
        assert_eq!(ranges.try_iter().count() as u64, 2 + FRESH_ASKS);
    }

    #[test]
    fn no_more_is_asked_for_than_is_bounded_and_what_nobody_came_back_for_is_forgotten() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"records");
        for round in 0..10 {
            for position in 0..ASKED_MAX as u64 + 10 {
                assert!(cold.ask(range(&file, round * 1000 + position, 7)));
            }
            let refused = range(&file, round * 1000 + ASKED_MAX as u64, 7);
            assert_eq!(cold.known(refused), Some(false));
            let asked: Vec<_> = ranges.try_iter().map(|it| it.key).collect();
            assert_eq!(asked.len(), ASKED_MAX);
            for key in asked {
                cold.on_brought(Brought(key));
            }
            assert_eq!(cold.known(refused), Some(false));
            assert_eq!(ranges.try_iter().count(), 1);
            cold.on_brought(Brought(refused.key()));
            assert!(cold.known.borrow().states.len() <= KNOWN_MAX);
        }
        assert_eq!(cold.known.borrow().asked, 0);
    }

    #[test]
    fn nothing_is_asked_for_ahead_while_much_is_asked_for() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"records");
        for position in 0..100 {
            cold.read_ahead(range(&file, position, 1));
        }
        assert_eq!(ranges.try_iter().count(), ASKED_AHEAD_MAX);
    }

    #[test]
    fn without_threads_who_asks_reads_by_itself() {
        let cold = ColdReads::new(unbounded_channel().0);
        cold.queue.set(None).expect("not yet set");
        let file = file_of(b"records");
        assert!(!cold.ask(range(&file, 0, 7)));
        assert!(cold.is_present(range(&file, 0, 7)).expect("read"));
    }

    #[test]
    fn the_threads_bring_in_what_is_asked_for() {
        let (brought, mut told) = unbounded_channel();
        let cold = ColdReads::new(brought);
        let file = file_of(&vec![7; RANGE_BYTES_MAX]);
        let length = RANGE_BYTES_MAX - 5000;
        assert!(cold.ask(range(&file, 5000, length)));
        cold.on_brought(told.blocking_recv().expect("told"));
        assert_eq!(cold.known(range(&file, 5000, length)), Some(true));
        assert!(is_cached(range(&file, 5000, length)).expect("read"));
    }
}
