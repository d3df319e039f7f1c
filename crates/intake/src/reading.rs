//! One connection: what it is to do next, and from what was read to whole requests.

use std::task::Waker;

use bytes::buf::Limit;
use bytes::{BufMut, BytesMut};
use strom_broker::effect::ConnectionId;
use strom_broker::{EndpointType, is_produce, would_serve};

use crate::budget::Held;
use crate::ending::Ending;
use crate::intake::SCARCE_READ_BYTES;
use crate::receive::{
    Front, SHARED_READ_BYTES, UNPROVEN_BYTES_MAX, capacity_for, capacity_for_rest, is_whole,
    next_frame,
};
use crate::takes::{Next, Takes};
use crate::turns::{Line, REQUEST_CHARGE, SHARE_BYTES, Share, charge_of_work};

/// Produces from this size on wait while the disk does not take what they bring.
pub const BULK_REQUEST_BYTES: usize = 16 * 1024;
/// What is read at once where a large request is likely to begin: that part of it is copied.
const LARGE_BEGINNING_BYTES: usize = 16 * 1024;

type Ended = Result<(), Ending>;

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
    /// The buffer was made larger for the read under way.
    has_grown: bool,
}

/// What a connection's task is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until it is woken.
    Wait,
    /// To send. In line, it may send what is small.
    Send { is_in_line: bool },
    /// [`Reading::take_held_back`].
    TakeHeldBack,
    /// To read once: see [`Reading::target`].
    Read,
    /// To end.
    End(Ending),
}

#[derive(Debug)]
pub struct Reading {
    id: ConnectionId,
    /// Whom its listener is for.
    endpoint: EndpointType,
    /// `socket.request.max.bytes`
    request_bytes_max: usize,
    partial: Partial,
    share: Share,
    /// Its large request waits for the disk.
    is_held_up: bool,
}

impl Reading {
    #[must_use]
    pub fn new(id: ConnectionId, endpoint: EndpointType, request_bytes_max: usize) -> Self {
        Self {
            id,
            endpoint,
            request_bytes_max,
            partial: Partial::default(),
            share: Share::default(),
            is_held_up: false,
        }
    }

    /// What is to be done now, by a task that `waker` wakes when that changes. `has_unsent`: answers that it
    /// has collected are not sent.
    pub fn next_step<T: Takes>(&mut self, takes: &mut T, waker: &Waker, has_unsent: bool) -> Step {
        let next = takes.next_of(self.id, waker);
        match next {
            Next::CutOff(ending) => return Step::End(ending),
            Next::WaitInLine if has_unsent => return Step::Send { is_in_line: true },
            _ if has_unsent => return Step::Send { is_in_line: false },
            Next::End(ending) => return Step::End(ending),
            Next::Wait | Next::WaitInLine => return Step::Wait,
            Next::Receive => {}
        }
        if self.lets_others_go_first(takes) || self.waits_for_disk(takes) || self.is_paused(takes) {
            return Step::Wait;
        }
        if self.partial.is_held_back { Step::TakeHeldBack } else { Step::Read }
    }

    /// Counts what was sent.
    pub fn charge_sent<T: Takes>(&mut self, takes: &T, bytes: usize) {
        takes.intake().turns.charge(&mut self.share, bytes);
    }

    /// Whether the connection has taken its share: then it waits in line from now on.
    pub fn lets_others_go_first<T: Takes>(&mut self, takes: &mut T) -> bool {
        let intake = takes.intake_mut();
        let is_used_up = intake.turns.is_used_up(&self.share);
        if is_used_up {
            self.share = Share::default();
            intake.get_in_line(self.id, Line::Share, false);
        }
        is_used_up
    }

    /// Whether a large produce is at the front and has to wait in line for the disk.
    fn waits_for_disk<T: Takes>(&mut self, takes: &mut T) -> bool {
        let is_bulk = self.partial.buffer.as_deref().is_some_and(is_bulk_produce);
        if !is_bulk && !self.is_held_up {
            return false;
        }
        let waits = is_bulk && !takes.may_take_bulk();
        let had_turn = std::mem::replace(&mut self.is_held_up, waits);
        if waits != had_turn {
            let now_ms = takes.now_ms();
            if takes.intake_mut().hold_up(now_ms, self.id, waits) {
                takes.arm_deadlines();
            }
        }
        if waits {
            takes.intake_mut().get_in_line(self.id, Line::Bulk, had_turn);
        }
        waits
    }

    /// Whether the budget of unfinished requests is used up and others go first.
    fn is_paused<T: Takes>(&self, takes: &mut T) -> bool {
        if self.partial.buffer.is_none() || self.partial.is_held_back {
            return false;
        }
        let budget = &mut takes.intake_mut().budget;
        let is_paused = !budget.may_go_on(self.id);
        if is_paused {
            budget.pause(self.id);
        }
        is_paused
    }

    /// Where the next read goes, and no more than is to be read.
    pub fn target<'a, T: Takes>(&'a mut self, takes: &'a mut T) -> Limit<&'a mut BytesMut> {
        let intake = takes.intake_mut();
        let partial = &mut self.partial;
        partial.has_grown = false;
        let Some(buffer) = &mut partial.buffer else {
            intake.shared_read.make_room();
            let most = match intake.budget.is_used_up() {
                true => SCARCE_READ_BYTES,
                false if partial.was_large => LARGE_BEGINNING_BYTES,
                false => SHARED_READ_BYTES,
            };
            return (&mut intake.shared_read.buffer).limit(most);
        };
        if let Some(needed) = capacity_for_rest(buffer, partial.whole, partial.streamed) {
            let taken = partial.allocated;
            let allocated = intake.enlarge(self.id, (buffer, taken), needed, partial.whole);
            partial.has_grown = allocated != partial.allocated;
            partial.allocated = allocated;
        }
        buffer.limit(SHARE_BYTES)
    }

    /// There was nothing to read. `begun`: bytes that the stream holds and that are not whole enough to be
    /// handed out.
    pub fn on_nothing_read<T: Takes>(&mut self, takes: &mut T, begun: usize) {
        if begun > 0 || self.partial.has_grown {
            self.count_held(takes, begun);
        }
    }

    /// So many bytes stand where [`Reading::target`] said; every whole request is handed over.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    pub fn on_read<T: Takes>(&mut self, takes: &mut T, received: usize, begun: usize) -> Ended {
        takes.intake().turns.charge(&mut self.share, received);
        if self.partial.buffer.is_some() {
            return self.take_held_back(takes, begun);
        }
        let mut read = std::mem::take(&mut takes.intake_mut().shared_read.buffer);
        self.partial.streamed = 0;
        let result = self.take_frames(takes, &mut read);
        let intake = takes.intake_mut();
        if result.is_ok() && !read.is_empty() {
            let capacity = capacity_for(read.len(), self.partial.whole, self.partial.streamed);
            let mut buffer = intake.buffer_for(read.len(), capacity);
            buffer.extend_from_slice(&read);
            self.partial.allocated = buffer.capacity();
            self.partial.buffer = Some(buffer);
        }
        read.clear();
        intake.shared_read.buffer = read;
        self.count_held(takes, begun);
        result
    }

    /// Hands over the whole requests that stand in the connection's own buffer.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    pub fn take_held_back<T: Takes>(&mut self, takes: &mut T, begun: usize) -> Ended {
        let Some(mut buffer) = self.partial.buffer.take() else {
            self.partial.is_held_back = false;
            return Ok(());
        };
        let result = self.take_frames(takes, &mut buffer);
        let partial = &mut self.partial;
        let intake = takes.intake_mut();
        if buffer.is_empty() {
            intake.pool.give(buffer, partial.allocated);
        } else {
            if !partial.is_held_back {
                let justified = capacity_for(buffer.len(), partial.whole, partial.streamed);
                let goes_on = !partial.is_new && intake.budget.is_first(self.id);
                partial.allocated = match intake.budget.is_used_up() && !goes_on {
                    false => intake.pool.shrink(&mut buffer, partial.allocated, justified),
                    true => intake.pool.shrink_to_fit(&mut buffer, partial.allocated),
                };
            }
            partial.buffer = Some(buffer);
        }
        self.count_held(takes, begun);
        result
    }

    /// No fewer bytes are still to come of the request that has begun. TLS makes more of them, not fewer.
    #[must_use]
    pub fn rest_bytes(&self, begun: usize) -> Option<usize> {
        let arrived = self.partial.buffer.as_ref()?.len() + begun;
        self.partial.whole?.checked_sub(arrived)
    }

    /// Memory that the unfinished request takes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.partial.buffer.as_ref().map_or(0, |_| self.partial.allocated)
    }

    /// Gives back what the connection holds; the thread is told of its end apart from that.
    pub fn end<T: Takes>(&mut self, takes: &mut T) {
        if let Some(buffer) = self.partial.buffer.take() {
            takes.intake_mut().pool.give(buffer, self.partial.allocated);
        }
    }

    /// Tells the budget what this connection holds.
    fn count_held<T: Takes>(&mut self, takes: &mut T, begun: usize) {
        let partial = &mut self.partial;
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
            takes.hold_request(self.id, held);
        }
    }

    /// Hands whole requests over until the bytes or the allowance run out.
    fn take_frames<T: Takes>(&mut self, takes: &mut T, buffer: &mut BytesMut) -> Ended {
        self.partial.whole = None;
        self.partial.is_held_back = false;
        takes.begin_requests(buffer.len());
        let room = takes.room_for_requests(self.id);
        let arrived = buffer.len();
        let (mut taken, mut work) = (0, 0);
        let result = loop {
            if taken == room || work >= SHARE_BYTES {
                // Without anything left there is nothing to go on with but the socket.
                self.partial.is_held_back = !buffer.is_empty();
                break Ok(());
            }
            if is_whole(buffer) && is_bulk_produce(buffer) && !takes.may_take_bulk() {
                self.partial.is_held_back = true;
                break Ok(());
            }
            match next_frame(buffer, self.request_bytes_max) {
                Front::Frame(frame) => {
                    taken += 1;
                    self.partial.was_large = frame.len() > SHARED_READ_BYTES;
                    work += charge_of_work(takes.on_frame(self.id, frame));
                    if takes.is_overfull(self.id) {
                        self.partial.is_held_back = !buffer.is_empty();
                        break Ok(());
                    }
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
        takes.end_requests(self.id);
        let intake = takes.intake();
        intake.turns.charge(&mut self.share, taken * REQUEST_CHARGE + work);
        if taken > 0 {
            self.partial.is_new = true;
            self.partial.streamed = arrived.min(SHARED_READ_BYTES);
        }
        if intake.is_closing(self.id) {
            buffer.clear();
            self.partial.is_held_back = false;
        }
        result
    }
}

/// Whether a produce that brings much is at the front, of which the beginning at least has arrived.
#[inline]
fn is_bulk_produce(bytes: &[u8]) -> bool {
    let Some((length, request)) = bytes.split_first_chunk::<4>() else { return false };
    u32::from_be_bytes(*length) as usize >= BULK_REQUEST_BYTES && is_produce(request)
}

#[cfg(test)]
mod tests;
