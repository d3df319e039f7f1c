//! The connections that live on the broker's thread: their requests are served as they are read.

use bytes::BytesMut;
use strom_broker::effect::{ConnectionId, Response, Turn};
use strom_storage::disk::DiskError;

use super::Shard;
use crate::cold_reads::ColdReads;
use crate::lane::Lane;
use crate::send::{Outgoing, pieces_of};
use crate::serves::{Closed, PIECES_MAX, Serves};
use strom_intake::{Ending, Intake, Takes};

impl Shard {
    /// A connection that will live on this thread.
    pub(crate) fn open_connection(&mut self, client_host: String, listener: usize) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.lane.open(id);
        self.input(|broker, turn| broker.on_connected(turn, id, client_host, listener));
        id
    }

    /// A request, on whatever thread it was read; [`Takes::on_frame`].
    pub(super) fn serve(&mut self, id: ConnectionId, frame: BytesMut) -> usize {
        let before = self.effects.work_bytes;
        let mut turn = Turn { now: self.now, files: &self.engine, out: &mut self.effects };
        self.broker.on_frame(&mut turn, id, frame);
        self.effects.work_bytes.wrapping_sub(before)
    }

    /// A connection is gone, on whatever thread it was.
    pub(crate) fn forget_connection(&mut self, closed: &Closed) {
        let id = closed.id;
        self.input(|broker, turn| broker.on_disconnected(turn, id));
        self.admission.release(closed.address.ip(), closed.listener);
        self.room.notify_waiters();
    }
}

impl Takes for Shard {
    type Answer = Response;

    fn intake(&self) -> &Intake<Response> {
        &self.lane.intake
    }

    fn intake_mut(&mut self) -> &mut Intake<Response> {
        &mut self.lane.intake
    }

    fn now_ms(&self) -> u64 {
        self.lane.now_ms()
    }

    fn arm_deadlines(&mut self) {
        self.lane.arm_deadlines();
    }

    fn outstanding(&self, id: ConnectionId) -> usize {
        self.broker.outstanding(id)
    }

    fn is_overfull(&mut self, id: ConnectionId) -> bool {
        self.broker.is_held(id)
    }

    fn may_take_bulk(&self) -> bool {
        !self.engine.is_crowded() && self.broker.may_take_bulk()
    }

    fn begin_requests(&mut self, _bytes: usize) {
        self.now = self.lane.clock.now();
    }

    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) -> usize {
        self.serve(id, frame)
    }

    fn end_requests(&mut self, id: ConnectionId) {
        self.reading = Some(id);
        self.conclude(self.now);
        self.reading = None;
        if let Some(peer) = self.lane.intake.peers.get_mut(id) {
            peer.last_active_ms = self.now.monotonic_ms;
        }
    }
}

impl Serves for Shard {
    fn lane(&self) -> &Lane<Response> {
        &self.lane
    }

    fn lane_mut(&mut self) -> &mut Lane<Response> {
        &mut self.lane
    }

    fn cold(&self) -> &ColdReads {
        &self.engine.cold
    }

    fn may_give_turns(&self) -> bool {
        true
    }

    fn collect(&mut self, id: ConnectionId, outgoing: &mut Outgoing) -> Result<(), DiskError> {
        // What is on its way goes out, also when the next answer cannot be made any more.
        if !outgoing.is_empty() {
            return Ok(());
        }
        let Some(peer) = self.lane.intake.peers.get_mut(id) else { return Ok(()) };
        while outgoing.len() < PIECES_MAX
            && let Some(mut response) = peer.take()
        {
            let mut spare = self.effects.spare();
            let made = pieces_of(&mut response, &self.engine, outgoing, &mut spare.bytes);
            if let Err(error) = made {
                if outgoing.is_empty() {
                    return Err(error);
                }
                peer.break_off(Ending::Notable(error.to_string()));
                break;
            }
            self.effects.recycle(response);
            self.effects.recycle(spare);
        }
        Ok(())
    }

    fn recycle(&mut self, spent: &mut Vec<Vec<u8>>) {
        for bytes in spent.drain(..) {
            self.effects.recycle(Response { bytes, ranges: Vec::new() });
        }
    }

    fn on_closed(&mut self, closed: Closed) {
        if self.lane.close(closed.id) {
            self.forget_connection(&closed);
        }
    }
}
