//! The arena of the direct engine: appended bytes gather in chunks of a memory that outlives the
//! process, and go to their files a megabyte at a time, past the page cache.
//!
//! A machine: it decides which bytes lie in which chunk and when they are written out; the memory
//! ([`ArenaMemory`]) and the writing ([`Flush`]) are its shell's. *Written* is kept as soon as bytes
//! are in the arena, because a start after kill -9 finds them there ([`restore`]). Readers ask
//! [`Arena::place_of`] first: what the file does not have yet is here, and so is the recent past.
//!
//! Chunks begin small and grow as they fill, so that ten thousand quiet partitions take some 4 KiB
//! each and a busy one a megabyte. A chunk is written out when it is full, when its oldest bytes
//! are [`FLUSH_AGE_MS`] old, when its file is synced or closed, and when memory is short.
//!
//! Where nothing is free the arena takes less than it was given ([`Arena::is_short`]). The shell keeps
//! the rest until a flush has made room, or writes it into the file itself. Large writes leave some
//! room to small ones, which so seldom wait. Of logs whose bytes it can keep for so short a time that they
//! are better off in the page cache it takes nothing ([`giving_way`]).

mod chunk;
mod descriptor;
mod flush;
mod forget;
mod giving_way;
mod memory;
mod place;
mod restore;
mod space;

use std::collections::{BTreeSet, VecDeque};

use strom_base::IdMap;

pub use chunk::{ChunkId, Lease};
pub use descriptor::{DESCRIPTOR_BYTES, Extent, SLOT_BYTES};
pub use flush::Flush;
pub use memory::ArenaMemory;
pub use place::Place;
pub use restore::{ArenaImage, OwedFile, Restored, owed_files, restore};
pub use space::{BLOCK_BYTES, UNIT_BYTES};

use crate::disk::{DiskError, DiskPath, FileId, LogId};
use chunk::Chunk;
use descriptor::Descriptor;
use giving_way::GivingWay;
use space::{Space, piece_bytes};

/// How long bytes may wait for more of them, and how long what was written out is kept for readers.
/// The page cache waits longer.
pub const FLUSH_AGE_MS: u64 = 5_000;
/// Writes from this size on leave room to smaller ones …
pub const LARGE_BYTES: usize = 16 * 1024;
/// … one in so many of all blocks; an arena of fewer has none to spare.
const SPARE_FRACTION: usize = 16;
/// A chunk that is full grows by this factor.
const GROWTH_FACTOR: usize = 4;

/// Bytes to put at a position of a file.
pub struct ArenaWrite<'a> {
    /// Monotonic.
    pub now_ms: u64,
    pub file: FileId,
    pub position: u64,
    pub bytes: &'a [u8],
    /// Where a log's files are.
    pub path_of: &'a dyn Fn(FileId) -> Result<DiskPath, DiskError>,
}

/// All chunks of one log directory.
#[derive(Debug)]
pub struct Arena {
    space: Space,
    chunks: IdMap<ChunkId, Chunk>,
    next_chunk: u32,
    logs: IdMap<LogId, Vec<FileChunks>>,
    /// Since when chunks are dirty, the oldest first; of those that are no more, too.
    dirty: VecDeque<(u64, ChunkId)>,
    /// The same of chunks that their files have whole: what readers may still want. Of those that are
    /// dirty again, too.
    clean: VecDeque<(u64, ChunkId)>,
    /// Dropped ones that somebody still looks at.
    dropped: Vec<ChunkId>,
    /// Those whose last flush failed. Until it succeeds the arena takes nothing new.
    failing: BTreeSet<ChunkId>,
    /// Flushes that were asked for and not reported yet.
    flushing: usize,
    giving_way: GivingWay,
    /// Memory was lacking in the last write.
    is_short: bool,
    /// Since when it is watched how many blocks nobody wants.
    watched_since_ms: u64,
}

/// The chunks of one file, by position.
#[derive(Debug)]
struct FileChunks {
    file: FileId,
    chunks: VecDeque<ChunkId>,
}

impl Arena {
    /// An arena that takes up to `blocks_max` times [`BLOCK_BYTES`], as it needs them.
    #[must_use]
    pub fn new(blocks_max: usize) -> Self {
        Self {
            space: Space::new(blocks_max),
            chunks: IdMap::default(),
            next_chunk: 0,
            logs: IdMap::default(),
            dirty: VecDeque::new(),
            clean: VecDeque::new(),
            dropped: Vec::new(),
            failing: BTreeSet::new(),
            flushing: 0,
            giving_way: GivingWay::default(),
            is_short: false,
            watched_since_ms: 0,
        }
    }

    /// Bytes of memory that the arena takes now.
    #[must_use]
    pub fn granted_bytes(&self) -> usize {
        self.space.granted_bytes()
    }

    /// Whether the last write was not taken whole because no memory was free, and a flush that is
    /// under way will make room.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.is_short && self.flushing > 0 && self.failing.is_empty()
    }

    /// Takes what fits, or nothing of a log that had better go past it: so many of the first bytes are
    /// *written* now. The rest, if any, is for the shell to write into the file, but not before what is
    /// under way up to [`Arena::flushing_end`]; or to be offered again, before anything behind it in the
    /// file is.
    pub fn write(
        &mut self,
        memory: &mut impl ArenaMemory,
        write: &ArenaWrite<'_>,
        out: &mut Vec<Flush>,
    ) -> usize {
        self.is_short = false;
        if self.gives_way(write) {
            return 0;
        }
        let mut taken = 0;
        while let Some(rest) = write.bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let position = write.position + taken as u64;
            let chunk = self.chunk_for(memory, write, position, rest.len(), out);
            let Some(id) = chunk else { break };
            taken += self.fill(memory, id, rest, write.now_ms, out);
        }
        taken
    }

    /// Whether all of a write is better written into its file.
    fn gives_way(&self, write: &ArenaWrite<'_>) -> bool {
        let (log, bytes) = (write.file.log, write.bytes.len());
        let fits = |chunk: &Chunk| chunk.end_position() == write.position && chunk.room() >= bytes;
        let is_taken_back = |chunk: &Chunk| chunk.end_position() > write.position;
        self.giving_way.gives_way(log, bytes, write.now_ms)
            && self.last_chunk(write.file).is_none_or(|(_, it)| !fits(it) && !is_taken_back(it))
            // The system locks a file while it is written out: who writes into it would wait.
            && self.flushing_end(write.file) == 0
    }

    /// A chunk with room for the byte at `position`.
    fn chunk_for(
        &mut self,
        memory: &mut impl ArenaMemory,
        write: &ArenaWrite<'_>,
        position: u64,
        wanted: usize,
        out: &mut Vec<Flush>,
    ) -> Option<ChunkId> {
        let last = self.last_chunk(write.file);
        let end_position = last.map(|(_, chunk)| chunk.end_position());
        if end_position.is_some_and(|end| end > position) {
            // An append that was taken back, and may be on its way into the file.
            self.cut(memory, write.file, position);
            if self.flushing_end(write.file) > position {
                return None;
            }
        }
        if !self.failing.is_empty() {
            return None;
        }
        let mut bytes = wanted;
        if let Some((id, chunk)) = self.last_chunk(write.file).filter(|it| !it.1.is_sealed) {
            if chunk.end_position() == position {
                if chunk.room() >= wanted || (chunk.room() > 0 && chunk.capacity == BLOCK_BYTES) {
                    return Some(id);
                }
                if let Some(grown) = self.grow(memory, write, id, wanted) {
                    return Some(grown);
                }
                if chunk_has_room(&self.chunks, id) {
                    return Some(id);
                }
            }
            self.seal(id, out);
        } else if self.was_filled(write.file, position) {
            bytes = BLOCK_BYTES;
        }
        let opened = self.open(memory, write, position, bytes);
        if opened.is_none() {
            self.relieve(write.now_ms, out);
        }
        opened
    }

    /// Whether a chunk of the largest size has just been filled: more is to be expected.
    fn was_filled(&self, file: FileId, position: u64) -> bool {
        self.last_chunk(file)
            .is_some_and(|(_, last)| last.end == BLOCK_BYTES && last.end_position() == position)
    }

    /// A new chunk for bytes from `position` on, as large as `bytes` ask for or as can be had.
    fn open(
        &mut self,
        memory: &mut impl ArenaMemory,
        write: &ArenaWrite<'_>,
        position: u64,
        bytes: usize,
    ) -> Option<ChunkId> {
        let begin = (position % UNIT_BYTES as u64) as usize;
        let mut capacity = piece_bytes(begin + bytes);
        let spare = self.spare_blocks(write);
        let at = loop {
            match self.take(memory, capacity, spare) {
                Some(at) => break at,
                None if capacity > UNIT_BYTES => capacity /= 2,
                None => return None,
            }
        };
        let chunk = Chunk::new(write.file, position, (at, capacity), write.now_ms);
        let Some(id) = self.enter(memory, write, chunk) else {
            self.space.give(at, capacity);
            return None;
        };
        let files = self.logs.entry(write.file.log).or_default();
        match files.iter_mut().find(|it| it.file == write.file) {
            Some(known) => known.chunks.push_back(id),
            None => {
                files.push(FileChunks { file: write.file, chunks: VecDeque::from([id]) });
            }
        }
        Some(id)
    }

    /// Describes a chunk in memory and gives it a name. `None` when it cannot be described.
    fn enter(
        &mut self,
        memory: &mut impl ArenaMemory,
        write: &ArenaWrite<'_>,
        chunk: Chunk,
    ) -> Option<ChunkId> {
        let path = (write.path_of)(write.file).ok()?;
        let descriptor = Descriptor { position: chunk.position, path: &path.path }.encode()?;
        if !memory.describe(chunk.at / UNIT_BYTES, &descriptor) {
            return None;
        }
        let id = ChunkId(self.next_chunk);
        self.next_chunk = self.next_chunk.wrapping_add(1);
        self.chunks.insert(id, chunk);
        Some(id)
    }

    /// Moves the last chunk of a file into a larger piece. Whoever looks at the old one still may.
    fn grow(
        &mut self,
        memory: &mut impl ArenaMemory,
        write: &ArenaWrite<'_>,
        id: ChunkId,
        wanted: usize,
    ) -> Option<ChunkId> {
        let old = self.chunks.get(&id).filter(|old| old.capacity < BLOCK_BYTES)?;
        let bytes = (old.end + wanted).max(old.capacity * GROWTH_FACTOR);
        let capacity = piece_bytes(bytes);
        let at = self.take(memory, capacity, self.spare_blocks(write))?;
        let old = self.chunks.get(&id)?;
        let (begin, end, from) = (old.begin, old.end, old.at);
        let mut chunk = Chunk::new(write.file, old.begin_position(), (at, capacity), old.since_ms);
        (chunk.end, chunk.flushed, chunk.submitted) = (old.end, old.flushed, old.flushed);
        memory.copy(from + begin, at + begin, end - begin);
        let Some(grown) = self.enter(memory, write, chunk) else {
            self.space.give(at, capacity);
            return None;
        };
        self.publish(memory, grown);
        if let Some(chunk) = self.chunks.get(&grown).filter(|it| it.is_dirty()) {
            self.dirty.push_back((chunk.since_ms, grown));
        }
        let files = self.logs.get_mut(&write.file.log).into_iter().flatten();
        for known in files.filter(|it| it.file == write.file) {
            known.chunks.retain(|it| *it != id);
            known.chunks.push_back(grown);
        }
        self.let_go(memory, id);
        Some(grown)
    }

    /// Puts as many bytes as fit behind the others.
    fn fill(
        &mut self,
        memory: &mut impl ArenaMemory,
        id: ChunkId,
        bytes: &[u8],
        now_ms: u64,
        out: &mut Vec<Flush>,
    ) -> usize {
        let Some(chunk) = self.chunks.get_mut(&id) else { return 0 };
        let fitting = bytes.get(..chunk.room()).unwrap_or(bytes);
        memory.store(chunk.at + chunk.end, fitting);
        if !chunk.is_dirty() {
            chunk.since_ms = now_ms;
            self.dirty.push_back((now_ms, id));
        }
        chunk.end += fitting.len();
        let (is_full, log) = (chunk.end == BLOCK_BYTES, chunk.file.log);
        self.publish(memory, id);
        if is_full {
            self.giving_way.on_large(log, now_ms);
            self.seal(id, out);
        }
        fitting.len()
    }

    /// Tells who finds the memory what the file of a chunk does not have yet.
    fn publish(&self, memory: &mut impl ArenaMemory, id: ChunkId) {
        let Some(chunk) = self.chunks.get(&id) else { return };
        let owed = if chunk.is_dropped {
            Extent::default()
        } else {
            Extent { begin: chunk.flushed as u32, end: chunk.end as u32 }
        };
        memory.publish(chunk.at / UNIT_BYTES, owed);
    }

    /// A piece of memory: free, new from the system, or of the oldest that nobody needs. So many blocks
    /// stay to be had.
    fn take(&mut self, memory: &mut impl ArenaMemory, bytes: usize, spare: usize) -> Option<usize> {
        loop {
            if (spare == 0 || self.space.blocks_to_be_had() > spare)
                && let Some(at) = self.space.take(bytes)
            {
                return Some(at);
            }
            match self.space.next_ungranted() {
                Some(block) if memory.grant(block) => self.space.grant(block),
                _ if self.evict(memory) => {}
                _ => {
                    self.is_short = true;
                    return None;
                }
            }
        }
    }

    /// How many blocks a write has to leave to smaller ones.
    fn spare_blocks(&self, write: &ArenaWrite<'_>) -> usize {
        let is_large = write.bytes.len() >= LARGE_BYTES;
        if is_large { self.space.blocks_max() / SPARE_FRACTION } else { 0 }
    }

    /// The last chunk of a file.
    fn last_chunk(&self, file: FileId) -> Option<(ChunkId, &Chunk)> {
        let id = *self.chunks_of(file)?.back()?;
        Some((id, self.chunks.get(&id)?))
    }

    fn chunks_of(&self, file: FileId) -> Option<&VecDeque<ChunkId>> {
        let files = self.logs.get(&file.log)?;
        files.iter().find(|it| it.file == file).map(|it| &it.chunks)
    }
}

fn chunk_has_room(chunks: &IdMap<ChunkId, Chunk>, id: ChunkId) -> bool {
    chunks.get(&id).is_some_and(|chunk| chunk.room() > 0)
}
