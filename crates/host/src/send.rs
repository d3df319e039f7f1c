//! Answers out of the socket: byte parts gathered into vectored writes, file ranges by sendfile.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use strom_broker::effect::Response;
use strom_storage::arena::Lease;
use strom_storage::disk::{DiskError, FileId};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::cold_reads::{Chunk, ColdReads, FileRange, Presence, RANGE_BYTES_MAX, read_now};
use crate::engine::{DiskEngine, Mapping, Source};
use crate::file_disk::{disk_error, read_fully};
use crate::stream::Stream;
use crate::tls::TlsStream;

/// Below this a copy beats a sendfile call of its own, as measured on loopback.
const COPY_BYTES_MAX: usize = 32 * 1024;
/// What one call moves at most: between two of them others have their turn.
const SEND_BYTES_MAX: usize = 256 * 1024;
/// Small answers are gathered in one piece up to this size.
const GATHERED_BYTES_MAX: usize = 64 * 1024;
const SLICES_MAX: usize = 16;
/// Ranges that the disk reads while another is sent.
const AHEAD: usize = 2;

/// One piece of what goes out, in order.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes {
        bytes: Vec<u8>,
        start: usize,
    },
    File(FilePiece),
    /// Bytes that were read past the page cache.
    Held {
        chunk: Arc<Chunk>,
        start: usize,
        end: usize,
    },
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
    file: Arc<File>,
    position: u64,
    length: usize,
    is_direct: bool,
    /// Up to here it is known to be in the page cache.
    present: u64,
}

impl FilePiece {
    /// What is looked for at once, `skip` bytes on.
    fn next(&self, skip: usize) -> FileRange<'_> {
        let length = self.length.saturating_sub(skip).min(RANGE_BYTES_MAX);
        let position = self.position + skip as u64;
        FileRange { id: self.id, file: &self.file, position, length, is_direct: self.is_direct }
    }

    fn advance(&mut self, bytes: usize) {
        self.position += bytes as u64;
        self.length -= bytes.min(self.length);
    }
}

impl Piece {
    /// What is left of a piece that is in memory.
    fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Piece::Bytes { bytes, start } => bytes.get(*start..),
            Piece::Arena { mapping, start, end, .. } => Some(mapping.bytes(*start, end - start)),
            Piece::Held { chunk, start, end } => chunk.bytes().get(*start..*end),
            Piece::File(_) => None,
        }
    }
}

/// What one call has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Bytes(usize),
    /// What comes next has to be brought into memory first.
    Nothing,
}

/// What a connection is sending.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
}

impl Outgoing {
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many pieces there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether what comes next is counted as bulk: others may go before it.
    #[must_use]
    pub(crate) fn is_bulk(&self) -> bool {
        matches!(
            self.pieces.front(),
            Some(Piece::File(_) | Piece::Arena { .. } | Piece::Held { .. })
        )
    }

    /// Bytes behind what is there already. Gives back the buffer that is not needed.
    fn push_bytes(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        match self.pieces.back_mut() {
            Some(Piece::Bytes { bytes: gathered, .. })
                if gathered.len() + bytes.len() <= GATHERED_BYTES_MAX =>
            {
                gathered.extend_from_slice(&bytes);
                bytes
            }
            _ => {
                self.pieces.push_back(Piece::Bytes { bytes, start: 0 });
                Vec::new()
            }
        }
    }

    /// One system call: what it moved. Buffers that are out are put into `spent`.
    ///
    /// # Errors
    /// `WouldBlock` when the peer's window is full; else the connection is gone, or a file ends early.
    pub(crate) fn send(
        &mut self,
        stream: &Stream,
        cold: &ColdReads,
        spent: &mut Vec<Vec<u8>>,
    ) -> io::Result<Sent> {
        let stream = match stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => return self.seal(tls, cold, spent),
        };
        if !self.find_front(cold)? {
            return Ok(Sent::Nothing);
        }
        if let Some(Piece::File(piece)) = self.pieces.front_mut() {
            let most = piece.length.min((piece.present - piece.position) as usize);
            let sent = send_file(stream, &piece.file, piece.position, most)?;
            piece.advance(sent);
            if piece.length == 0 {
                self.pieces.pop_front();
            }
            return Ok(Sent::Bytes(sent));
        }
        let sent = write_bytes(stream, &self.pieces)?;
        self.advance(sent, spent);
        Ok(Sent::Bytes(sent))
    }

    /// Whether the front is in memory; if not, it is asked for.
    fn find_front(&mut self, cold: &ColdReads) -> io::Result<bool> {
        let Some(Piece::File(piece)) = self.pieces.front_mut() else { return Ok(true) };
        if piece.position < piece.present {
            return Ok(true);
        }
        let range = piece.next(0);
        let (chunk, end) = match cold.present(range)? {
            Presence::Cached(count) => {
                piece.present = piece.position + count as u64;
                return Ok(true);
            }
            Presence::Held(chunk) => (chunk, range.length),
            Presence::Awaited => return Ok(false),
        };
        piece.advance(end);
        let is_sent = piece.length == 0;
        self.read_ahead(cold);
        if is_sent {
            self.pieces.pop_front();
        }
        self.pieces.push_front(Piece::Held { chunk, start: 0, end });
        Ok(true)
    }

    /// While one range is sent the disk reads the next.
    fn read_ahead(&self, cold: &ColdReads) {
        let files = self.pieces.iter().filter_map(|piece| match piece {
            Piece::File(piece) if piece.length > 0 => Some(piece),
            _ => None,
        });
        let ranges = files.flat_map(|piece| [piece.next(0), piece.next(RANGE_BYTES_MAX)]);
        for range in ranges.filter(|range| range.length > 0).take(AHEAD) {
            cold.read_ahead(range);
        }
    }

    /// Through TLS everything is copied and encrypted, some records at a time.
    fn seal(
        &mut self,
        tls: &TlsStream,
        cold: &ColdReads,
        spent: &mut Vec<Vec<u8>>,
    ) -> io::Result<Sent> {
        tls.flush()?;
        let sent = tls.send(|target| self.fill(target, cold, spent))?;
        Ok(if sent == 0 && !self.is_empty() { Sent::Nothing } else { Sent::Bytes(sent) })
    }

    /// Copies the front of the pieces; how many bytes that is, 0 when they are not in memory.
    fn fill(
        &mut self,
        target: &mut [u8],
        cold: &ColdReads,
        spent: &mut Vec<Vec<u8>>,
    ) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(piece) = self.pieces.front_mut() {
            let room = target.get_mut(filled..).unwrap_or_default();
            if room.is_empty() {
                break;
            }
            if let Some(bytes) = piece.in_memory() {
                let count = bytes.len().min(room.len());
                if let (Some(from), Some(to)) = (bytes.get(..count), room.get_mut(..count)) {
                    to.copy_from_slice(from);
                }
                self.advance(count, spent);
                filled += count;
                continue;
            }
            if !self.find_front(cold)? {
                break;
            }
            let Some(Piece::File(piece)) = self.pieces.front_mut() else { continue };
            let cached = piece.length.min((piece.present - piece.position) as usize);
            let count = cached.min(room.len());
            let target = room.get_mut(..count).unwrap_or_default();
            if read_fully(&piece.file, piece.position, target)? < count {
                return Err(ended_early());
            }
            piece.advance(count);
            if piece.length == 0 {
                self.pieces.pop_front();
            }
            filled += count;
        }
        Ok(filled)
    }

    fn advance(&mut self, mut sent: usize, spent: &mut Vec<Vec<u8>>) {
        while let Some(piece) = self.pieces.front_mut() {
            let (start, end) = match piece {
                Piece::Bytes { bytes, start } => (start, bytes.len()),
                Piece::Arena { start, end, .. } | Piece::Held { start, end, .. } => (start, *end),
                Piece::File(_) => break,
            };
            let part = sent.min(end - *start);
            *start += part;
            sent -= part;
            if *start < end {
                break;
            }
            if let Some(Piece::Bytes { bytes, .. }) = self.pieces.pop_front() {
                spent.push(bytes);
            }
        }
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
    let mut copied = std::mem::take(spare);
    copied.reserve(copied_length(response));
    let mut taken = 0;
    for range in &response.ranges {
        copied.extend_from_slice(response.bytes.get(taken..range.at).unwrap_or_default());
        taken = range.at;
        let (mut position, mut left) = (range.position, range.length as usize);
        while left > 0 {
            let source = engine.source(range.file, position, left)?;
            let length = source.length();
            if let Some(piece) = piece_of(source, range.file, position, &mut copied)? {
                outgoing.push_bytes(std::mem::take(&mut copied));
                outgoing.pieces.push_back(piece);
            }
            position += length as u64;
            left -= length;
        }
    }
    copied.extend_from_slice(response.bytes.get(taken..).unwrap_or_default());
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
        Source::File { file, length, is_direct } => {
            if length > COPY_BYTES_MAX || !copy(&file, position, length, copied)? {
                let present = position;
                let piece = FilePiece { id, file, position, length, is_direct, present };
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

/// Bytes of an answer that are not sent from files.
fn copied_length(response: &Response) -> usize {
    let small = response.ranges.iter().map(|range| range.length as usize);
    response.bytes.len() + small.filter(|length| *length <= COPY_BYTES_MAX).sum::<usize>()
}

/// One vectored write of the pieces at the front that are in memory, no more than a share of them.
fn write_bytes(stream: &TcpStream, pieces: &VecDeque<Piece>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let (mut count, mut left) = (0, SEND_BYTES_MAX);
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        let Some(bytes) = piece.in_memory().filter(|_| left > 0) else { break };
        let bytes = bytes.get(..left).unwrap_or(bytes);
        *slice = IoSlice::new(bytes);
        left -= bytes.len();
        count += 1;
    }
    match slices.get(..count).unwrap_or_default() {
        // The plain call is the cheaper one, and most answers are alone.
        [alone] => stream.try_write(alone),
        several => stream.try_write_vectored(several),
    }
}

/// One sendfile call: how much of the range it moved.
fn send_file(stream: &TcpStream, file: &File, position: u64, length: usize) -> io::Result<usize> {
    let (mut position, most) = (position, length.min(SEND_BYTES_MAX));
    let sent = stream.try_io(Interest::WRITABLE, || {
        rustix::fs::sendfile(stream, file, Some(&mut position), most).map_err(io::Error::from)
    })?;
    if sent == 0 {
        return Err(ended_early());
    }
    Ok(sent)
}

fn ended_early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a segment ended early")
}
