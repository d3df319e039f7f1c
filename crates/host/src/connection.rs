//! One connection's task: bytes in, frames to the broker, answers out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use strom_broker::effect::ConnectionId;
use strom_broker::{EndpointType, is_produce, would_serve};
use tokio_util::io::poll_read_buf;

use crate::budget::Held;
use crate::closing::Ending;
use crate::low_water::LowWater;
use crate::receive::{
    Front, SHARED_READ_BYTES, UNPROVEN_BYTES_MAX, capacity_for, capacity_for_rest, is_whole,
    next_frame,
};
use crate::send::{Outgoing, Sent};
use crate::serves::{Closed, Next, Serves, Shared};
use crate::stream::Stream;
use crate::turns::{Line, REQUEST_CHARGE, SHARE_BYTES, Share};

/// What is read at once while the budget of unfinished requests is used up.
const SCARCE_READ_BYTES: usize = 4 * 1024;
/// Produces from this size on wait while the disk does not take what they bring.
const BULK_REQUEST_BYTES: usize = 16 * 1024;
/// What is read at once where a large request is likely to begin: that part of it is copied.
const LARGE_BEGINNING_BYTES: usize = 16 * 1024;

type Ended = Result<(), Ending>;

/// Limits that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveLimits {
    /// `socket.request.max.bytes`
    pub(crate) request_bytes_max: usize,
}

/// A connection that has been opened and is to be served.
#[derive(Debug)]
pub(crate) struct Accepted<S> {
    pub(crate) id: ConnectionId,
    pub(crate) stream: S,
    pub(crate) address: SocketAddr,
    /// Index into the node's listeners.
    pub(crate) listener: usize,
    /// Whom that is for.
    pub(crate) endpoint: EndpointType,
}

/// The unfinished request of a connection, if any.
#[derive(Debug, Default)]
struct Partial {
    buffer: Option<BytesMut>,
    /// What the buffer takes, with the place of requests that were cut off its front.
    allocated: usize,
    /// Length of the request with its prefix, once known.
    whole: Option<usize>,
    /// Bytes that stood here when the requests before it were cut off, they and it; 0 when it is the
    /// first. So much the peer sends at a time.
    streamed: usize,
    /// Whole requests may stand in the buffer that had to wait.
    is_held_back: bool,
    /// Requests were taken since the budget was last told.
    is_new: bool,
    /// The budget knows of this connection.
    is_counted: bool,
    /// The last request was larger than one read.
    was_large: bool,
}

struct Task<S> {
    shared: Shared<S>,
    stream: Stream,
    id: ConnectionId,
    endpoint: EndpointType,
    limits: ReceiveLimits,
    partial: Partial,
    outgoing: Outgoing,
    /// The socket took nothing at last.
    is_stuck: bool,
    /// Buffers that are out, to be given back.
    spent: Vec<Vec<u8>>,
    share: Share,
    low_water: LowWater,
    /// Its large request waits for the disk.
    is_held_up: bool,
}

/// Serves a connection to its end.
pub(crate) async fn serve<S: Serves>(
    shared: Shared<S>,
    accepted: Accepted<Stream>,
    limits: ReceiveLimits,
) {
    let Accepted { id, stream, address, listener, endpoint } = accepted;
    let mut task = Task {
        shared: Rc::clone(&shared),
        stream,
        id,
        endpoint,
        limits,
        partial: Partial::default(),
        outgoing: Outgoing::default(),
        is_stuck: false,
        spent: Vec::new(),
        share: Share::default(),
        low_water: LowWater::default(),
        is_held_up: false,
    };
    let ending = std::future::poll_fn(|context| task.poll_serve(context)).await;
    let mut serves = shared.borrow_mut();
    serves.lane_mut().say_ending(&address.to_string(), &ending);
    if let Some(buffer) = task.partial.buffer.take() {
        serves.lane_mut().pool.give(buffer, task.partial.allocated);
    }
    serves.on_closed(Closed { id, address, listener });
}

impl<S: Serves> Task<S> {
    fn poll_serve(&mut self, context: &mut Context<'_>) -> Poll<Ending> {
        loop {
            match self.poll_step(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(ending)) => return Poll::Ready(ending),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// One write, or one read with all that follows from it. Pending: something will wake the task.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let next = {
            let mut serves = self.shared.borrow_mut();
            let collected = serves.collect(self.id, &mut self.outgoing);
            collected.map_err(|error| Ending::Notable(error.to_string()))?;
            serves.next_of(self.id, context.waker())
        };
        if let Next::CutOff(ending) = next {
            return Poll::Ready(Err(ending));
        }
        if !self.outgoing.is_empty() || self.stream.has_unsent() {
            return self.poll_send(context, &next);
        }
        match next {
            Next::CutOff(ending) | Next::End(ending) => return Poll::Ready(Err(ending)),
            Next::Wait | Next::WaitInLine => return Poll::Pending,
            Next::Receive => {}
        }
        if self.lets_others_go_first() || self.waits_for_disk() || self.is_paused() {
            return Poll::Pending;
        }
        if self.partial.is_held_back {
            return Poll::Ready(self.take_frames_of_partial());
        }
        self.poll_receive(context)
    }

    /// Sends a piece. What is small goes out even when the connection's share is used up.
    fn poll_send(&mut self, context: &mut Context<'_>, next: &Next) -> Poll<Ended> {
        if self.outgoing.is_bulk()
            && (matches!(next, Next::WaitInLine) || self.lets_others_go_first())
        {
            return Poll::Pending;
        }
        let sent = {
            let serves = self.shared.borrow();
            self.outgoing.send(&self.stream, serves.cold(), &mut self.spent)
        };
        match sent {
            Ok(Sent::Nothing) => {
                self.shared.borrow_mut().lane_mut().await_bytes(self.id);
                Poll::Pending
            }
            Ok(Sent::Bytes(sent)) => {
                self.mark_stuck(false);
                let mut serves = self.shared.borrow_mut();
                serves.lane().turns.charge(&mut self.share, sent);
                serves.recycle(&mut self.spent);
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.mark_stuck(true);
                let writable = self.stream.poll_write_ready(context);
                writable.map_err(|error| ending_of(&error))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(ending_of(&error))),
        }
    }

    /// Notes since when the peer takes nothing: who never does is idle, too.
    fn mark_stuck(&mut self, is_stuck: bool) {
        if std::mem::replace(&mut self.is_stuck, is_stuck) != is_stuck {
            self.shared.borrow_mut().lane_mut().mark_stuck(self.id, is_stuck);
        }
    }

    /// Whether the connection has taken its share: then it waits in line from now on.
    fn lets_others_go_first(&mut self) -> bool {
        let mut serves = self.shared.borrow_mut();
        let lane = serves.lane_mut();
        let is_used_up = lane.turns.is_used_up(&self.share);
        if is_used_up {
            self.share = Share::default();
            lane.get_in_line(self.id, Line::Share, false);
        }
        is_used_up
    }

    /// Whether a large produce is at the front and has to wait in line for the disk.
    fn waits_for_disk(&mut self) -> bool {
        let is_bulk = self.partial.buffer.as_deref().is_some_and(is_bulk_produce);
        if !is_bulk && !self.is_held_up {
            return false;
        }
        let mut serves = self.shared.borrow_mut();
        let waits = is_bulk && !serves.may_take_bulk();
        let had_turn = std::mem::replace(&mut self.is_held_up, waits);
        let lane = serves.lane_mut();
        if waits != had_turn {
            lane.hold_up(self.id, waits);
        }
        if waits {
            lane.get_in_line(self.id, Line::Bulk, had_turn);
        }
        waits
    }

    /// Whether the budget of unfinished requests is used up and others go first.
    fn is_paused(&self) -> bool {
        if self.partial.buffer.is_none() || self.partial.is_held_back {
            return false;
        }
        let mut serves = self.shared.borrow_mut();
        let budget = &mut serves.lane_mut().budget;
        let is_paused = !budget.may_go_on(self.id);
        if is_paused {
            budget.pause(self.id);
        }
        is_paused
    }

    /// Tells the budget what this connection holds.
    fn count_held(&mut self) {
        let partial = &mut self.partial;
        let begun = self.stream.begun_bytes();
        let (bytes, received) =
            partial.buffer.as_ref().map_or((0, 0), |buffer| (partial.allocated, buffer.len()));
        let held = (partial.buffer.is_some() || begun > 0).then(|| Held {
            bytes: bytes + begun,
            received: received + begun,
            is_awaited: !partial.is_held_back,
            is_new: std::mem::take(&mut partial.is_new),
        });
        if held.is_some() || partial.is_counted {
            partial.is_counted = held.is_some();
            self.shared.borrow_mut().lane_mut().hold_request(self.id, held);
        }
    }

    /// Reads once and hands every whole request to the broker.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let partial = &mut self.partial;
        let allocated_before = partial.allocated;
        let read = match &mut partial.buffer {
            Some(buffer) => {
                if let Some(needed) = capacity_for_rest(buffer, partial.whole, partial.streamed) {
                    let mut serves = self.shared.borrow_mut();
                    let pool = &mut serves.lane_mut().pool;
                    partial.allocated = pool.enlarge(buffer, partial.allocated, needed);
                }
                let mut target = buffer.limit(SHARE_BYTES);
                poll_read_buf(Pin::new(&mut self.stream), context, &mut target)
            }
            None => {
                let mut serves = self.shared.borrow_mut();
                let lane = serves.lane_mut();
                lane.shared_read.make_room();
                let most = match lane.budget.is_used_up() {
                    true => SCARCE_READ_BYTES,
                    false if self.partial.was_large => LARGE_BEGINNING_BYTES,
                    false => SHARED_READ_BYTES,
                };
                let mut target = (&mut lane.shared_read.buffer).limit(most);
                poll_read_buf(Pin::new(&mut self.stream), context, &mut target)
            }
        };
        match read {
            Poll::Pending => {
                if self.stream.begun_bytes() > 0 || self.partial.allocated != allocated_before {
                    self.count_held();
                }
                match self.low_water.arrange(self.rest_bytes(), self.stream.socket()) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(ending_of(&error))),
                }
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Ending::ByPeer)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(ending_of(&error))),
            Poll::Ready(Ok(received)) => {
                self.shared.borrow().lane().turns.charge(&mut self.share, received);
                let taken = self.take_received();
                self.low_water.on_read(received, self.rest_bytes());
                Poll::Ready(taken)
            }
        }
    }

    /// No fewer bytes are still to come of the request that has begun. TLS makes more of them, not fewer.
    fn rest_bytes(&self) -> Option<usize> {
        let arrived = self.partial.buffer.as_ref()?.len() + self.stream.begun_bytes();
        self.partial.whole?.checked_sub(arrived)
    }

    fn take_received(&mut self) -> Ended {
        if self.partial.buffer.is_some() {
            return self.take_frames_of_partial();
        }
        let mut read = {
            let mut serves = self.shared.borrow_mut();
            std::mem::take(&mut serves.lane_mut().shared_read.buffer)
        };
        self.partial.streamed = 0;
        let result = self.take_frames(&mut read);
        let mut serves = self.shared.borrow_mut();
        if result.is_ok() && !read.is_empty() {
            let capacity = capacity_for(read.len(), self.partial.whole, self.partial.streamed);
            let mut buffer = serves.lane_mut().pool.take(capacity);
            buffer.extend_from_slice(&read);
            self.partial.allocated = buffer.capacity();
            self.partial.buffer = Some(buffer);
        }
        read.clear();
        serves.lane_mut().shared_read.buffer = read;
        drop(serves);
        self.count_held();
        result
    }

    fn take_frames_of_partial(&mut self) -> Ended {
        let Some(mut buffer) = self.partial.buffer.take() else {
            self.partial.is_held_back = false;
            return Ok(());
        };
        let result = self.take_frames(&mut buffer);
        let partial = &mut self.partial;
        let mut serves = self.shared.borrow_mut();
        let pool = &mut serves.lane_mut().pool;
        if buffer.is_empty() {
            pool.give(buffer, partial.allocated);
        } else {
            if !partial.is_held_back {
                let justified = capacity_for(buffer.len(), partial.whole, partial.streamed);
                partial.allocated = pool.shrink(&mut buffer, partial.allocated, justified);
            }
            partial.buffer = Some(buffer);
        }
        drop(serves);
        self.count_held();
        result
    }

    /// Hands whole requests to the broker until the bytes or the allowance run out.
    fn take_frames(&mut self, buffer: &mut BytesMut) -> Ended {
        self.partial.whole = None;
        self.partial.is_held_back = false;
        let mut serves = self.shared.borrow_mut();
        serves.begin_requests(buffer.len());
        let room = serves.room_for_requests(self.id);
        let arrived = buffer.len();
        let mut taken = 0;
        let result = loop {
            if taken == room {
                // Without anything left there is nothing to go on with but the socket.
                self.partial.is_held_back = !buffer.is_empty();
                break Ok(());
            }
            if is_whole(buffer) && is_bulk_produce(buffer) && !serves.may_take_bulk() {
                self.partial.is_held_back = true;
                break Ok(());
            }
            match next_frame(buffer, self.limits.request_bytes_max) {
                Front::Frame(frame) => {
                    taken += 1;
                    self.partial.was_large = frame.len() > SHARED_READ_BYTES;
                    serves.on_frame(self.id, frame);
                }
                Front::Incomplete { whole } => {
                    self.partial.whole = whole;
                    break if buffer.len() >= UNPROVEN_BYTES_MAX / 2 {
                        let start = buffer.get(4..).unwrap_or_default();
                        let served = would_serve(self.endpoint, start);
                        served.map_err(|reason| Ending::Notable(reason.to_string()))
                    } else {
                        Ok(())
                    };
                }
                Front::Impossible(reason) => break Err(Ending::Notable(reason)),
            }
        };
        serves.end_requests(self.id);
        let lane = serves.lane();
        lane.turns.charge(&mut self.share, taken * REQUEST_CHARGE);
        if taken > 0 {
            self.partial.is_new = true;
            self.partial.streamed = arrived.min(SHARED_READ_BYTES);
        }
        if lane.is_closing(self.id) {
            buffer.clear();
            self.partial.is_held_back = false;
        }
        result
    }
}

/// Whether a produce that brings much is at the front, of which the beginning at least has arrived.
fn is_bulk_produce(bytes: &[u8]) -> bool {
    let Some((length, request)) = bytes.split_first_chunk::<4>() else { return false };
    u32::from_be_bytes(*length) as usize >= BULK_REQUEST_BYTES && is_produce(request)
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

#[cfg(test)]
mod tests;
