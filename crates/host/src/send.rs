//! Answers out of the socket: byte parts gathered into vectored writes, file ranges by sendfile.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use strom_broker::effect::Response;
use strom_storage::disk::DiskError;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::engine::BufferedEngine;
use crate::file_disk::{disk_error, read_fully};
use crate::stream::Stream;

/// Below this a copy beats a sendfile call of its own, as measured on loopback.
const COPY_BYTES_MAX: usize = 32 * 1024;
const SLICES_MAX: usize = 64;

/// One piece of what goes out, in order.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes { bytes: Vec<u8>, start: usize, end: usize },
    File { file: Arc<File>, position: u64, length: usize },
}

/// Resolves an answer's file ranges into pieces while the shard is at hand.
///
/// # Errors
/// When a range cannot be opened or read: the answer was announced longer than it can be made.
pub(crate) fn pieces_of(
    response: Response,
    engine: &BufferedEngine,
    pieces: &mut Vec<Piece>,
) -> Result<(), DiskError> {
    let Response { bytes, ranges } = response;
    if ranges.is_empty() {
        let end = bytes.len();
        pieces.push(Piece::Bytes { bytes, start: 0, end });
        return Ok(());
    }
    let mut copied = Vec::with_capacity(bytes.len());
    let mut taken = 0;
    for range in ranges {
        copied.extend_from_slice(bytes.get(taken..range.at).unwrap_or_default());
        taken = range.at;
        let file = engine.opened(range.file)?;
        let length = range.length as usize;
        if length <= COPY_BYTES_MAX {
            let start = copied.len();
            copied.resize(start + length, 0);
            let target = copied.get_mut(start..).unwrap_or_default();
            let read = read_fully(&file, range.position, target)
                .map_err(|error| disk_error("read a segment", &error))?;
            if read < length {
                return Err(DiskError::Io("a segment is shorter than its index says".into()));
            }
        } else {
            let end = copied.len();
            pieces.push(Piece::Bytes { bytes: std::mem::take(&mut copied), start: 0, end });
            pieces.push(Piece::File { file, position: range.position, length });
        }
    }
    copied.extend_from_slice(bytes.get(taken..).unwrap_or_default());
    let end = copied.len();
    pieces.push(Piece::Bytes { bytes: copied, start: 0, end });
    Ok(())
}

/// Writes all pieces, waiting for the peer where its window is full.
///
/// # Errors
/// When the connection is gone or a file ends early.
pub(crate) async fn send_all(stream: &Stream, pieces: &mut Vec<Piece>) -> io::Result<()> {
    let stream = match stream {
        Stream::Plain(stream) => stream,
        Stream::Tls(tls) => return tls.send_all(pieces).await,
    };
    let mut sent = 0;
    while let Some(piece) = pieces.get_mut(sent) {
        let result = match piece {
            Piece::Bytes { .. } => write_bytes(stream, pieces.get_mut(sent..).unwrap_or_default()),
            Piece::File { file, position, length } => send_file(stream, file, position, length),
        };
        match result {
            Ok(finished) => sent += finished,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    pieces.clear();
    Ok(())
}

/// One vectored write of the byte pieces at the front; how many of them it finished.
fn write_bytes(stream: &TcpStream, pieces: &mut [Piece]) -> io::Result<usize> {
    let slices: Vec<IoSlice<'_>> = pieces
        .iter()
        .map_while(|piece| match piece {
            Piece::Bytes { bytes, start, end } => bytes.get(*start..*end),
            Piece::File { .. } => None,
        })
        .take(SLICES_MAX)
        .map(IoSlice::new)
        .collect();
    let mut written = match slices.as_slice() {
        // The plain call is the cheaper one, and most answers are alone.
        [alone] => stream.try_write(alone)?,
        several => stream.try_write_vectored(several)?,
    };
    let mut finished = 0;
    for piece in pieces {
        let Piece::Bytes { start, end, .. } = piece else { break };
        let part = written.min(*end - *start);
        *start += part;
        written -= part;
        if start < end {
            break;
        }
        finished += 1;
    }
    Ok(finished)
}

/// One sendfile call; 1 when the range is out, else 0.
fn send_file(
    stream: &TcpStream,
    file: &File,
    position: &mut u64,
    length: &mut usize,
) -> io::Result<usize> {
    let sent = stream.try_io(Interest::WRITABLE, || {
        rustix::fs::sendfile(stream, file, Some(position), *length).map_err(io::Error::from)
    })?;
    if sent == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a segment ended early"));
    }
    *length -= sent.min(*length);
    Ok(usize::from(*length == 0))
}
