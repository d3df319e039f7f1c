//! Where the bytes of a file are to be read.

use super::chunk::Lease;
use super::{Arena, Chunk};
use crate::disk::FileId;

/// The first part of a range: where it is, and how long it goes on there.
#[derive(Debug)]
pub enum Place {
    /// `at` in the arena, where it stays while the lease is held.
    Arena {
        at: usize,
        length: usize,
        lease: Lease,
    },
    File {
        length: usize,
    },
}

impl Arena {
    /// Where `length` bytes at `position` of a file begin. The arena's are the file's even where
    /// the file has them, too.
    #[must_use]
    pub fn place_of(&self, file: FileId, position: u64, length: usize) -> Place {
        let Some(chunks) = self.chunks_of(file) else { return Place::File { length } };
        let chunk = |index: usize| -> Option<&Chunk> { self.chunks.get(chunks.get(index)?) };
        // Readers are at the tail, as a rule: the search begins there.
        let mut next = None;
        for index in (0..chunks.len()).rev() {
            let Some(chunk) = chunk(index) else { continue };
            if chunk.begin_position() <= position {
                if position < chunk.end_position() {
                    let from = (position - chunk.position) as usize;
                    let length = length.min(chunk.end - from);
                    return Place::Arena { at: chunk.at + from, length, lease: chunk.lend() };
                }
                break;
            }
            next = Some(chunk.begin_position());
        }
        let until_next = next.map_or(u64::MAX, |next| next - position);
        Place::File { length: length.min(usize::try_from(until_next).unwrap_or(usize::MAX)) }
    }

    /// The last position of a file that a flush under way may write to; 0 for none.
    #[must_use]
    pub fn flushing_end(&self, file: FileId) -> u64 {
        let known = self.chunks_of(file).into_iter().flatten().chain(&self.dropped);
        let flushing = known
            .filter_map(|id| self.chunks.get(id))
            .filter(|chunk| chunk.file == file && chunk.flushes > 0);
        flushing.map(|chunk| chunk.position + chunk.flushing_to as u64).max().unwrap_or(0)
    }

    /// Whether anything of the file is in the arena, be it owed or not.
    #[must_use]
    pub fn holds(&self, file: FileId) -> bool {
        self.chunks_of(file).is_some()
    }
}
