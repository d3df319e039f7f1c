//! Reads that would wait for the disk: found out without waiting, done by threads of their own
//! ([`bring_in`]), and told to who asked when they are there.
//!
//! They go through the page cache, also where records are written past it: read in order, by the
//! system's own readahead, that costs less than to read past it into memory of our own, and all who
//! come later find it.
//!
//! What was brought in once is read next time come what may: so a broken disk is reported by the read
//! itself, and memory that is short makes a read wait, not start over for ever. A page that goes
//! between the look at its neighbours and its use makes its reader wait, too.

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
/// Of a longer range a byte is looked at in such distances: the system reads in larger pieces.
const PROBE_STEP: usize = 256 * 1024;
/// Ranges that are asked for at most; further ones are asked for when one of them is there.
const ASKED_MAX: usize = 64;
/// Ranges that are remembered at most; whose reader has gone are forgotten beyond that.
const KNOWN_MAX: usize = 256;

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

/// What is known of a range that somebody has come to.
#[derive(Clone, Copy, Debug)]
enum State {
    Asked {
        length: usize,
    },
    /// Its reader has not come back for it yet.
    There {
        length: usize,
    },
}

/// The side of the thread that reads: the broker's, or a network thread.
#[derive(Debug)]
pub(crate) struct ColdReads {
    /// To the threads, which begin with the first read that has to wait. `None`: there are none to be had.
    queue: OnceCell<Option<Sender<Wanted>>>,
    /// Told of each range when it is in memory.
    brought: UnboundedSender<Brought>,
    known: RefCell<BTreeMap<RangeKey, State>>,
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
        if let Some(count) = read_now(file, position, buffer)? {
            return Ok(count);
        }
        match self.find(ReadRange { id, file, position, length: buffer.len() }) {
            Some(_) => read_fully(file, position, buffer),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// How many bytes of a range are in memory; `None`: they are asked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn present(&self, range: ReadRange<'_>) -> io::Result<Option<usize>> {
        if is_cached(range)? {
            return Ok(Some(range.length));
        }
        Ok(self.find(range))
    }

    /// Asks for what its reader will come to next.
    pub(crate) fn read_ahead(&self, range: ReadRange<'_>) {
        if !self.known.borrow().contains_key(&range.key()) {
            self.ask(range);
        }
    }

    /// As many bytes as are there of a range that is not in the page cache; `None`: it is asked for.
    fn find(&self, range: ReadRange<'_>) -> Option<usize> {
        let key = range.key();
        let state = self.known.borrow().get(&key).copied();
        match state {
            Some(State::Asked { .. }) => None,
            Some(State::There { length }) => {
                self.known.borrow_mut().remove(&key);
                Some(length.min(range.length))
            }
            None if self.ask(range) => None,
            // Without threads who asks reads by itself, and waits.
            None => Some(range.length),
        }
    }

    /// False when nobody is there to be asked.
    fn ask(&self, range: ReadRange<'_>) -> bool {
        let Some(queue) = self.queue.get_or_init(|| self.start()) else { return false };
        let mut known = self.known.borrow_mut();
        let asked = known.values().filter(|state| matches!(state, State::Asked { .. })).count();
        if asked >= ASKED_MAX {
            return true;
        }
        if known.len() >= KNOWN_MAX {
            known.retain(|_, state| matches!(state, State::Asked { .. }));
        }
        let (key, length) = (range.key(), range.length);
        let is_asked = queue.send(Wanted { key, file: Arc::clone(range.file), length }).is_ok();
        if is_asked {
            known.insert(key, State::Asked { length });
        }
        is_asked
    }

    /// A thread tells.
    pub(crate) fn on_brought(&self, Brought(key): Brought) {
        if let Some(state) = self.known.borrow_mut().get_mut(&key)
            && let State::Asked { length } = *state
        {
            *state = State::There { length };
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
        for _ in 0..2 {
            assert_eq!(cold.find(range(&file, 0, 7)), None);
        }
        let asked: Vec<_> = ranges.try_iter().map(|it| it.length).collect();
        assert_eq!(asked, [7]);
        cold.on_brought(Brought((ID, 0)));
        assert_eq!(cold.find(range(&file, 0, 7)), Some(7));
        assert_eq!(cold.find(range(&file, 0, 7)), None);
    }

    #[test]
    fn who_wants_more_or_less_than_was_asked_for_gets_what_is_there() {
        let (cold, _ranges) = cold_reads();
        let file = file_of(b"records");
        for (wanted, found) in [(9, 7), (3, 3)] {
            assert_eq!(cold.find(range(&file, 0, 7)), None);
            cold.on_brought(Brought((ID, 0)));
            assert_eq!(cold.find(range(&file, 0, wanted)), Some(found));
        }
    }

    #[test]
    fn no_more_is_asked_for_than_is_bounded_and_what_nobody_came_back_for_is_forgotten() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"records");
        for round in 0..10 {
            for position in 0..ASKED_MAX as u64 + 10 {
                assert_eq!(cold.find(range(&file, round * 1000 + position, 7)), None);
            }
            let asked: Vec<_> = ranges.try_iter().map(|it| it.key).collect();
            assert_eq!(asked.len(), ASKED_MAX);
            for key in asked {
                cold.on_brought(Brought(key));
            }
            assert!(cold.known.borrow().len() <= KNOWN_MAX + ASKED_MAX);
        }
    }

    #[test]
    fn without_threads_who_asks_reads_by_itself() {
        let cold = ColdReads::new(unbounded_channel().0);
        cold.queue.set(None).expect("not yet set");
        let file = file_of(b"records");
        assert_eq!(cold.find(range(&file, 0, 7)), Some(7));
    }

    #[test]
    fn the_threads_bring_in_what_is_asked_for() {
        let (brought, mut told) = unbounded_channel();
        let cold = ColdReads::new(brought);
        let file = file_of(&vec![7; RANGE_BYTES_MAX]);
        let length = RANGE_BYTES_MAX - 5000;
        assert_eq!(cold.find(range(&file, 5000, length)), None);
        cold.on_brought(told.blocking_recv().expect("told"));
        assert_eq!(cold.find(range(&file, 5000, length)), Some(length));
        assert!(is_cached(range(&file, 5000, length)).expect("read"));
    }
}
