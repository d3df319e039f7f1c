//! What the arena holds no longer: cut off, of files that are gone, or not needed any more.

use super::chunk::ChunkId;
use super::{Arena, ArenaMemory, Flush};
use crate::disk::{FileId, LogId};

impl Arena {
    /// The file ends at `position`. A flush under way may still write behind it: the file is to be
    /// truncated after that ([`Arena::flushing_end`]).
    pub fn cut(&mut self, memory: &mut impl ArenaMemory, file: FileId, position: u64) {
        let chunks = self.chunks_of(file).cloned().unwrap_or_default();
        for id in chunks.into_iter().rev() {
            let Some(chunk) = self.chunks.get_mut(&id) else { continue };
            if chunk.end_position() <= position {
                break;
            }
            if chunk.begin_position() >= position {
                self.remove(memory, id);
                continue;
            }
            // What stands before the cut stays, and what comes behind it gets a chunk of its own.
            chunk.end = (position - chunk.position) as usize;
            chunk.flushed = chunk.flushed.min(chunk.end);
            chunk.submitted = chunk.submitted.min(chunk.end);
            chunk.is_sealed = true;
            let is_clean = !chunk.is_dirty();
            self.publish(memory, id);
            if is_clean {
                self.remove(memory, id);
            }
        }
    }

    /// The file gets another name: all of it is written out, and nothing is kept.
    pub fn close(&mut self, file: FileId, out: &mut Vec<Flush>) {
        let chunks = self.chunks_of(file).cloned().unwrap_or_default();
        chunks.into_iter().for_each(|id| self.seal(id, out));
    }

    /// The file is removed.
    pub fn remove_file(&mut self, memory: &mut impl ArenaMemory, file: FileId) {
        let chunks = self.chunks_of(file).cloned().unwrap_or_default();
        chunks.into_iter().for_each(|id| self.remove(memory, id));
    }

    /// Nothing of the log is read or written any more.
    pub fn forget(&mut self, memory: &mut impl ArenaMemory, log: LogId) {
        let files = self.logs.get(&log).into_iter().flatten();
        let chunks: Vec<ChunkId> = files.flat_map(|it| it.chunks.iter().copied()).collect();
        chunks.into_iter().for_each(|id| self.remove(memory, id));
        self.logs.remove(&log);
        self.giving_way.forget(log);
    }

    /// Takes a chunk out of its file.
    pub(super) fn remove(&mut self, memory: &mut impl ArenaMemory, id: ChunkId) {
        let Some(chunk) = self.chunks.get(&id) else { return };
        let file = chunk.file;
        if let Some(files) = self.logs.get_mut(&file.log) {
            for known in files.iter_mut().filter(|it| it.file == file) {
                known.chunks.retain(|it| *it != id);
            }
            files.retain(|it| !it.chunks.is_empty());
            if files.is_empty() {
                self.logs.remove(&file.log);
            }
        }
        self.let_go(memory, id);
    }

    /// Frees the memory of a chunk that is in no file any more, at once or when nobody looks.
    pub(super) fn let_go(&mut self, memory: &mut impl ArenaMemory, id: ChunkId) {
        let Some(chunk) = self.chunks.get_mut(&id) else { return };
        if !chunk.is_dropped {
            chunk.is_dropped = true;
            self.failing.remove(&id);
            self.publish(memory, id);
        }
        let Some(chunk) = self.chunks.get(&id) else { return };
        if !chunk.is_unused() {
            if !self.dropped.contains(&id) {
                self.dropped.push(id);
            }
            return;
        }
        self.space.give(chunk.at, chunk.capacity);
        self.chunks.remove(&id);
        self.dropped.retain(|it| *it != id);
    }

    /// Frees what somebody looked at when it was dropped.
    pub(super) fn reclaim(&mut self, memory: &mut impl ArenaMemory) -> bool {
        let unused = |id: &ChunkId| self.chunks.get(id).is_none_or(|chunk| chunk.is_unused());
        let free: Vec<ChunkId> = self.dropped.iter().copied().filter(unused).collect();
        free.iter().for_each(|id| self.let_go(memory, *id));
        !free.is_empty()
    }

    /// Frees what is needed least: dropped chunks, else the oldest that its file has whole.
    pub(super) fn evict(&mut self, memory: &mut impl ArenaMemory) -> bool {
        if self.reclaim(memory) {
            return true;
        }
        for _ in 0..self.clean.len() {
            let Some((since_ms, id)) = self.clean.pop_front() else { break };
            match self.chunks.get(&id).filter(|chunk| !chunk.is_dirty()) {
                Some(chunk) if chunk.is_unused() => {
                    self.remove(memory, id);
                    return true;
                }
                Some(_) => self.clean.push_back((since_ms, id)),
                None => {}
            }
        }
        false
    }
}
