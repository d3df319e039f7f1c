//! The threads that wait for the disk: into the page cache, or past it into memory of our own.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Advice, OFlags};
use strom_storage::disk::FileId;
use tokio::sync::mpsc::UnboundedSender;

use super::{DIRECT_BYTES_MIN, RANGE_BYTES_MAX};

/// Direct reads begin and end on such boundaries, in the file and in memory.
const UNIT_BYTES: usize = 4096;
const SCRAP_BYTES: usize = 128 * 1024;
/// When nothing was asked for that long, memory may go.
const QUIET: Duration = Duration::from_secs(5);

/// A range by its file and position.
pub(crate) type RangeKey = (FileId, u64);

/// What a thread is to read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key: RangeKey,
    /// Tells it from one of the same place that was asked for earlier and forgotten.
    pub(super) number: u64,
    pub(super) file: Arc<File>,
    pub(super) length: usize,
    /// Where to read past the page cache; `None` is into it.
    pub(super) memory: Option<Memory>,
}

/// What the threads tell the shard.
#[derive(Debug)]
pub(crate) enum Brought {
    /// It is in memory: in `chunk`, or in the page cache.
    Range { key: RangeKey, number: u64, chunk: Option<Chunk> },
    /// Nothing was asked for since a while.
    Quiet,
}

/// Room for one range, aligned.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: Vec<u8>,
    start: usize,
    /// Counted by who bounds them.
    _permit: Arc<()>,
}

impl Memory {
    pub(super) fn new(permit: Arc<()>) -> Self {
        let bytes = vec![0; RANGE_BYTES_MAX + DIRECT_BYTES_MIN + 3 * UNIT_BYTES];
        let start = bytes.as_ptr().align_offset(UNIT_BYTES).min(UNIT_BYTES);
        Self { bytes, start, _permit: permit }
    }

    fn aligned(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }
}

/// A range that was read past the page cache.
#[derive(Debug)]
pub(crate) struct Chunk {
    memory: Memory,
    /// From the beginning of the memory to the range.
    skip: usize,
    length: usize,
}

impl Chunk {
    /// The range.
    pub(crate) fn bytes(&self) -> &[u8] {
        let start = self.memory.start + self.skip;
        self.memory.bytes.get(start..start + self.length).unwrap_or_default()
    }

    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    #[cfg(test)]
    pub(super) fn of(mut memory: Memory, bytes: &[u8]) -> Self {
        memory.aligned()[..bytes.len()].copy_from_slice(bytes);
        Self { memory, skip: 0, length: bytes.len() }
    }
}

/// One thread's life.
pub(super) fn bring_in(ranges: &Mutex<Receiver<Wanted>>, brought: &UnboundedSender<Brought>) {
    let mut scrap = vec![0; SCRAP_BYTES];
    let mut has_read = false;
    loop {
        let next = ranges.lock().map(|ranges| match has_read {
            true => ranges.recv_timeout(QUIET),
            false => ranges.recv().map_err(|_| RecvTimeoutError::Disconnected),
        });
        let told = match next {
            Ok(Ok(wanted)) => {
                has_read = true;
                read(wanted, &mut scrap)
            }
            Ok(Err(RecvTimeoutError::Timeout)) => {
                has_read = false;
                Brought::Quiet
            }
            _ => return,
        };
        if brought.send(told).is_err() {
            return;
        }
    }
}

fn read(wanted: Wanted, scrap: &mut [u8]) -> Brought {
    let Wanted { key, number, file, length, memory } = wanted;
    if let Some(mut memory) = memory
        && let Ok(skip) = read_direct(&file, key.1, length, &mut memory)
    {
        let chunk = Some(Chunk { memory, skip, length });
        return Brought::Range { key, number, chunk };
    }
    // Also where direct reads fail: what is wrong will show when the range is used.
    read_into_cache(&file, key.1, length, scrap);
    Brought::Range { key, number, chunk: None }
}

/// How far the range is from the beginning of the memory.
fn read_direct(
    file: &File,
    position: u64,
    length: usize,
    memory: &mut Memory,
) -> io::Result<usize> {
    let skip = (position % UNIT_BYTES as u64) as usize;
    let begin = position - skip as u64;
    let wanted = skip + length;
    // The file has no name that can be relied on: it may be renamed or removed meanwhile.
    let direct = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let target = memory.aligned();
    let target = target
        .get_mut(..wanted.next_multiple_of(UNIT_BYTES))
        .ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    let mut read = 0;
    while read < wanted {
        let rest = target.get_mut(read..).unwrap_or_default();
        match direct.read_at(rest, begin + read as u64) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => read += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(skip)
}

fn read_into_cache(file: &File, position: u64, length: usize, scrap: &mut [u8]) {
    let (mut position, end) = (position, position + length as u64);
    let all = std::num::NonZeroU64::new(length as u64);
    // Without the advice it is slower, no more.
    rustix::fs::fadvise(file, position, all, Advice::WillNeed).ok();
    while position < end {
        let most = scrap.len().min((end - position) as usize);
        match file.read_at(scrap.get_mut(..most).unwrap_or_default(), position) {
            Ok(count) if count > 0 => position += count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_past_the_page_cache_from_anywhere_to_the_end_of_the_file() {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let content: Vec<u8> = (0..100_000_u32).map(|it| it as u8 ^ (it >> 8) as u8).collect();
        let path = folder.path().join("segment");
        std::fs::write(&path, &content).expect("written");
        let file = File::open(&path).expect("opened");
        for (position, length) in [(0, 100_000), (4096, 8192), (5000, 95_000), (99_999, 1)] {
            let mut memory = Memory::new(Arc::default());
            let skip = read_direct(&file, position as u64, length, &mut memory).expect("read");
            let chunk = Chunk { memory, skip, length };
            assert!(chunk.bytes() == &content[position..position + length]);
        }
        let beyond = read_direct(&file, 99_000, 2_000, &mut Memory::new(Arc::default()));
        assert_eq!(beyond.expect_err("too far").kind(), ErrorKind::UnexpectedEof);
    }
}
