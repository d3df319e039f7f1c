//! Bytes of the arena into a file: past the page cache where they are many.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use strom_storage::arena::UNIT_BYTES;

/// Fewer bytes are cheaper through the page cache.
const DIRECT_BYTES_MIN: usize = 64 * 1024;
/// A write call of a megabyte or more may cost six times as much for each byte as one of up to half
/// of that (measured on a fresh file in the page cache), so none is larger.
const CACHED_BYTES_MAX: usize = 256 * 1024;

/// Writes `bytes` at `position`. Their place in memory has to be aligned as their place in the file
/// is. What begins or ends inside of a page goes through the page cache, as records do that went past the
/// arena. The two ways meet in no page of records, and in one of zeros ahead at most, which the system
/// writes out and forgets before it writes past it. `opened` is the file at `path`, where it is open.
///
/// # Errors
/// As of the system.
pub(crate) fn write_out(
    path: &Path,
    opened: Option<&File>,
    position: u64,
    bytes: &[u8],
) -> io::Result<()> {
    let unit = UNIT_BYTES as u64;
    let head = bytes.len().min((position.next_multiple_of(unit) - position) as usize);
    let (head, rest) = bytes.split_at(head);
    let (middle, tail) = rest.split_at(rest.len() - rest.len() % UNIT_BYTES);
    let middle_at = position + head.len() as u64;
    let is_direct = middle.len() >= DIRECT_BYTES_MIN
        && match open_direct(path) {
            Ok(direct) => write_direct(&direct, middle_at, middle)?,
            // Files may lie where it is not to be had: the page cache will do.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => false,
            Err(error) => return Err(error),
        };
    if is_direct && head.is_empty() && tail.is_empty() {
        return Ok(());
    }
    let newly_opened;
    let file = match opened {
        Some(file) => file,
        None => {
            newly_opened = OpenOptions::new().write(true).open(path)?;
            &newly_opened
        }
    };
    if !is_direct {
        return write_cached(file, position, bytes);
    }
    write_cached(file, position, head)?;
    write_cached(file, middle_at + middle.len() as u64, tail)
}

/// Through the page cache, in calls of a size that is cheap there.
///
/// # Errors
/// As of the system.
pub(crate) fn write_cached(file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
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

fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(OFlags::DIRECT.bits() as i32).open(path)
}

/// Whether files in this folder can be written past the page cache; else why not.
///
/// # Errors
/// What the system says of it.
pub(crate) fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(".strom-direct");
    File::create(&path)?;
    let result = open_direct(&path).map(drop);
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
        File::create(&path).expect("a file");
        let memory: Vec<u8> = (0..600_000_u32).map(|it| (it % 251) as u8).collect();
        let first = memory.as_ptr().align_offset(UNIT_BYTES);
        let bytes = &memory[first..first + 500_000];
        let mut begin = 0;
        for end in [10, 5_000, 200_000, 200_001, 204_800, 466_944, 500_000] {
            let opened = OpenOptions::new().write(true).open(&path).expect("a file");
            let opened = (end % 2 == 0).then_some(&opened);
            write_out(&path, opened, begin as u64, &bytes[begin..end]).expect("written");
            begin = end;
        }
        let mut read = vec![0; 500_000];
        let file = File::open(&path).expect("a file");
        file.read_exact_at(&mut read, 0).expect("read");
        assert!(read == bytes);
    }
}
