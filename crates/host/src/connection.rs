//! One connection's task: bytes in, frames to the broker, answers out.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use strom_broker::effect::ConnectionId;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::io::poll_read_buf;

use crate::receive::{Front, SHARED_READ_BYTES, UNPROVEN_BYTES_MAX, capacity_for, next_frame};
use crate::send::{pieces_of, send_all};
use crate::shard::SharedShard;

/// Requests of one connection that may wait for their answers; then its socket is not read.
const OUTSTANDING_MAX: usize = 128;

/// Why a connection ended, if not by the peer's closing it.
type Ended = Result<(), String>;

/// Limits that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveLimits {
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
}

/// The unfinished request of a connection, if any.
#[derive(Debug, Default)]
struct Partial {
    buffer: Option<BytesMut>,
    /// Length of the request with its prefix, once known.
    whole: Option<usize>,
}

struct Task {
    shard: SharedShard,
    stream: TcpStream,
    id: ConnectionId,
    limits: ReceiveLimits,
    partial: Partial,
}

/// Serves a connection to its end.
pub async fn serve(shard: SharedShard, stream: TcpStream, listener: usize, limits: ReceiveLimits) {
    let host =
        stream.peer_addr().map_or_else(|_| String::new(), |address| address.ip().to_string());
    let (id, wake) = shard.borrow_mut().open_connection(host, listener);
    let mut task = Task { shard, stream, id, limits, partial: Partial::default() };
    if let Err(reason) = task.run(&wake).await {
        tracing::info!(connection = id.0, reason, "connection closed");
    }
    if let Some(buffer) = task.partial.buffer.take() {
        task.shard.borrow_mut().pool.give(buffer);
    }
    task.shard.borrow_mut().close_connection(id);
}

impl Task {
    async fn run(&mut self, wake: &Rc<Notify>) -> Ended {
        let mut pieces = Vec::new();
        loop {
            self.collect(&mut pieces)?;
            if !pieces.is_empty() {
                send_all(&self.stream, &mut pieces).await.map_err(|error| error.to_string())?;
                continue;
            }
            if let Some(reason) = self.shard.borrow().closing(self.id) {
                return Err(reason.to_owned());
            }
            if self.is_held_back() {
                wake.notified().await;
                // Requests that had arrived behind the limit are taken up again.
                self.take_frames_of_partial()?;
                continue;
            }
            tokio::select! {
                biased;
                received = std::future::poll_fn(|context| self.poll_receive(context)) => {
                    if !received? {
                        return Ok(());
                    }
                }
                () = wake.notified() => {}
            }
        }
    }

    fn is_held_back(&self) -> bool {
        self.shard.borrow().broker.outstanding(self.id) >= OUTSTANDING_MAX
    }

    /// Moves what is ready to go out into `pieces`.
    fn collect(&self, pieces: &mut Vec<crate::send::Piece>) -> Ended {
        let mut shard = self.shard.borrow_mut();
        while let Some(response) = shard.next_response(self.id) {
            pieces_of(response, &shard.engine, pieces).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Reads once and hands every whole request to the broker. False at the end of the stream.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, String>> {
        let read = match &mut self.partial.buffer {
            Some(buffer) => {
                if buffer.len() == buffer.capacity() {
                    let whole = self.partial.whole.unwrap_or(UNPROVEN_BYTES_MAX);
                    let target = capacity_for(buffer.len(), whole.max(buffer.len() + 1));
                    buffer.reserve(target - buffer.len());
                }
                poll_read_buf(Pin::new(&mut self.stream), context, buffer)
            }
            None => {
                let mut shard = self.shard.borrow_mut();
                shard.shared_read.reserve(SHARED_READ_BYTES);
                poll_read_buf(Pin::new(&mut self.stream), context, &mut shard.shared_read)
            }
        };
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(false)),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                Poll::Ready(Ok(false))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.to_string())),
            Poll::Ready(Ok(_)) => {
                let taken = self.take_received();
                self.shard.borrow_mut().mark_active(self.id);
                Poll::Ready(taken.map(|()| true))
            }
        }
    }

    fn take_received(&mut self) -> Ended {
        if self.partial.buffer.is_some() {
            return self.take_frames_of_partial();
        }
        let mut shared = std::mem::take(&mut self.shard.borrow_mut().shared_read);
        let result = self.take_frames(&mut shared);
        if result.is_ok() && !shared.is_empty() {
            let whole = self.partial.whole.unwrap_or(UNPROVEN_BYTES_MAX);
            let capacity = capacity_for(shared.len(), whole.max(shared.len()));
            let mut buffer = self.shard.borrow_mut().pool.take(capacity);
            buffer.extend_from_slice(&shared);
            self.partial.buffer = Some(buffer);
        }
        shared.clear();
        self.shard.borrow_mut().shared_read = shared;
        result
    }

    fn take_frames_of_partial(&mut self) -> Ended {
        let Some(mut buffer) = self.partial.buffer.take() else { return Ok(()) };
        let result = self.take_frames(&mut buffer);
        if buffer.is_empty() {
            self.shard.borrow_mut().pool.give(buffer);
        } else {
            self.partial.buffer = Some(buffer);
        }
        result
    }

    /// Hands whole requests to the broker until the bytes or the allowance run out.
    fn take_frames(&mut self, buffer: &mut BytesMut) -> Ended {
        self.partial.whole = None;
        while !self.is_held_back() {
            match next_frame(buffer, self.limits.request_bytes_max) {
                Front::Frame(frame) => {
                    let mut shard = self.shard.borrow_mut();
                    shard.on_frame(self.id, frame);
                    if shard.closing(self.id).is_some() {
                        buffer.clear();
                        return Ok(());
                    }
                }
                Front::Incomplete { whole } => {
                    self.partial.whole = whole;
                    if buffer.len() >= UNPROVEN_BYTES_MAX / 2 {
                        let shard = self.shard.borrow();
                        let start = buffer.get(4..).unwrap_or_default();
                        shard.broker.would_serve(start).map_err(|reason| reason.to_string())?;
                    }
                    return Ok(());
                }
                Front::Impossible(reason) => return Err(reason),
            }
        }
        Ok(())
    }
}
