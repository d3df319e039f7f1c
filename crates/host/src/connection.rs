//! One connection's task: bytes in, frames to the broker, answers out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use strom_broker::effect::ConnectionId;
use tokio::sync::Notify;
use tokio_util::io::poll_read_buf;

use crate::budget::Held;
use crate::closing::Ending;
use crate::receive::{Front, SHARED_READ_BYTES, UNPROVEN_BYTES_MAX, capacity_for, next_frame};
use crate::send::{Piece, pieces_of, send_all};
use crate::shard::SharedShard;
use crate::stream::Stream;

/// Requests of one connection that may wait for their answers; then its socket is not read.
const OUTSTANDING_MAX: usize = 128;

/// Answers that wait to be sent; then no further requests are taken up.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Pieces of answers that are gathered before they are sent.
const PIECES_MAX: usize = 64;
/// What is read at once while the budget of unfinished requests is used up.
const SCARCE_READ_BYTES: usize = 4 * 1024;

type Ended = Result<(), Ending>;

/// Limits that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveLimits {
    /// `socket.request.max.bytes`
    pub(crate) request_bytes_max: usize,
}

/// A connection that has just been accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) address: SocketAddr,
    /// Index into the node's listeners.
    pub(crate) listener: usize,
}

/// The unfinished request of a connection, if any.
#[derive(Debug, Default)]
struct Partial {
    buffer: Option<BytesMut>,
    /// Length of the request with its prefix, once known.
    whole: Option<usize>,
    /// Whole requests may stand in the buffer that had to wait.
    is_held_back: bool,
    /// Requests were taken since the budget was last told.
    is_new: bool,
    /// The budget knows of this connection.
    is_counted: bool,
}

struct Task {
    shard: SharedShard,
    stream: Stream,
    id: ConnectionId,
    limits: ReceiveLimits,
    partial: Partial,
}

/// Serves a connection to its end.
pub(crate) async fn serve(shard: SharedShard, accepted: Accepted, limits: ReceiveLimits) {
    let Accepted { stream, address, listener } = accepted;
    let (id, wake) = shard.borrow_mut().open_connection(address.ip().to_string(), listener);
    let mut task = Task { shard, stream, id, limits, partial: Partial::default() };
    let ending = task.run(&wake).await.err().unwrap_or(Ending::ByPeer);
    let mut shard = task.shard.borrow_mut();
    shard.say_ending(&address.to_string(), &ending);
    if let Some(buffer) = task.partial.buffer.take() {
        shard.pool.give(buffer);
    }
    shard.close_connection(id);
    shard.admission.release(address.ip(), listener);
    shard.room().notify_waiters();
}

impl Task {
    async fn run(&mut self, wake: &Rc<Notify>) -> Ended {
        let mut pieces = Vec::new();
        loop {
            self.collect(&mut pieces)?;
            if !pieces.is_empty() {
                self.send(&mut pieces, wake).await?;
                continue;
            }
            if let Some(ending) = self.shard.borrow().closing(self.id) {
                return Err(ending.clone());
            }
            if self.is_held_back() || self.is_paused() {
                wake.notified().await;
                continue;
            }
            if self.partial.is_held_back {
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

    /// Sends all pieces, unless the connection is cut off meanwhile.
    async fn send(&self, pieces: &mut Vec<Piece>, wake: &Rc<Notify>) -> Ended {
        let sending = send_all(&self.stream, pieces);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return sent.map_err(|error| ending_of(&error)),
                () = wake.notified() => {
                    if let Some(ending) = self.shard.borrow().cut_off(self.id) {
                        return Err(ending.clone());
                    }
                }
            }
        }
    }

    /// Whether the budget of unfinished requests is used up and others go first.
    fn is_paused(&self) -> bool {
        if self.partial.buffer.is_none() || self.partial.is_held_back {
            return false;
        }
        let mut shard = self.shard.borrow_mut();
        let is_paused = !shard.budget.may_go_on(self.id);
        if is_paused {
            shard.budget.pause(self.id);
        }
        is_paused
    }

    /// Tells the budget what this connection holds.
    fn count_held(&mut self) {
        let partial = &mut self.partial;
        let begun = self.stream.begun_bytes();
        let (bytes, received) =
            partial.buffer.as_ref().map_or((0, 0), |buffer| (buffer.capacity(), buffer.len()));
        let held = (partial.buffer.is_some() || begun > 0).then(|| Held {
            bytes: bytes + begun,
            received: received + begun,
            is_awaited: !partial.is_held_back,
            is_new: std::mem::take(&mut partial.is_new),
        });
        if held.is_some() || partial.is_counted {
            partial.is_counted = held.is_some();
            self.shard.borrow_mut().hold_request(self.id, held);
        }
    }

    fn is_held_back(&self) -> bool {
        let shard = self.shard.borrow();
        shard.broker.outstanding(self.id) >= OUTSTANDING_MAX
            || shard.outbox_bytes(self.id) >= OUTBOX_BYTES_MAX
    }

    /// Moves what is ready to go out into `pieces`.
    fn collect(&self, pieces: &mut Vec<Piece>) -> Ended {
        let mut shard = self.shard.borrow_mut();
        while pieces.len() < PIECES_MAX
            && let Some(response) = shard.next_response(self.id)
        {
            pieces_of(response, &shard.engine, pieces)
                .map_err(|error| Ending::Notable(error.to_string()))?;
        }
        Ok(())
    }

    /// Reads once and hands every whole request to the broker. False at the end of the stream.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Ending>> {
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
                let is_scarce = shard.budget.is_used_up();
                let most = if is_scarce { SCARCE_READ_BYTES } else { SHARED_READ_BYTES };
                let mut target = (&mut shard.shared_read).limit(most);
                poll_read_buf(Pin::new(&mut self.stream), context, &mut target)
            }
        };
        match read {
            Poll::Pending => {
                if self.stream.begun_bytes() > 0 {
                    self.count_held();
                }
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(false)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(ending_of(&error))),
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
        self.count_held();
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
        self.count_held();
        result
    }

    /// Hands whole requests to the broker until the bytes or the allowance run out.
    fn take_frames(&mut self, buffer: &mut BytesMut) -> Ended {
        self.partial.whole = None;
        self.partial.is_held_back = false;
        while !self.is_held_back() {
            match next_frame(buffer, self.limits.request_bytes_max) {
                Front::Frame(frame) => {
                    self.partial.is_new = true;
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
                        let served = shard.broker.would_serve(start);
                        served.map_err(|reason| Ending::Notable(reason.to_string()))?;
                    }
                    return Ok(());
                }
                Front::Impossible(reason) => return Err(Ending::Notable(reason)),
            }
        }
        self.partial.is_held_back = true;
        Ok(())
    }
}

/// What a failure of the socket means.
pub(crate) fn ending_of(error: &io::Error) -> Ending {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut => {
            Ending::ByPeer
        }
        _ => Ending::Notable(error.to_string()),
    }
}
