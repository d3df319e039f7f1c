//! From an answer to what can be sent: its bytes, with parts of the arena and of files between them.
//!
//! Two steps, which may be done on two threads: where a part lies is asked of the disk engine
//! ([`Located`]); whether it is copied or sent from there is the connection's ([`Piece`]).

use std::fs::File;
use std::sync::Arc;

use strom_broker::effect::{FileRange as Gap, Response};
use strom_storage::arena::Lease;
use strom_storage::disk::{DiskError, FileId};

use super::Outgoing;
use crate::cold_reads::{RANGE_BYTES_MAX, REST_BYTES_MAX, ReadRange, read_now};
use crate::engine::{DiskEngine, Mapping, Source};
use crate::file_disk::disk_error;
use strom_intake::peers::Answer;

/// Below this a copy beats a sendfile call of its own, as measured on loopback.
const COPY_BYTES_MAX: usize = 32 * 1024;

/// One piece of what goes out, in order.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes {
        bytes: Vec<u8>,
        start: usize,
    },
    File(FilePiece),
    /// Bytes of an arena, which stay there as long as they are held.
    Arena {
        mapping: Arc<Mapping>,
        start: usize,
        end: usize,
        _lease: Lease,
    },
}

/// What is left of a range of a file.
#[derive(Debug)]
pub(crate) struct FilePiece {
    id: FileId,
    pub(super) file: Arc<File>,
    pub(super) position: u64,
    pub(super) length: usize,
    /// Up to here it is known to be in the page cache.
    pub(super) present: u64,
}

impl FilePiece {
    /// What is looked for at once, `skip` bytes on.
    pub(super) fn next(&self, skip: usize) -> ReadRange<'_> {
        let left = self.length.saturating_sub(skip);
        // A little rest goes along: it is not worth a read of its own.
        let length = if left < RANGE_BYTES_MAX + REST_BYTES_MAX { left } else { RANGE_BYTES_MAX };
        let position = self.position + skip as u64;
        ReadRange { id: self.id, file: &self.file, position, length }
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.position += bytes as u64;
        self.length -= bytes.min(self.length);
    }
}

impl Piece {
    /// What is left of a piece that is in memory.
    pub(super) fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Piece::Bytes { bytes, start } => bytes.get(*start..),
            Piece::Arena { mapping, start, end, .. } => Some(mapping.bytes(*start, end - start)),
            Piece::File(_) => None,
        }
    }
}

/// A part of an answer that lies elsewhere.
#[derive(Debug)]
pub(crate) struct Located {
    /// Where in the answer's bytes it is put in.
    at: usize,
    file: FileId,
    position: u64,
    source: Source,
}

/// Finds the parts of an answer, in their order.
struct Locations<'a> {
    engine: &'a DiskEngine,
    ranges: std::slice::Iter<'a, Gap>,
    /// What is left of the range that was begun.
    rest: Option<Gap>,
}

impl<'a> Locations<'a> {
    fn of(response: &'a Response, engine: &'a DiskEngine) -> Self {
        Self { engine, ranges: response.ranges.iter(), rest: None }
    }
}

impl Iterator for Locations<'_> {
    type Item = Result<Located, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = match self.rest.take() {
            Some(rest) => rest,
            None => *self.ranges.find(|range| range.length > 0)?,
        };
        let Gap { at, file, position, length } = range;
        let source = match self.engine.source(file, position, length as usize) {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let found = source.length();
        if found < length as usize {
            let (position, length) = (position + found as u64, length - found as u32);
            self.rest = Some(Gap { at, file, position, length });
        }
        Some(Ok(Located { at, file, position, source }))
    }
}

/// An answer whose parts have been found: it can be sent on any thread.
#[derive(Debug)]
pub(crate) struct Resolved {
    bytes: Vec<u8>,
    parts: Vec<Located>,
}

impl Answer for Resolved {
    fn own_bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl Resolved {
    /// Takes the bytes out of `response`.
    ///
    /// # Errors
    /// When a range cannot be opened: the answer was announced longer than it can be made.
    pub(crate) fn of(response: &mut Response, engine: &DiskEngine) -> Result<Self, DiskError> {
        let parts = Locations::of(response, engine).collect::<Result<_, _>>()?;
        Ok(Self { bytes: std::mem::take(&mut response.bytes), parts })
    }

    /// How many parts of it lie elsewhere.
    #[must_use]
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// As [`pieces_of`]: the memory that is not needed is given back, and left in `spare`.
    ///
    /// # Errors
    /// When a part cannot be read.
    pub(crate) fn into_pieces(
        self,
        outgoing: &mut Outgoing,
        spare: &mut Vec<u8>,
    ) -> Result<Vec<u8>, DiskError> {
        if self.parts.is_empty() {
            return Ok(outgoing.push_bytes(self.bytes));
        }
        let Self { bytes, parts } = self;
        let lengths = parts.iter().map(|part| part.source.length());
        spare.reserve(bytes.len() + copied_length(lengths));
        assemble(&bytes, parts.into_iter().map(Ok), outgoing, spare)?;
        Ok(bytes)
    }
}

/// Resolves an answer's file ranges into pieces while the shard is at hand. What of the answer is not
/// needed any more is left in it, for the next one; `spare` is an empty buffer, or none.
///
/// # Errors
/// When a range cannot be opened or read: the answer was announced longer than it can be made.
pub(crate) fn pieces_of(
    response: &mut Response,
    engine: &DiskEngine,
    outgoing: &mut Outgoing,
    spare: &mut Vec<u8>,
) -> Result<(), DiskError> {
    if response.ranges.is_empty() {
        response.bytes = outgoing.push_bytes(std::mem::take(&mut response.bytes));
        return Ok(());
    }
    let lengths = response.ranges.iter().map(|range| range.length as usize);
    spare.reserve(response.bytes.len() + copied_length(lengths));
    assemble(&response.bytes, Locations::of(response, engine), outgoing, spare)
}

/// Bytes of parts that will be copied.
fn copied_length(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.filter(|length| *length <= COPY_BYTES_MAX).sum()
}

fn assemble(
    bytes: &[u8],
    parts: impl Iterator<Item = Result<Located, DiskError>>,
    outgoing: &mut Outgoing,
    spare: &mut Vec<u8>,
) -> Result<(), DiskError> {
    let mut copied = std::mem::take(spare);
    let mut taken = 0;
    for part in parts {
        let Located { at, file, position, source } = part?;
        copied.extend_from_slice(bytes.get(taken..at).unwrap_or_default());
        taken = at;
        if let Some(piece) = piece_of(source, file, position, &mut copied)? {
            if !copied.is_empty() {
                outgoing.push_bytes(std::mem::take(&mut copied));
            }
            outgoing.pieces.push_back(piece);
        }
    }
    copied.extend_from_slice(bytes.get(taken..).unwrap_or_default());
    *spare = outgoing.push_bytes(copied);
    Ok(())
}

/// A piece for what is better not copied; `None` when it was.
fn piece_of(
    source: Source,
    id: FileId,
    position: u64,
    copied: &mut Vec<u8>,
) -> Result<Option<Piece>, DiskError> {
    match source {
        Source::Arena { mapping, at, length, lease } => {
            if length > COPY_BYTES_MAX {
                return Ok(Some(Piece::Arena {
                    mapping,
                    start: at,
                    end: at + length,
                    _lease: lease,
                }));
            }
            copied.extend_from_slice(mapping.bytes(at, length));
        }
        Source::File { file, length } => {
            if length > COPY_BYTES_MAX || !copy(&file, position, length, copied)? {
                let present = position;
                let piece = FilePiece { id, file, position, length, present };
                return Ok(Some(Piece::File(piece)));
            }
        }
    }
    Ok(None)
}

/// Adds what is in memory of a file; false when not all of it is.
fn copy(
    file: &File,
    position: u64,
    length: usize,
    copied: &mut Vec<u8>,
) -> Result<bool, DiskError> {
    let start = copied.len();
    copied.resize(start + length, 0);
    let target = copied.get_mut(start..).unwrap_or_default();
    let read = read_now(file, position, target);
    match read.map_err(|error| disk_error("read a segment", &error))? {
        Some(count) if count == length => return Ok(true),
        Some(_) => return Err(DiskError::Io("a segment is shorter than its index says".into())),
        None => copied.truncate(start),
    }
    Ok(false)
}
