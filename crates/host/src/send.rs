//! Answers out of the socket: byte parts gathered into vectored writes, file ranges by sendfile.

mod pieces;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::cold_reads::ColdReads;
use crate::file_disk::read_fully;
use crate::stream::Stream;
use crate::tls::TlsStream;

pub(crate) use pieces::{Piece, Resolved, pieces_of};

/// What one call moves at most: between two of them others have their turn.
const SEND_BYTES_MAX: usize = 256 * 1024;
/// Small answers are gathered in one piece up to this size.
const GATHERED_BYTES_MAX: usize = 64 * 1024;
const SLICES_MAX: usize = 16;
/// Ranges that are asked for behind one that is awaited.
const AHEAD: usize = 2;

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
        matches!(self.pieces.front(), Some(Piece::File(_) | Piece::Arena { .. }))
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
        let sent = match stream {
            Stream::Plain(socket) => self.send_plain(socket, cold, spent),
            Stream::Tls(tls) => self.seal(tls, cold, spent),
        };
        if let (Err(_), Some(Piece::File(piece))) = (&sent, self.pieces.front_mut()) {
            // What is in memory now may be gone when the peer reads on.
            piece.present = piece.position;
        }
        sent
    }

    fn send_plain(
        &mut self,
        stream: &TcpStream,
        cold: &ColdReads,
        spent: &mut Vec<Vec<u8>>,
    ) -> io::Result<Sent> {
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
        let (is_present, end) = (cold.is_present(range)?, piece.position + range.length as u64);
        if is_present {
            piece.present = end;
        } else {
            self.read_ahead(cold);
        }
        Ok(is_present)
    }

    /// While the front is awaited the disk reads what comes behind it.
    fn read_ahead(&self, cold: &ColdReads) {
        let files = self.pieces.iter().filter_map(|piece| match piece {
            Piece::File(piece) => Some(piece),
            _ => None,
        });
        let ranges = files.flat_map(|piece| {
            let first = piece.next(0);
            [first, piece.next(first.length)]
        });
        for range in ranges.filter(|range| range.length > 0).skip(1).take(AHEAD) {
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
                Piece::Arena { start, end, .. } => (start, *end),
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
