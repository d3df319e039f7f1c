//! One chunk: a run of a file's bytes in the arena, and how far the file itself has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::space::UNIT_BYTES;
use crate::disk::FileId;

/// A chunk of one arena. Used again once the chunk is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub(super) u32);

/// Positions in a chunk count from its first byte in the arena, which stands for a position of the
/// file that is a multiple of [`UNIT_BYTES`]: arena and file are aligned alike.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) file: FileId,
    /// Where it begins in the arena.
    pub(super) at: usize,
    /// Bytes of the arena that are its own.
    pub(super) capacity: usize,
    /// The position in the file of its first byte.
    pub(super) position: u64,
    /// Its valid bytes: those before stand in the file alone.
    pub(super) begin: usize,
    pub(super) end: usize,
    /// The file has the bytes below.
    pub(super) flushed: usize,
    /// Somebody was asked to write the bytes below.
    pub(super) submitted: usize,
    /// Flushes that were asked for and not reported yet, and how far they reach.
    pub(super) flushes: u32,
    pub(super) flushing_to: usize,
    /// Flushes that are done behind one that is not.
    pub(super) ahead: Vec<(usize, usize)>,
    /// Nothing more is appended to it.
    pub(super) is_sealed: bool,
    /// Its bytes are no longer the file's: it goes as soon as nobody looks at it.
    pub(super) is_dropped: bool,
    /// Monotonic; since when it is as it is: dirty, or clean.
    pub(super) since_ms: u64,
    readers: Arc<AtomicU32>,
}

impl Chunk {
    /// An empty chunk whose first byte is to be the one at `position` of the file.
    pub(super) fn new(file: FileId, position: u64, piece: (usize, usize), now_ms: u64) -> Chunk {
        let (at, capacity) = piece;
        let begin = (position % UNIT_BYTES as u64) as usize;
        Chunk {
            file,
            at,
            capacity,
            position: position - begin as u64,
            begin,
            end: begin,
            flushed: begin,
            submitted: begin,
            flushes: 0,
            flushing_to: 0,
            ahead: Vec::new(),
            is_sealed: false,
            is_dropped: false,
            since_ms: now_ms,
            readers: Arc::default(),
        }
    }

    /// The position in the file behind its last byte.
    pub(super) fn end_position(&self) -> u64 {
        self.position + self.end as u64
    }

    pub(super) fn begin_position(&self) -> u64 {
        self.position + self.begin as u64
    }

    pub(super) fn room(&self) -> usize {
        if self.is_sealed { 0 } else { self.capacity - self.end }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.flushed < self.end && !self.is_dropped
    }

    /// The file has these bytes, too; what was done in another order is joined.
    pub(super) fn on_written(&mut self, begin: usize, end: usize) {
        self.ahead.push((begin, end));
        while let Some(next) = self.ahead.iter().position(|(begin, _)| *begin <= self.flushed) {
            let (_, end) = self.ahead.swap_remove(next);
            self.flushed = self.flushed.max(end).min(self.end);
        }
    }

    /// Nobody reads it and nobody writes it out.
    pub(super) fn is_unused(&self) -> bool {
        // Acquire: what readers on other threads did with the bytes comes before their next use.
        self.flushes == 0 && self.readers.load(Ordering::Acquire) == 0
    }

    pub(super) fn lend(&self) -> Lease {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Lease { readers: Arc::clone(&self.readers) }
    }
}

/// Keeps a chunk's bytes where they are while they are sent, on whatever thread that is.
#[derive(Debug)]
pub struct Lease {
    readers: Arc<AtomicU32>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::Release);
    }
}
