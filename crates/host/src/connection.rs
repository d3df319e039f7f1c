//! One connection's task: bytes in, frames to the broker, answers out. What is to be done, and in what order, is
//! decided by [`strom_intake::Reading`]; here it is done to a socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use strom_broker::EndpointType;
use strom_broker::effect::ConnectionId;
use strom_intake::{Ending, Reading, Step};
use tokio_util::io::poll_read_buf;

use crate::low_water::LowWater;
use crate::send::{Outgoing, Sent};
use crate::serves::{Closed, Serves, Shared};
use crate::stream::Stream;

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

struct Task<S> {
    shared: Shared<S>,
    stream: Stream,
    id: ConnectionId,
    reading: Reading,
    outgoing: Outgoing,
    /// The socket took nothing at last.
    is_stuck: bool,
    /// Buffers that are out, to be given back.
    spent: Vec<Vec<u8>>,
    low_water: LowWater,
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
        reading: Reading::new(id, endpoint, limits.request_bytes_max),
        outgoing: Outgoing::default(),
        is_stuck: false,
        spent: Vec::new(),
        low_water: LowWater::default(),
    };
    let ending = std::future::poll_fn(|context| task.poll_serve(context)).await;
    let mut serves = shared.borrow_mut();
    serves.lane_mut().say_ending(&address.to_string(), &ending);
    task.reading.end(&mut *serves);
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
        let mut serves = self.shared.borrow_mut();
        let collected = serves.collect(self.id, &mut self.outgoing);
        collected.map_err(|error| Ending::Notable(error.to_string()))?;
        let has_unsent = !self.outgoing.is_empty() || self.stream.has_unsent();
        match self.reading.next_step(&mut *serves, context.waker(), has_unsent) {
            Step::Wait => Poll::Pending,
            Step::End(ending) => Poll::Ready(Err(ending)),
            Step::TakeHeldBack => {
                let begun = self.stream.begun_bytes();
                Poll::Ready(self.reading.take_held_back(&mut *serves, begun))
            }
            Step::Send { is_in_line } => {
                drop(serves);
                self.poll_send(context, is_in_line)
            }
            Step::Read => {
                drop(serves);
                self.poll_receive(context)
            }
        }
    }

    /// Sends a piece. What is small goes out even when the connection's share is used up.
    fn poll_send(&mut self, context: &mut Context<'_>, is_in_line: bool) -> Poll<Ended> {
        if self.outgoing.is_bulk()
            && (is_in_line || self.reading.lets_others_go_first(&mut *self.shared.borrow_mut()))
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
                self.reading.charge_sent(&*serves, sent);
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

    /// Reads once and hands every whole request to the broker.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let mut serves = self.shared.borrow_mut();
        let read = {
            let mut target = self.reading.target(&mut *serves);
            poll_read_buf(Pin::new(&mut self.stream), context, &mut target)
        };
        let begun = self.stream.begun_bytes();
        match read {
            Poll::Pending => {
                self.reading.on_nothing_read(&mut *serves, begun);
                let rest = self.reading.rest_bytes(begun);
                match self.low_water.arrange(rest, self.stream.socket()) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(ending_of(&error))),
                }
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Ending::ByPeer)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(ending_of(&error))),
            Poll::Ready(Ok(received)) => {
                let taken = self.reading.on_read(&mut *serves, received, begun);
                self.low_water.on_read(received, self.reading.rest_bytes(begun));
                Poll::Ready(taken)
            }
        }
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

#[cfg(test)]
mod tests;
