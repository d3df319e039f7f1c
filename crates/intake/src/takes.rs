//! What connections ask of the thread that they live on: it takes their requests, and says how many more.

use std::task::Waker;

use bytes::BytesMut;
use strom_base::{Planted, planted};
use strom_broker::effect::ConnectionId;

use crate::budget::Held;
use crate::ending::Ending;
use crate::intake::Intake;
use crate::peers::Answer;

/// Requests of one connection that may wait for their answers; then its socket is not read.
pub const OUTSTANDING_MAX: usize = 128;
/// Requests that are taken at once.
const REQUESTS_MAX: usize = 64;
/// Answers that wait to be sent; then no further requests are taken up.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;

/// What a connection is to do next.
#[derive(Debug)]
pub enum Next {
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

pub trait Takes {
    type Answer: Answer;

    fn intake(&self) -> &Intake<Self::Answer>;

    fn intake_mut(&mut self) -> &mut Intake<Self::Answer>;

    /// Monotonic.
    fn now_ms(&self) -> u64;

    /// A request has begun to arrive and nobody looks after its time.
    fn arm_deadlines(&mut self);

    /// Requests of a connection that wait for their answers.
    fn outstanding(&self, id: ConnectionId) -> usize;

    /// Whether the connection may not bring requests now, whoever is to blame. It is woken when that changes.
    fn is_overfull(&mut self, id: ConnectionId) -> bool;

    /// Whether large requests may be taken up: what those before them have brought is dealt with.
    fn may_take_bulk(&self) -> bool;

    /// The requests of one read of a connection follow, out of so many bytes, handed over by its own task.
    fn begin_requests(&mut self, bytes: usize);

    /// A whole request; what it has cost beyond its bytes, as far as that is known already
    /// ([`strom_broker::effect::Effects::work_bytes`]).
    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) -> usize;

    /// What follows from the requests of one read is done all together. The connection's task has to
    /// look at its outbox afterwards.
    fn end_requests(&mut self, id: ConnectionId);

    /// What the connection's task is to do, which is woken by `waker` when that changes.
    fn next_of(&mut self, id: ConnectionId, waker: &Waker) -> Next {
        let Some(peer) = self.intake_mut().peers.get_mut(id) else {
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
            || self.counted_outstanding(id) >= OUTSTANDING_MAX
            || self.is_overfull(id);
        if is_full { Next::Wait } else { Next::Receive }
    }

    /// How many requests of the connection may be taken now.
    #[must_use]
    fn room_for_requests(&self, id: ConnectionId) -> usize {
        if self.intake().outbox_bytes(id) >= OUTBOX_BYTES_MAX {
            return 0;
        }
        OUTSTANDING_MAX.saturating_sub(self.counted_outstanding(id)).min(REQUESTS_MAX)
    }

    fn counted_outstanding(&self, id: ConnectionId) -> usize {
        if planted(Planted::OutstandingUncounted) { 0 } else { self.outstanding(id) }
    }

    /// What a connection holds of an unfinished request; nothing ends it.
    fn hold_request(&mut self, id: ConnectionId, held: Option<Held>) {
        let now_ms = self.now_ms();
        if self.intake_mut().hold_request(now_ms, id, held) {
            self.arm_deadlines();
        }
    }
}
