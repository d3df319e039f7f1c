//! One connection's task at the node, and both ends of its socket.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Buf, BufMut, BytesMut};
use strom_base::Random;
use strom_broker::EndpointType;
use strom_broker::effect::ConnectionId;
use strom_intake::{Ending, Reading, Step, Takes};

use super::desk::Desk;
use super::{REQUEST_BYTES_MAX, Ready};

/// Answers that are collected before they are sent.
const PIECES_MAX: usize = 64;
/// Larger answers are bulk: others may go before them.
const SMALL_ANSWER_BYTES: usize = 16 * 1024;
/// What one call sends at most.
const SEND_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Socket {
    id: ConnectionId,
    pub(super) reading: Reading,
    waker: Waker,
    /// Arrived, and not read yet.
    arrived: BytesMut,
    /// Nothing more arrives, and nothing is taken.
    has_ended: bool,
    outgoing: VecDeque<Vec<u8>>,
    /// Of the first of them.
    sent: usize,
    /// What the other side takes; `None`: whatever comes.
    pub(super) window: Option<usize>,
    /// Bytes that the node has read of it.
    pub(super) received: usize,
}

/// What became of a task that was woken.
#[derive(Debug)]
pub(super) enum Polled {
    Pending,
    /// It would go on, and lets others go first.
    Again,
    Ended(Ending),
}

impl Socket {
    pub(super) fn new(id: ConnectionId, endpoint: EndpointType, waker: Waker) -> Self {
        Self {
            id,
            reading: Reading::new(id, endpoint, REQUEST_BYTES_MAX),
            waker,
            arrived: BytesMut::new(),
            has_ended: false,
            outgoing: VecDeque::new(),
            sent: 0,
            window: None,
            received: 0,
        }
    }

    pub(super) fn arrives(&mut self, bytes: BytesMut) {
        if self.arrived.is_empty() {
            self.arrived = bytes;
        } else {
            self.arrived.extend_from_slice(&bytes);
        }
        self.wake();
    }

    pub(super) fn ends(&mut self) {
        self.has_ended = true;
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Answers that are on their way out, and bytes of them.
    pub(super) fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    /// As far as it gets now. Answers that are out are put into `out`.
    pub(super) fn poll(
        &mut self,
        desk: &mut Desk<'_>,
        random: &mut Random,
        out: &mut Vec<Vec<u8>>,
    ) -> Polled {
        loop {
            if self.outgoing.is_empty()
                && let Some(peer) = desk.intake_mut().peers.get_mut(self.id)
            {
                let answers = std::iter::from_fn(|| peer.take()).take(PIECES_MAX);
                self.outgoing.extend(answers.map(|Ready(bytes)| bytes));
            }
            let has_unsent = !self.outgoing.is_empty();
            let done = match self.reading.next_step(desk, &self.waker, has_unsent) {
                Step::Wait => return Polled::Pending,
                Step::End(ending) => return Polled::Ended(ending),
                Step::Send { is_in_line } => self.send(desk, is_in_line, out),
                Step::TakeHeldBack => self.reading.take_held_back(desk, 0).map(|()| true),
                Step::Read => self.read(desk, random),
            };
            match done {
                Ok(true) if random.one_in(16) => return Polled::Again,
                Ok(true) => {}
                Ok(false) => return Polled::Pending,
                Err(ending) => return Polled::Ended(ending),
            }
        }
    }

    /// False: there is nothing to read. A socket may give less than there is.
    fn read(&mut self, desk: &mut Desk<'_>, random: &mut Random) -> Result<bool, Ending> {
        let mut target = self.reading.target(desk);
        let room = target.chunk_mut().len().min(self.arrived.len());
        if room == 0 {
            if self.has_ended {
                return Err(Ending::ByPeer);
            }
            self.reading.on_nothing_read(desk, 0);
            return Ok(false);
        }
        let count = if random.one_in(8) { 1 + random.below(room as u64) as usize } else { room };
        target.put_slice(self.arrived.get(..count).unwrap_or_default());
        self.arrived.advance(count);
        self.received += count;
        self.reading.on_read(desk, count, 0).map(|()| true)
    }

    /// False: the other side takes nothing, or others go first.
    fn send(
        &mut self,
        desk: &mut Desk<'_>,
        is_in_line: bool,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<bool, Ending> {
        let Some(front) = self.outgoing.front() else { return Ok(true) };
        let is_bulk = front.len() > SMALL_ANSWER_BYTES;
        if is_bulk && (is_in_line || self.reading.lets_others_go_first(desk)) {
            return Ok(false);
        }
        if self.has_ended {
            return Err(Ending::ByPeer);
        }
        let window = self.window.unwrap_or(usize::MAX);
        let count = (front.len() - self.sent).min(SEND_BYTES_MAX).min(window);
        if count == 0 {
            return Ok(false);
        }
        self.window = self.window.map(|window| window - count);
        self.sent += count;
        if self.sent == front.len() {
            self.sent = 0;
            out.extend(self.outgoing.pop_front());
        }
        self.reading.charge_sent(desk, count);
        Ok(true)
    }

    /// Gives back what it holds.
    pub(super) fn end(&mut self, desk: &mut Desk<'_>) {
        self.reading.end(desk);
    }
}
