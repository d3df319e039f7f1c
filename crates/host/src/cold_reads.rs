//! Reads that would wait for the disk: found out without waiting, done by threads of their own
//! ([`bring_in`]), and told to who asked when they are there.
//!
//! Where records are written past the page cache they are read past it, too: fresh pages of it cost
//! more than all else about such a read. A range stays in memory of our own for a while, for others
//! at the same place. Who comes later finds it in the page cache: what is read a second time goes
//! there, and the page cache has all of the machine's memory for it.
//!
//! What was brought in once is read next time come what may: so a broken disk is reported by the read
//! itself, and memory that is short makes a read wait, not start over for ever. A page that goes
//! between the look at its neighbours and its use makes its reader wait, too.

mod bring_in;
mod known;

use std::cell::{OnceCell, RefCell};
use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use strom_storage::disk::FileId;
use tokio::sync::mpsc::UnboundedSender;

use crate::file_disk::read_fully;

pub(crate) use bring_in::{Brought, Chunk};

use bring_in::{RangeKey, Wanted, bring_in};
use known::Known;

/// Reads that wait for the disk at the same time.
const THREADS: usize = 2;
/// What is brought in at once of a longer range, but for a little rest.
pub(crate) const RANGE_BYTES_MAX: usize = 1 << 20;
/// What is shorter is read through the page cache.
pub(crate) const DIRECT_BYTES_MIN: usize = 64 * 1024;
/// Of a longer range a byte is looked at in such distances: what is in memory came in such pieces.
const PROBE_STEP: usize = 32 * 1024;

/// A range of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRange<'a> {
    pub(crate) id: FileId,
    pub(crate) file: &'a Arc<File>,
    pub(crate) position: u64,
    pub(crate) length: usize,
    /// Whether it may be read past the page cache.
    pub(crate) is_direct: bool,
}

impl ReadRange<'_> {
    fn key(&self) -> RangeKey {
        (self.id, self.position)
    }

    /// Whether it is read past the page cache, the first time.
    fn is_worth_memory(&self) -> bool {
        self.is_direct && self.length >= DIRECT_BYTES_MIN
    }
}

/// Where a range is.
#[derive(Debug)]
pub(crate) enum Presence {
    /// So many bytes of it are in the page cache.
    Cached(usize),
    /// All of it.
    Held(Arc<Chunk>),
    /// It is asked for.
    Awaited,
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
        if let Some(count) = read_now(file, position, buffer)? {
            return Ok(count);
        }
        let length = buffer.len();
        match self.find(ReadRange { id, file, position, length, is_direct: false }) {
            Presence::Held(chunk) => {
                let bytes = chunk.bytes().get(..length).unwrap_or_default();
                buffer.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
                Ok(bytes.len())
            }
            Presence::Cached(_) => read_fully(file, position, buffer),
            Presence::Awaited => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Where the range is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn present(&self, range: ReadRange<'_>) -> io::Result<Presence> {
        // To look into the page cache makes the system read ahead into it, so that comes last.
        if range.is_worth_memory()
            && let Some(presence) = self.find_held(range)
        {
            return Ok(presence);
        }
        if is_cached(range)? {
            return Ok(Presence::Cached(range.length));
        }
        Ok(self.find(ReadRange { is_direct: false, ..range }))
    }

    /// Asks for what its reader will come to next, where that is read past the page cache.
    pub(crate) fn read_ahead(&self, range: ReadRange<'_>) {
        let mut known = self.known.borrow_mut();
        if range.is_worth_memory() && known.is_new(range.key()) && known.has_memory() {
            self.ask(&mut known, range);
        }
    }

    /// A range that is read past the page cache, or is about to be; `None`: look there.
    fn find_held(&self, range: ReadRange<'_>) -> Option<Presence> {
        let mut known = self.known.borrow_mut();
        if let Some(presence) = known.presence(range.key(), range.file, range.length) {
            return Some(presence);
        }
        let is_asked =
            known.is_new(range.key()) && known.has_memory() && self.ask(&mut known, range);
        is_asked.then_some(Presence::Awaited)
    }

    /// Where a range is that is not in the page cache.
    fn find(&self, range: ReadRange<'_>) -> Presence {
        let mut known = self.known.borrow_mut();
        match known.presence(range.key(), range.file, range.length) {
            Some(presence) => presence,
            None if self.ask(&mut known, range) => Presence::Awaited,
            // Without threads who asks reads by itself, and waits.
            None => Presence::Cached(range.length),
        }
    }

    /// False when nobody is there to be asked.
    fn ask(&self, known: &mut Known, range: ReadRange<'_>) -> bool {
        let Some(queue) = self.queue.get_or_init(|| self.start()) else { return false };
        let wanted = known.ask(range.key(), (range.file, range.length), range.is_worth_memory());
        let is_asked = wanted.is_none_or(|wanted| queue.send(wanted).is_ok());
        if !is_asked {
            known.forget(range.key());
        }
        is_asked
    }

    /// A thread tells.
    pub(crate) fn on_brought(&self, brought: Brought) {
        let mut known = self.known.borrow_mut();
        match brought {
            Brought::Range { key, number, chunk } => known.on_brought(key, number, chunk),
            Brought::Quiet => known.on_quiet(),
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

    fn range(file: &Arc<File>, length: usize, is_direct: bool) -> ReadRange<'_> {
        ReadRange { id: ID, file, position: 0, length, is_direct }
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
            assert!(matches!(cold.find(range(&file, 7, false)), Presence::Awaited));
        }
        let asked: Vec<_> = ranges.try_iter().collect();
        assert_eq!(asked.iter().map(|it| it.length).collect::<Vec<_>>(), [7]);
        let number = asked[0].number;
        cold.on_brought(Brought::Range { key: (ID, 0), number, chunk: None });
        assert!(matches!(cold.find(range(&file, 7, false)), Presence::Cached(7)));
        assert!(matches!(cold.find(range(&file, 7, false)), Presence::Awaited));
    }

    #[test]
    fn without_threads_who_asks_reads_by_itself() {
        let cold = ColdReads::new(unbounded_channel().0);
        cold.queue.set(None).expect("not yet set");
        let file = file_of(&[7; DIRECT_BYTES_MIN]);
        for is_direct in [true, false, true] {
            let found = cold.find(range(&file, DIRECT_BYTES_MIN, is_direct));
            assert!(matches!(found, Presence::Cached(DIRECT_BYTES_MIN)));
            assert!(cold.find_held(range(&file, DIRECT_BYTES_MIN, is_direct)).is_none());
        }
    }

    #[test]
    fn the_threads_bring_in_what_is_asked_for_either_way() {
        let (brought, mut told) = unbounded_channel();
        let cold = ColdReads::new(brought);
        let file = file_of(&vec![7; RANGE_BYTES_MAX]);
        for (is_direct, position) in [(false, 0), (true, 5000)] {
            let length = RANGE_BYTES_MAX - 5000;
            let range = ReadRange { id: ID, file: &file, position, length, is_direct };
            assert!(matches!(cold.find(range), Presence::Awaited));
            cold.on_brought(told.blocking_recv().expect("told"));
            match cold.find(range) {
                // Not every file system knows how to read past its cache.
                Presence::Cached(count) => assert_eq!(count, length),
                Presence::Held(chunk) => assert!(is_direct && chunk.bytes() == vec![7; length]),
                Presence::Awaited => panic!("it is there"),
            }
        }
    }
}
