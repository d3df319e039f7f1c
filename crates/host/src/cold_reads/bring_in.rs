//! The threads that wait for the disk: they bring what is asked for into the page cache.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use strom_storage::disk::FileId;
use tokio::sync::mpsc::UnboundedSender;

const SCRAP_BYTES: usize = 64 * 1024;

/// A range by its file and position.
pub(crate) type RangeKey = (FileId, u64);

/// What a thread is to bring in.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key: RangeKey,
    pub(super) file: Arc<File>,
    pub(super) length: usize,
}

/// It is in memory, or cannot be read: who uses it will see.
#[derive(Debug)]
pub(crate) struct Brought(pub(super) RangeKey);

/// One thread's life.
pub(super) fn bring_in(ranges: &Mutex<Receiver<Wanted>>, brought: &UnboundedSender<Brought>) {
    let sink = OpenOptions::new().write(true).open("/dev/null").ok();
    loop {
        let Ok(Ok(Wanted { key, file, length })) = ranges.lock().map(|ranges| ranges.recv()) else {
            return;
        };
        let moved = sink.as_ref().map_or(0, |sink| move_through(&file, key.1, length, sink));
        read_through(&file, key.1 + moved as u64, length - moved);
        // The last to close a removed file waits for the disk: that is this thread, not who is told.
        drop(file);
        if brought.send(Brought(key)).is_err() {
            return;
        }
    }
}

/// Has the system read as it reads for one who reads on and on: in large pieces of memory, and ahead.
/// Advice to read (`WILLNEED`) makes it take a page at a time, which costs ten times as much; nothing
/// is copied. How many bytes there were, fewer where a file system does not know how.
fn move_through(file: &File, position: u64, length: usize, sink: &File) -> usize {
    let mut next = position;
    let mut moved = 0;
    while moved < length {
        match rustix::fs::sendfile(sink, file, Some(&mut next), length - moved) {
            Ok(count) if count > 0 => moved += count,
            Err(Errno::INTR) => {}
            _ => break,
        }
    }
    moved
}

fn read_through(file: &File, position: u64, length: usize) {
    if length == 0 {
        return;
    }
    let mut scrap = vec![0; SCRAP_BYTES.min(length)];
    let (mut position, end) = (position, position + length as u64);
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
    fn a_range_goes_through_to_the_end_of_the_file_and_no_further() {
        let file = tempfile::tempfile_in(".").expect("a file");
        file.write_all_at(&[7; 100_000], 0).expect("written");
        let sink = OpenOptions::new().write(true).open("/dev/null").expect("a sink");
        assert_eq!(move_through(&file, 0, 100_000, &sink), 100_000);
        assert_eq!(move_through(&file, 99_000, 2_000, &sink), 1_000);
        read_through(&file, 99_000, 2_000);
    }
}
