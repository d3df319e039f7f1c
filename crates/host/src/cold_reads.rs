//! Reads that would wait for the disk: found out without waiting, brought into the page cache by
//! threads of their own, and told to who asked when they are there.
//!
//! What was brought in once is read next time come what may: so a broken disk is reported by the read
//! itself, and memory that is short makes a read wait, not start over for ever. A page that goes
//! between the look at its neighbours and its use makes its reader wait, too.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use strom_storage::disk::FileId;
use tokio::sync::mpsc::UnboundedSender;

use crate::file_disk::read_fully;

/// Reads that wait for the disk at the same time.
const THREADS: usize = 2;
/// Ranges that are asked for at most; further ones are asked for when one of them is there.
const ASKED_MAX: usize = 64;
/// Ranges that are remembered at most; whose reader has gone are forgotten beyond that.
const KNOWN_MAX: usize = 1024;
/// What is brought in at once of a longer range.
pub(crate) const RANGE_BYTES_MAX: usize = 1 << 20;
const SCRAP_BYTES: usize = 128 * 1024;
/// Of a longer range a byte is looked at in such distances: what is in memory came in such pieces.
const PROBE_STEP: usize = 32 * 1024;

/// A range by its file and position.
pub(crate) type RangeKey = (FileId, u64);

#[derive(Debug)]
struct Range {
    key: RangeKey,
    file: Arc<File>,
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked,
    /// Brought in, as many bytes.
    There(usize),
}

/// The side of the thread that reads: the broker's, or a network thread.
#[derive(Debug)]
pub(crate) struct ColdReads {
    /// To the threads, which begin with the first read that has to wait. `None`: there are none to be had.
    queue: OnceCell<Option<Sender<Range>>>,
    /// Told of each range when it is in memory.
    brought: UnboundedSender<RangeKey>,
    known: RefCell<BTreeMap<RangeKey, (State, usize)>>,
}

impl ColdReads {
    /// `brought` is told of each range when it is in memory.
    #[must_use]
    pub(crate) fn new(brought: UnboundedSender<RangeKey>) -> Self {
        Self { queue: OnceCell::new(), brought, known: RefCell::default() }
    }

    fn start(&self) -> Option<Sender<Range>> {
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
        match self.present_after_all((id, file), position, length) {
            Some(_) => read_fully(file, position, buffer),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// How many of the next `length` bytes are in memory; `None`: they are asked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn present(
        &self,
        (id, file): (FileId, &Arc<File>),
        position: u64,
        length: usize,
    ) -> io::Result<Option<usize>> {
        let last = length.saturating_sub(1);
        for offset in (0..last).step_by(PROBE_STEP).chain([last]) {
            if read_now(file, position + offset as u64, &mut [0])?.is_none() {
                return Ok(self.present_after_all((id, file), position, length));
            }
        }
        Ok(Some(length))
    }

    /// Whether what is not in memory was brought in before: else it is asked for.
    fn present_after_all(
        &self,
        (id, file): (FileId, &Arc<File>),
        position: u64,
        length: usize,
    ) -> Option<usize> {
        let key = (id, position);
        let mut known = self.known.borrow_mut();
        match known.get(&key) {
            Some((State::There(length), _)) => {
                let length = *length;
                known.remove(&key);
                return Some(length);
            }
            Some((State::Asked, _)) => return None,
            None => {}
        }
        let asked = known.values().filter(|(state, _)| *state == State::Asked).count();
        if asked < ASKED_MAX {
            if known.len() >= KNOWN_MAX {
                known.retain(|_, (state, _)| *state == State::Asked);
            }
            let range = Range { key, file: Arc::clone(file), length };
            let queue = self.queue.get_or_init(|| self.start());
            if queue.as_ref().is_none_or(|queue| queue.send(range).is_err()) {
                // Without threads who asks reads by itself, and waits.
                return Some(length);
            }
            known.insert(key, (State::Asked, length));
        }
        None
    }

    /// A range was brought in, or could not be: its reader will see.
    pub(crate) fn on_brought(&self, key: RangeKey) {
        if let Some((state, length)) = self.known.borrow_mut().get_mut(&key) {
            *state = State::There(*length);
        }
    }
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

fn bring_in(ranges: &Mutex<Receiver<Range>>, brought: &UnboundedSender<RangeKey>) {
    let mut scrap = vec![0; SCRAP_BYTES];
    loop {
        let next = ranges.lock().map(|ranges| ranges.recv());
        let Ok(Ok(Range { key, file, length })) = next else { return };
        let (mut position, end) = (key.1, key.1 + length as u64);
        let all = std::num::NonZeroU64::new(length as u64);
        // Without the advice it is slower, no more.
        rustix::fs::fadvise(&file, position, all, Advice::WillNeed).ok();
        while position < end {
            let most = SCRAP_BYTES.min((end - position) as usize);
            match file.read_at(scrap.get_mut(..most).unwrap_or_default(), position) {
                Ok(count) if count > 0 => position += count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        drop(file);
        if brought.send(key).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_storage::disk::{FileKind, LogId};
    use tokio::sync::mpsc::unbounded_channel;

    const ID: FileId = FileId { log: LogId(1), segment: 0, kind: FileKind::Records };

    /// Without threads: what is asked for is brought in when the test says so.
    fn cold_reads() -> (ColdReads, Receiver<Range>) {
        let (queue, ranges) = channel();
        let cold = ColdReads::new(unbounded_channel().0);
        cold.queue.set(Some(queue)).expect("not yet set");
        (cold, ranges)
    }

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("written");
        Arc::new(file)
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
        assert_eq!(cold.present_after_all((ID, &file), 0, 7), None);
        assert_eq!(cold.present_after_all((ID, &file), 0, 7), None);
        assert_eq!(ranges.try_iter().map(|range| range.length).collect::<Vec<_>>(), [7]);
        cold.on_brought((ID, 0));
        assert_eq!(cold.present_after_all((ID, &file), 0, 7), Some(7));
        assert_eq!(cold.present_after_all((ID, &file), 0, 7), None);
    }

    #[test]
    fn no_more_is_asked_for_than_is_bounded() {
        let (cold, ranges) = cold_reads();
        let file = file_of(b"");
        let ask = |position| cold.present_after_all((ID, &file), position, 1);
        assert!((0..ASKED_MAX as u64 + 10).all(|position| ask(position).is_none()));
        assert_eq!(ranges.try_iter().count(), ASKED_MAX);
        cold.on_brought((ID, 0));
        assert_eq!(ask(1000), None);
        assert_eq!(ranges.try_iter().count(), 1);
    }

    #[test]
    fn the_threads_bring_in_what_is_asked_for() {
        let (brought, mut told) = unbounded_channel();
        let cold = ColdReads::new(brought);
        let file = file_of(&vec![7; 3 * SCRAP_BYTES]);
        assert_eq!(cold.present_after_all((ID, &file), 0, 3 * SCRAP_BYTES), None);
        assert_eq!(told.blocking_recv(), Some((ID, 0)));
    }
}
