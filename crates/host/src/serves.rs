//! What a connection's task asks of the thread it lives on: the broker's own, which serves a request at
//! once, or a network thread, which hands it over.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use bytes::BytesMut;
use strom_broker::effect::ConnectionId;
use strom_storage::disk::DiskError;

use crate::closing::Ending;
use crate::cold_reads::ColdReads;
use crate::lane::Lane;
use crate::peers::Answer;
use crate::send::Outgoing;

/// Requests of one connection that may wait for their answers; then its socket is not read.
pub(crate) const OUTSTANDING_MAX: usize = 128;
/// Requests that are taken at once.
const REQUESTS_MAX: usize = 64;
/// Answers that wait to be sent; then no further requests are taken up.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Pieces of answers that are gathered before they are sent.
pub(crate) const PIECES_MAX: usize = 64;

/// Borrowed within a step of a connection's task, never across a wait.
pub(crate) type Shared<S> = Rc<RefCell<S>>;

/// A connection that has ended, and where it was counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) id: ConnectionId,
    pub(crate) address: SocketAddr,
    /// Index into the node's listeners.
    pub(crate) listener: usize,
}

/// What a connection's task is to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Requests may be taken.
    Receive,
    /// Nothing until it is woken, but to send answers …
    Wait,
    /// … which are small: its turn will come. Large ones wait with it, whatever it is in line for.
    WaitInLine,
    /// To send what is left, and to end.
    End(Ending),
    /// To end at once.
    CutOff(Ending),
}

pub(crate) trait Serves: Sized + 'static {
    type Answer: Answer;

    fn lane(&self) -> &Lane<Self::Answer>;

    fn lane_mut(&mut self) -> &mut Lane<Self::Answer>;

    /// For the reads of what is sent.
    fn cold(&self) -> &ColdReads;

    /// Requests of a connection that wait for their answers.
    fn outstanding(&self, id: ConnectionId) -> usize;

    /// Whether nobody may bring requests now. The connection is woken when that changes.
    fn is_overfull(&mut self, id: ConnectionId) -> bool;

    /// Whether those who have had their share may go on.
    fn may_give_turns(&self) -> bool;

    /// Whether large requests may be taken up: the disk takes what they bring.
    fn may_take_bulk(&self) -> bool;

    /// The requests of one read of a connection follow, out of so many bytes, handed over by its own task.
    fn begin_requests(&mut self, bytes: usize);

    /// A whole request.
    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut);

    /// What follows from the requests of one read is done all together. The connection's task has to
    /// look at its outbox afterwards.
    fn end_requests(&mut self, id: ConnectionId);

    /// Moves answers that are ready into `outgoing`, if that is empty.
    ///
    /// # Errors
    /// When one cannot be made: the connection cannot go on.
    fn collect(&mut self, id: ConnectionId, outgoing: &mut Outgoing) -> Result<(), DiskError>;

    /// Buffers of answers that were sent.
    fn recycle(&mut self, spent: &mut Vec<Vec<u8>>);

    fn on_closed(&mut self, closed: Closed);

    /// What the connection's task is to do, which is woken by `waker` when that changes.
    fn next_of(&mut self, id: ConnectionId, waker: &Waker) -> Next {
        let Some(peer) = self.lane_mut().peers.get_mut(id) else {
            return Next::End(Ending::ByPeer);
        };
        peer.attend(waker);
        if let Some(ending) = peer.closing().cloned() {
            return if peer.is_cut_off() { Next::CutOff(ending) } else { Next::End(ending) };
        }
        if peer.is_in_line {
            return Next::WaitInLine;
        }
        let is_full = peer.outbox_bytes() >= OUTBOX_BYTES_MAX
            || self.outstanding(id) >= OUTSTANDING_MAX
            || self.is_overfull(id);
        if is_full { Next::Wait } else { Next::Receive }
    }

    /// How many requests of the connection may be taken now.
    #[must_use]
    fn room_for_requests(&self, id: ConnectionId) -> usize {
        if self.lane().outbox_bytes(id) >= OUTBOX_BYTES_MAX {
            return 0;
        }
        OUTSTANDING_MAX.saturating_sub(self.outstanding(id)).min(REQUESTS_MAX)
    }
}
