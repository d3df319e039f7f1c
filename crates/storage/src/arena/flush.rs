//! From the arena to the files: when chunks are written out, and what follows.

use super::chunk::{Chunk, ChunkId};
use super::{Arena, ArenaMemory, BLOCK_BYTES, FLUSH_AGE_MS};
use crate::disk::FileId;
use strom_base::{Planted, planted};

/// What is due so soon is written out together with what is due.
const TOGETHER_MS: u64 = 500;
/// With so many flushes under way room is coming: nothing is written out for more of it.
const FLUSHES_ENOUGH: usize = 4;

/// Bytes of the arena to be written into a file, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    pub chunk: ChunkId,
    pub file: FileId,
    /// In the file; modulo [`super::UNIT_BYTES`] the same as `at`.
    pub position: u64,
    /// In the arena.
    pub at: usize,
    pub length: usize,
}

impl Arena {
    /// Asks for everything of a file to be written out, as a sync needs it.
    pub fn flush(&mut self, file: FileId, out: &mut Vec<Flush>) {
        let chunks = self.chunks_of(file).cloned().unwrap_or_default();
        chunks.into_iter().for_each(|id| self.submit(id, out));
    }

    /// Nothing is owed to any file.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.chunks.values().all(|chunk| !chunk.is_dirty())
    }

    /// A flush failed that has not succeeded since: the arena takes nothing.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        !self.failing.is_empty()
    }

    /// A flush has come to its end. What failed is kept and tried again.
    pub fn on_flushed(
        &mut self,
        memory: &mut impl ArenaMemory,
        flush: &Flush,
        is_done: bool,
        now_ms: u64,
    ) {
        let id = flush.chunk;
        let Some(chunk) = self.chunks.get_mut(&id) else { return };
        chunk.flushes = chunk.flushes.saturating_sub(1);
        self.flushing = self.flushing.saturating_sub(1);
        if chunk.is_dropped {
            return self.let_go(memory, id);
        }
        let begin = flush.at - chunk.at;
        if !is_done && !planted(Planted::FailedFlushForgotten) {
            chunk.submitted = chunk.flushed;
            chunk.ahead.clear();
            chunk.since_ms = now_ms;
            self.failing.insert(id);
            self.dirty.push_back((now_ms, id));
            return;
        }
        let flushed = chunk.flushed;
        chunk.on_written(begin, begin + flush.length);
        if chunk.flushed > flushed {
            self.failing.remove(&id);
        }
        let is_clean = chunk.flushed == chunk.end;
        let is_kept = chunk.end == BLOCK_BYTES;
        if is_clean {
            chunk.since_ms = now_ms;
        }
        let is_kept = is_kept || !chunk.is_sealed;
        self.publish(memory, id);
        match (is_clean, is_kept) {
            (true, true) => self.clean.push_back((now_ms, id)),
            (true, false) => self.remove(memory, id),
            (false, _) => {}
        }
    }

    /// Monotonic milliseconds: when something is old enough to be written out, or let go.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let oldest = self.dirty.front().into_iter().chain(self.clean.front());
        let watched = (self.space.free_blocks() > 0).then_some(self.watched_since_ms);
        let since_ms = oldest.map(|(since_ms, _)| *since_ms).chain(watched).min();
        since_ms.map(|since_ms| since_ms + FLUSH_AGE_MS)
    }

    /// Writes out what has waited long enough, and gives memory back to the system.
    pub fn on_deadline(
        &mut self,
        memory: &mut impl ArenaMemory,
        now_ms: u64,
        out: &mut Vec<Flush>,
    ) {
        // Those that are due soon go along: many quiet files are no reason to wake for each.
        let oldest_ms = now_ms + TOGETHER_MS;
        let is_due = |(since_ms, _): &mut (u64, ChunkId)| *since_ms + FLUSH_AGE_MS <= oldest_ms;
        while let Some((since_ms, id)) = self.dirty.pop_front_if(is_due) {
            let chunk = self.chunks.get(&id);
            if chunk.is_some_and(|it| it.since_ms == since_ms && it.is_dirty()) {
                self.seal(id, out);
            }
        }
        while let Some((_, id)) = self.clean.pop_front_if(is_due) {
            match self.chunks.get(&id).filter(|chunk| !chunk.is_dirty()) {
                Some(chunk) if chunk.is_unused() => self.remove(memory, id),
                Some(_) => self.clean.push_back((now_ms, id)),
                None => {}
            }
        }
        self.reclaim(memory);
        self.give_back(memory, now_ms);
    }

    /// The system gets back what nobody has wanted for a while: taking memory and giving it back may each
    /// wait for the disk, so what falls free under load stays for those who come next.
    fn give_back(&mut self, memory: &mut impl ArenaMemory, now_ms: u64) {
        if now_ms < self.watched_since_ms + FLUSH_AGE_MS {
            return;
        }
        let mut count = self.space.take_unneeded();
        self.watched_since_ms = now_ms;
        while count > 0
            && let Some(block) = self.space.take_free_block()
        {
            memory.release(block);
            count -= 1;
        }
    }

    /// Nothing more is appended to the chunk, and what it holds is written out.
    pub(super) fn seal(&mut self, id: ChunkId, out: &mut Vec<Flush>) {
        let Some(chunk) = self.chunks.get_mut(&id) else { return };
        let was_sealed = std::mem::replace(&mut chunk.is_sealed, true);
        if chunk.end == chunk.begin && !was_sealed {
            self.clean.push_back((chunk.since_ms, id));
        }
        self.submit(id, out);
    }

    pub(super) fn submit(&mut self, id: ChunkId, out: &mut Vec<Flush>) {
        let Some(chunk) = self.chunks.get_mut(&id) else { return };
        if chunk.submitted >= chunk.end || chunk.is_dropped {
            return;
        }
        out.push(Flush {
            chunk: id,
            file: chunk.file,
            position: chunk.position + chunk.submitted as u64,
            at: chunk.at + chunk.submitted,
            length: chunk.end - chunk.submitted,
        });
        chunk.submitted = chunk.end;
        chunk.flushing_to = chunk.flushing_to.max(chunk.end);
        chunk.flushes += 1;
        self.flushing += 1;
    }

    /// The shell was held up when it wrote into a file itself: the disk is slow.
    pub fn on_held_up(&mut self, now_ms: u64) {
        self.giving_way.on_held_up(now_ms);
    }

    /// As [`Arena::seal`], because others want the room.
    fn press_out(&mut self, id: ChunkId, now_ms: u64, out: &mut Vec<Flush>) {
        let owes = |chunk: &&Chunk| !chunk.is_dropped && chunk.submitted < chunk.end;
        if let Some(chunk) = self.chunks.get(&id).filter(owes) {
            let share_bytes = self.space.blocks_max() * BLOCK_BYTES / self.logs.len().max(1);
            let (log, bytes) = (chunk.file.log, chunk.end - chunk.submitted);
            self.giving_way.on_pressed_out(log, bytes, share_bytes, now_ms);
        }
        self.seal(id, out);
    }

    /// Memory is short: the oldest are written out, about a block of them.
    pub(super) fn relieve(&mut self, now_ms: u64, out: &mut Vec<Flush>) {
        let mut bytes = 0;
        while bytes < BLOCK_BYTES
            && self.flushing < FLUSHES_ENOUGH
            && let Some((_, id)) = self.dirty.pop_front()
        {
            bytes += self.chunks.get(&id).map_or(0, |chunk| chunk.end - chunk.submitted);
            self.press_out(id, now_ms, out);
        }
    }
}
