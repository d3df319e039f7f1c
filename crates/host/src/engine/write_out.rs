//! Bytes of the arena into a file: past the page cache where they are many.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::OFlags;
use strom_storage::arena::UNIT_BYTES;

/// Fewer bytes are cheaper through the page cache.
const DIRECT_BYTES_MIN: usize = 64 * 1024;
/// As [`super::WRITE_BYTES_MAX`]: larger ones are dear in the page cache.
const CACHED_BYTES_MAX: usize = 256 * 1024;

/// Writes `bytes` at `position`. Their place in memory has to be aligned as their place in the file
/// is. What begins or ends inside of a page goes through the page cache, and only that ever does: the
/// two ways never meet in one page.
///
/// # Errors
/// As of the system.
pub(crate) fn write_out(file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
    let unit = UNIT_BYTES as u64;
    let head = bytes.len().min((position.next_multiple_of(unit) - position) as usize);
    let (head, rest) = bytes.split_at(head);
    let (middle, tail) = rest.split_at(rest.len() - rest.len() % UNIT_BYTES);
    let (middle_at, tail_at) =
        (position + head.len() as u64, position + (head.len() + middle.len()) as u64);
    write_cached(file, position, head)?;
    let is_direct = middle.len() >= DIRECT_BYTES_MIN
        && match reopen_direct(file) {
            Ok(direct) => write_direct(&direct, middle_at, middle)?,
            // Files may lie where it is not to be had: the page cache will do.
            Err(_) => false,
        };
    if !is_direct {
        write_cached(file, middle_at, middle)?;
    }
    write_cached(file, tail_at, tail)
}

fn write_cached(file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
    let mut position = position;
    for piece in bytes.chunks(CACHED_BYTES_MAX) {
        file.write_all_at(piece, position)?;
        position += piece.len() as u64;
    }
    Ok(())
}

/// False when the file takes no direct writes after all.
fn write_direct(direct: &File, position: u64, bytes: &[u8]) -> io::Result<bool> {
    match direct.write_all_at(bytes, position) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same file, whatever it is called by now, for writes past the page cache.
fn reopen_direct(file: &File) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether files in this folder can be written past the page cache; else why not.
///
/// # Errors
/// What the system says of it.
pub(crate) fn probe(folder: &std::path::Path) -> io::Result<()> {
    let path = folder.join(".strom-direct");
    let file = File::create(&path)?;
    let result = reopen_direct(&file).map(drop);
    std::fs::remove_file(&path)?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_begin_and_end_anywhere_join() {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let path = folder.path().join("file");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.expect("a file");
        let memory: Vec<u8> = (0..600_000_u32).map(|it| (it % 251) as u8).collect();
        let first = memory.as_ptr().align_offset(UNIT_BYTES);
        let bytes = &memory[first..first + 500_000];
        let mut begin = 0;
        for end in [10, 5_000, 200_000, 200_001, 204_800, 466_944, 500_000] {
            write_out(&file, begin as u64, &bytes[begin..end]).expect("written");
            begin = end;
        }
        let mut read = vec![0; 500_000];
        file.read_exact_at(&mut read, 0).expect("read");
        assert!(read == bytes);
    }
}
