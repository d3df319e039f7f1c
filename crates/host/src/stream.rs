//! The stream of one connection: a plain socket, or TLS above one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{Shaken, SharedBuffers, TlsStream};

/// A connection on its way to the thread that will serve it.
#[derive(Debug)]
pub(crate) enum Incoming {
    Plain(std::net::TcpStream),
    Tls(Box<Shaken>),
}

impl Incoming {
    /// # Errors
    /// When the socket cannot be waited for on this thread.
    pub(crate) fn into_stream(self, buffers: &SharedBuffers) -> io::Result<Stream> {
        match self {
            Self::Plain(socket) => TcpStream::from_std(socket).map(Stream::Plain),
            Self::Tls(shaken) => {
                let tls = TlsStream::new(*shaken, Rc::clone(buffers))?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// What it holds of bytes that are not whole enough to be handed out.
    pub(crate) fn begun_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.begun_bytes(),
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(socket) => socket.as_fd(),
            Self::Tls(tls) => tls.socket(),
        }
    }

    /// Whether bytes that count as sent wait for the socket to take them.
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.has_unsent(),
        }
    }

    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_write_ready(context),
            Self::Tls(tls) => tls.poll_write_ready(context),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, target),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(context, target),
        }
    }
}
