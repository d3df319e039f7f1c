//! Walking a segment's batches by their headers, wherever the bytes come from.

use crate::disk::DiskError;
use crate::entry::{BatchEntry, PARSE_LENGTH};
use crate::log::ReadError;

/// One read covers this much: several small batches, or one header.
const CHUNK_LENGTH: usize = 4096;

/// A segment's records file, read somewhere.
pub(crate) trait RecordsSource {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;
    /// The segment's base offset, for errors.
    fn segment(&self) -> i64;
}

/// Reads headers from `position` to `end`, exclusive.
pub(crate) struct HeaderScan<'a> {
    source: &'a dyn RecordsSource,
    position: u64,
    end: u64,
    chunk: [u8; CHUNK_LENGTH],
    chunk_position: u64,
    chunk_length: usize,
}

/// A batch and where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) entry: BatchEntry,
}

impl<'a> HeaderScan<'a> {
    pub(crate) fn new(source: &'a dyn RecordsSource, position: u64, end: u64) -> Self {
        let chunk = [0; CHUNK_LENGTH];
        Self { source, position, end, chunk, chunk_position: 0, chunk_length: 0 }
    }

    /// The next whole batch; `None` at the end. An unreadable header or a batch that runs past the
    /// end is `Corrupt`.
    pub(crate) fn next(&mut self) -> Result<Option<Located>, ReadError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let corrupt =
            ReadError::Corrupt { segment: self.source.segment(), position: self.position };
        let left = self.end - self.position;
        let wanted = left.min(PARSE_LENGTH as u64) as usize;
        let Some(bytes) = self.bytes(wanted)? else { return Err(corrupt) };
        let entry = BatchEntry::parse(bytes).map_err(|_| corrupt.clone())?;
        if entry.size as u64 > left {
            return Err(corrupt);
        }
        let located = Located { position: self.position, entry };
        self.position += entry.size as u64;
        Ok(Some(located))
    }

    fn bytes(&mut self, wanted: usize) -> Result<Option<&[u8]>, ReadError> {
        let offset = self.position.checked_sub(self.chunk_position);
        let held = offset.is_some_and(|at| at + wanted as u64 <= self.chunk_length as u64);
        if !held {
            let length = (self.end - self.position).min(CHUNK_LENGTH as u64) as usize;
            let buffer = self.chunk.get_mut(..length).unwrap_or_default();
            self.chunk_length = self.source.read_at(self.position, buffer)?;
            self.chunk_position = self.position;
        }
        let start = (self.position - self.chunk_position) as usize;
        Ok(self.chunk.get(start..self.chunk_length).filter(|bytes| bytes.len() >= wanted))
    }
}

/// Exactly one batch's bytes.
pub(crate) fn read_batch(
    source: &dyn RecordsSource,
    located: &Located,
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; located.entry.size];
    let read = source.read_at(located.position, &mut bytes)?;
    if read < bytes.len() {
        let (segment, position) = (source.segment(), located.position);
        return Err(ReadError::Corrupt { segment, position });
    }
    Ok(bytes)
}
