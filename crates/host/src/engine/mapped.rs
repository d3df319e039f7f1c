//! The memory of an arena as a mapped file, and all that is unsafe about it.
//!
//! ```text
//! 0        4 KiB      header (see `arena_file`)
//! 4 KiB    slots      512 bytes for each unit of 4 KiB, in use where a chunk begins
//! …        blocks     1 MiB each
//! ```
//!
//! The file has its whole length from the start, but memory only where it was asked for: a page that
//! the system could not give would end the process when it is touched, so none is touched that was
//! not granted.
#![expect(unsafe_code, reason = "memory that outlives the process is mapped memory")]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use strom_storage::arena::{
    ArenaImage, ArenaMemory, BLOCK_BYTES, DESCRIPTOR_BYTES, Extent, SLOT_BYTES, UNIT_BYTES,
};

use super::block_worker::{BlockWorker, Blocks};

pub(crate) const HEADER_BYTES: usize = UNIT_BYTES;
const SLOTS_OF_BLOCK: usize = BLOCK_BYTES / UNIT_BYTES;
/// So many are read by one call.
const SLOTS_AT_ONCE: usize = 256;

/// Where the parts of an arena of so many blocks lie in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) blocks: usize,
}

impl Layout {
    pub(crate) fn slots(self) -> usize {
        self.blocks * SLOTS_OF_BLOCK
    }

    fn blocks_at(self) -> usize {
        HEADER_BYTES + self.slots() * SLOT_BYTES
    }

    pub(crate) fn file_bytes(self) -> usize {
        self.blocks_at() + self.blocks * BLOCK_BYTES
    }
}

/// The mapping, shared with the workers that write from it.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the mapping is plain memory that stays until the last owner is gone. It is changed by the
// shard's thread alone, and there only where no chunk is: others read the bytes of chunks that were
// published to them, and those stay as they are until the arena is told that nobody reads them. The
// blocks' worker populates pages, which leaves the bytes as they are, and gives blocks back that no
// chunk lies in.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &File, layout: Layout) -> io::Result<Mapping> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the system chooses touches nothing of ours.
        let base = unsafe {
            let length = layout.file_bytes();
            mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file.as_fd(), 0)?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { base, layout })
    }

    /// Bytes of the arena that are some chunk's; nothing outside of the blocks.
    pub(crate) fn bytes(&self, at: usize, length: usize) -> &[u8] {
        let end = at.checked_add(length);
        if end.is_none_or(|end| end > self.layout.blocks * BLOCK_BYTES) {
            return &[];
        }
        // SAFETY: inside of the mapping, and nobody changes a chunk's bytes while they are a chunk's.
        unsafe { std::slice::from_raw_parts(self.block_pointer(at), length) }
    }

    fn block_pointer(&self, at: usize) -> *mut u8 {
        // SAFETY: callers have checked that `at` lies in the blocks.
        unsafe { self.base.as_ptr().add(self.layout.blocks_at() + at) }
    }

    fn slot_pointer(&self, slot: usize) -> *mut u8 {
        assert!(slot < self.layout.slots(), "slot {slot} of an arena");
        // SAFETY: just checked.
        unsafe { self.base.as_ptr().add(HEADER_BYTES + slot * SLOT_BYTES) }
    }

    fn owed_word(&self, slot: usize) -> &AtomicU64 {
        // SAFETY: aligned to eight bytes, inside of the mapping, and only ever used as an atomic.
        unsafe { AtomicU64::from_ptr(self.slot_pointer(slot).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the last owner is gone, so nobody holds a reference into it.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.layout.file_bytes()) };
        if let Err(error) = unmapped {
            tracing::error!(%error, "an arena could not be unmapped");
        }
    }
}

/// An arena's file and where it is mapped.
#[derive(Debug)]
struct MappedFile {
    file: File,
    mapping: Arc<Mapping>,
}

impl MappedFile {
    /// Memory for a part of the file, or false.
    fn allocate_part(&self, position: usize, length: usize) -> bool {
        fallocate(&self.file, FallocateFlags::empty(), position as u64, length as u64).is_ok()
    }

    fn block_position(&self, block: usize) -> usize {
        self.mapping.layout.blocks_at() + block * BLOCK_BYTES
    }
}

impl Blocks for MappedFile {
    fn allocate(&self, block: usize) -> bool {
        let slots_at = HEADER_BYTES + block * SLOTS_OF_BLOCK * SLOT_BYTES;
        if block >= self.mapping.layout.blocks
            || !self.allocate_part(slots_at, SLOTS_OF_BLOCK * SLOT_BYTES)
            || !self.allocate_part(self.block_position(block), BLOCK_BYTES)
        {
            return false;
        }
        let begin = self.mapping.block_pointer(block * BLOCK_BYTES);
        // All pages at once instead of one fault for each; who cannot do that takes the faults.
        // SAFETY: the range is a block of the mapping, and its bytes stay what they are.
        let _ = unsafe { madvise(begin.cast(), BLOCK_BYTES, Advice::LinuxPopulateWrite) };
        true
    }

    fn release(&self, block: usize) {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let position = self.block_position(block) as u64;
        if let Err(error) = fallocate(&self.file, hole, position, BLOCK_BYTES as u64) {
            tracing::warn!(%error, "memory of the arena was not given back");
        }
    }
}

/// An arena's memory.
#[derive(Debug)]
pub(crate) struct MappedArena {
    file: Arc<MappedFile>,
    mapping: Arc<Mapping>,
    blocks: BlockWorker,
}

impl MappedArena {
    /// Maps a file that has the layout's length.
    ///
    /// # Errors
    /// When the system maps nothing.
    pub(crate) fn new(file: File, layout: Layout) -> io::Result<MappedArena> {
        let mapping = Arc::new(Mapping::new(&file, layout)?);
        let file = Arc::new(MappedFile { file, mapping: Arc::clone(&mapping) });
        Ok(MappedArena { file, mapping, blocks: BlockWorker::new(layout.blocks) })
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

impl ArenaMemory for MappedArena {
    fn grant(&mut self, block: usize) -> bool {
        self.blocks.grant(&self.file, block)
    }

    fn release(&mut self, block: usize) {
        self.blocks.release(&self.file, block);
    }

    fn store(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.mapping.layout.blocks * BLOCK_BYTES);
        // SAFETY: inside of the blocks, as just checked, and outside of what anybody reads: the
        // arena stores behind the end of a chunk. `bytes` are of another memory.
        unsafe {
            let target = self.mapping.block_pointer(at);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) {
        let bytes = self.mapping.bytes(from, length);
        assert!(to + length <= self.mapping.layout.blocks * BLOCK_BYTES);
        // SAFETY: as for `store`; the arena copies from one piece into another.
        unsafe {
            let target = self.mapping.block_pointer(to);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }

    fn describe(&mut self, slot: usize, descriptor: &[u8; DESCRIPTOR_BYTES]) -> bool {
        // SAFETY: a slot of the mapping, granted with the block that it is of; no reader looks at a
        // descriptor before its extent is published.
        unsafe {
            let target = self.mapping.slot_pointer(slot).add(SLOT_BYTES - DESCRIPTOR_BYTES);
            std::ptr::copy_nonoverlapping(descriptor.as_ptr(), target, DESCRIPTOR_BYTES);
        }
        true
    }

    fn publish(&mut self, slot: usize, owed: Extent) {
        // What was stored before is in the memory before it is published, whenever the process dies.
        fence(Ordering::Release);
        self.mapping.owed_word(slot).store(owed.to_word().to_le(), Ordering::Release);
    }
}

/// An arena of a process that is dead. It is read, not mapped: a page without memory would want some.
#[derive(Debug)]
pub(crate) struct FoundArena {
    pub(crate) file: File,
    pub(crate) layout: Layout,
}

impl ArenaImage for FoundArena {
    fn slots(&self) -> usize {
        self.layout.slots()
    }

    fn slot(&self, slot: usize) -> Option<[u8; SLOT_BYTES]> {
        let mut bytes = [0; SLOT_BYTES];
        let position = HEADER_BYTES + slot * SLOT_BYTES;
        self.file.read_exact_at(&mut bytes, position as u64).ok()?;
        Some(bytes)
    }

    fn slots_from(&self, first: usize) -> Option<Vec<u8>> {
        let count = self.slots().checked_sub(first)?.min(SLOTS_AT_ONCE);
        let mut bytes = vec![0; count * SLOT_BYTES];
        let position = HEADER_BYTES + first * SLOT_BYTES;
        match self.file.read_exact_at(&mut bytes, position as u64) {
            Ok(()) => Some(bytes),
            // Perhaps it is another one that cannot be read.
            Err(_) => self.slot(first).map(Vec::from),
        }
    }

    fn read(&self, at: usize, length: usize) -> Option<Vec<u8>> {
        if at.checked_add(length)? > self.layout.blocks * BLOCK_BYTES {
            return None;
        }
        let mut bytes = vec![0; length];
        let position = self.layout.blocks_at() + at;
        self.file.read_exact_at(&mut bytes, position as u64).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_found_in_the_file() {
        let layout = Layout { blocks: 2 };
        let file = tempfile::tempfile().expect("a file");
        file.set_len(layout.file_bytes() as u64).expect("a length");
        let again = file.try_clone().expect("the same file");
        let mut arena = MappedArena::new(file, layout).expect("mapped");
        assert!(arena.grant(1) && !arena.grant(2));
        arena.store(BLOCK_BYTES, b"bytes");
        arena.copy(BLOCK_BYTES, BLOCK_BYTES + 100, 5);
        assert!(arena.describe(256, &[7; DESCRIPTOR_BYTES]));
        arena.publish(256, Extent { begin: 0, end: 105 });
        drop(arena);
        let found = FoundArena { file: again, layout };
        let slot = found.slot(256).expect("a slot");
        let (word, descriptor) = slot.split_at(SLOT_BYTES - DESCRIPTOR_BYTES);
        assert_eq!(word, Extent { begin: 0, end: 105 }.to_word().to_le_bytes());
        assert_eq!(descriptor, [7; DESCRIPTOR_BYTES]);
        assert_eq!(found.slot(3), Some([0; SLOT_BYTES]));
        let (first, last) = (found.slots_from(0), found.slots_from(layout.slots() - 1));
        assert_eq!(first.map(|it| it.len()), Some(SLOTS_AT_ONCE * SLOT_BYTES));
        assert_eq!(last.map(|it| it.len()), Some(SLOT_BYTES));
        assert_eq!(found.read(BLOCK_BYTES + 100, 5), Some(b"bytes".to_vec()));
        assert_eq!(found.read(2 * BLOCK_BYTES, 1), None);
    }
}
