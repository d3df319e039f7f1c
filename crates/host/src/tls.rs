//! TLS connections: a socket and the session above it.
//!
//! The handshake is done on a thread of its own ([`handshakes`]), so that signing, which takes a
//! millisecond with RSA, holds up nobody who is connected. Afterwards the connection's bytes are read
//! through buffers that all connections of the thread share; an idle one holds rustls' state alone.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

mod configurations;
mod handshakes;
mod session;

pub(crate) use configurations::TlsListeners;
pub(crate) use handshakes::{Handshakes, Outcome, Shaken, Wanted};

use session::{RECORD_BYTES_MAX, Session};

/// What is read at once.
const READ_BYTES: usize = 256 * 1024;
/// What is encrypted at once: four records.
const SEAL_BYTES: usize = 64 * 1024;
/// Reads of one turn that may bring nothing to take, such as parts of one record.
const EMPTY_READS_MAX: usize = 16;

/// Buffers of all TLS connections of a thread, empty between turns.
#[derive(Debug)]
pub(crate) struct TlsBuffers {
    incoming: Vec<u8>,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

pub(crate) type SharedBuffers = Rc<RefCell<TlsBuffers>>;

impl TlsBuffers {
    /// For a node with a TLS listener; they take their memory from the first connection on.
    pub(crate) fn shared() -> SharedBuffers {
        Rc::new(RefCell::new(Self { incoming: Vec::new(), plain: Vec::new(), sealed: Vec::new() }))
    }

    fn reserve(&mut self) {
        self.incoming.resize(READ_BYTES + RECORD_BYTES_MAX, 0);
        self.plain.resize(SEAL_BYTES, 0);
        self.sealed.resize(Session::sealed_bytes(SEAL_BYTES), 0);
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct TlsStream {
    socket: TcpStream,
    /// Borrowed within a call, never across a wait.
    session: RefCell<Session>,
    buffers: SharedBuffers,
}

impl TlsStream {
    /// # Errors
    /// When the socket cannot be waited for on this thread.
    pub(crate) fn new(shaken: Shaken, buffers: SharedBuffers) -> io::Result<Self> {
        let socket = TcpStream::from_std(shaken.socket)?;
        buffers.borrow_mut().reserve();
        Ok(Self { socket, session: RefCell::new(shaken.session), buffers })
    }

    /// What the connection holds of a record that has not arrived whole.
    pub(crate) fn begun_bytes(&self) -> usize {
        self.session.borrow().begun_bytes()
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether sealed bytes wait for the socket to take them.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.session.borrow().outgoing().is_empty()
    }

    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(context)
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// `WouldBlock` where the peer's window is full; else the connection is gone.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        while !session.outgoing().is_empty() {
            let count = self.socket.try_write(session.outgoing())?;
            session.sent(count);
        }
        Ok(())
    }

    /// Encrypts and sends what `fill` puts into the buffer; how many bytes of it that is. What the
    /// socket does not take waits for [`Self::flush`], which is to be called before.
    ///
    /// # Errors
    /// Those of `fill`, and when the connection is gone.
    pub(crate) fn send(
        &self,
        fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut buffers = self.buffers.borrow_mut();
        let TlsBuffers { plain, sealed, .. } = &mut *buffers;
        let length = fill(plain)?;
        if length == 0 {
            return Ok(0);
        }
        let mut session = self.session.borrow_mut();
        let sealed_length = session
            .seal(plain.get(..length).unwrap_or_default(), sealed)
            .map_err(io::Error::other)?;
        let sealed = sealed.get(..sealed_length).unwrap_or_default();
        let sent = match self.socket.try_write(sealed) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        session.keep_outgoing(sealed.get(sent..).unwrap_or_default());
        Ok(length)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let session = this.session.get_mut();
        session.take_plain(&mut |plain| put(target, plain));
        if !target.filled().is_empty() || session.is_closed_by_peer() {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..EMPTY_READS_MAX {
            let mut buffers = this.buffers.borrow_mut();
            let begun = session.begun().len();
            let most = target.remaining().clamp(RECORD_BYTES_MAX, READ_BYTES);
            let Some(room) = buffers.incoming.get_mut(begun..begun + most) else {
                return Poll::Ready(Err(io::Error::other("a record larger than TLS allows")));
            };
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut this.socket).poll_read(context, &mut room))?;
            let whole = begun + room.filled().len();
            if whole == begun {
                return Poll::Ready(Ok(()));
            }
            if let Some(start) = buffers.incoming.get_mut(..begun) {
                start.copy_from_slice(session.begun());
            }
            let received = buffers.incoming.get_mut(..whole).unwrap_or_default();
            let result = session.receive(received, &mut |plain| put(target, plain));
            let waiting = session.outgoing();
            if !waiting.is_empty()
                && let Ok(count) = this.socket.try_write(waiting)
            {
                session.sent(count);
            }
            result.map_err(io::Error::other)?;
            if !target.filled().is_empty() || session.is_closed_by_peer() {
                return Poll::Ready(Ok(()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn put(target: &mut ReadBuf<'_>, plain: &[u8]) -> usize {
    let count = plain.len().min(target.remaining());
    target.put_slice(plain.get(..count).unwrap_or_default());
    count
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        let session = self.session.get_mut();
        if session.outgoing().is_empty() {
            session.close();
            // The socket is closed in any case.
            let _ = self.socket.try_write(session.outgoing());
        }
    }
}
