//! What of a file is in memory, found out without waiting for the disk.
//!
//! A read that must not wait (`RWF_NOWAIT`) says so, too, but where pages are missing it first has the system
//! read ahead, on the thread that asks: that takes memory, and where memory is full of cached files some has
//! to be swept for it. So pages are counted before (`cachestat`, Linux 6.5). A page that is counted may still
//! be on its way from the disk: the read finds that.
#![expect(unsafe_code, reason = "no library that is used here calls cachestat")]

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::ReadRange;
use crate::file_disk::read_fully;

/// Of a longer range a byte is looked at in such distances.
const PROBE_STEP: usize = 64 * 1024;
/// The same on all architectures.
const CACHESTAT: libc::c_long = 451;

/// Cleared where a file system counts no pages that are there, as those do that lay one tree over another.
static IS_COUNTED: AtomicBool = AtomicBool::new(true);

#[repr(C)]
struct Asked {
    position: u64,
    length: u64,
}

/// In pages.
#[repr(C)]
#[derive(Default)]
struct Counted {
    cached: u64,
    dirty: u64,
    under_writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// # Errors
/// When the file cannot be read.
pub(super) fn is_cached(range: ReadRange<'_>) -> io::Result<bool> {
    if misses_pages(range.file, range.position, range.length) {
        return Ok(false);
    }
    let last = range.length.saturating_sub(1);
    for offset in (0..last).step_by(PROBE_STEP).chain([last]) {
        if read_at_once(range.file, range.position + offset as u64, &mut [0])?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads what is in memory; `None` when not all of it is.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_now(file: &File, position: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    if misses_pages(file, position, buffer.len()) {
        return Ok(None);
    }
    read_at_once(file, position, buffer)
}

fn read_at_once(file: &File, position: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
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

/// A range has just been read: where none of it is counted, what is not counted says nothing.
pub(super) fn on_read(file: &File, position: u64, length: usize) {
    if length > 0 && cached_pages(file, position, length) == Some(0) {
        IS_COUNTED.store(false, Ordering::Relaxed);
    }
}

/// Whether pages of a range are known not to be there. A system that does not count them says nothing, and
/// who asks beyond a file's end is told so by the read.
fn misses_pages(file: &File, position: u64, length: usize) -> bool {
    let Some(last) = (length as u64).checked_sub(1) else { return false };
    if !IS_COUNTED.load(Ordering::Relaxed) {
        return false;
    }
    let page = rustix::param::page_size() as u64;
    let pages = (position + last) / page - position / page + 1;
    let is_short = |cached: u64| cached < pages && !reaches_end(file, position + last);
    cached_pages(file, position, length).is_some_and(is_short)
}

fn reaches_end(file: &File, last: u64) -> bool {
    file.metadata().is_ok_and(|metadata| last >= metadata.len())
}

fn cached_pages(file: &File, position: u64, length: usize) -> Option<u64> {
    let asked = Asked { position, length: length as u64 };
    let mut counted = Counted::default();
    // SAFETY: both structures live through the call and are laid out as the system has them.
    let done = unsafe {
        libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const asked, &raw mut counted, 0)
    };
    (done == 0).then_some(counted.cached)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_is_not_in_memory_is_known_without_bringing_it_in() {
        let file = tempfile::tempfile_in(".").expect("a file");
        file.write_all_at(&[7; 1 << 20], 0).expect("written");
        assert!(!misses_pages(&file, 100, (1 << 20) - 100));
        file.sync_all().expect("synced");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advised");
        let is_known = cached_pages(&file, 0, 1 << 20).is_some();
        assert_eq!(misses_pages(&file, 0, 1 << 20), is_known);
        assert_eq!(read_now(&file, 5000, &mut [0; 5000]).expect("read"), None);
        assert_eq!(misses_pages(&file, 0, 1 << 20), is_known);
        assert_eq!(file.read_at(&mut [0; 10], 5000).expect("read"), 10);
        assert!(!misses_pages(&file, 5000, 10));
    }

    #[test]
    fn who_asks_beyond_the_end_reads_what_there_is() {
        let file = tempfile::tempfile_in(".").expect("a file");
        file.write_all_at(b"records", 0).expect("written");
        let mut buffer = [0; 20_000];
        assert_eq!(read_now(&file, 3, &mut buffer).expect("read"), Some(4));
        assert_eq!(&buffer[..4], b"ords");
    }
}
