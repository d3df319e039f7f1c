//! What the node holds for its connections, against what it may.

use strom_broker::Broker;
use strom_broker::effect::ConnectionId;
use strom_broker::held::{FETCH_BYTES_MAX, Held};
use strom_intake::receive::SHARED_READ_BYTES;
use strom_intake::takes::OUTSTANDING_MAX;

use super::{Socket, Sockets};
use crate::world::stage::World;

/// What each connection may have read of a request though the memory is used up.
const SCARCE_BYTES: usize = 4 * 1024;
/// A buffer is larger than what has arrived by this factor, and one that is lent by as much again.
const FACTOR: usize = 64;

/// All look-ups take no more here.
const LOOK_UP_BYTES: usize = 64 * 1024;
/// One fetch takes no more here.
const FETCH_BYTES: usize = 64 * 1024;
/// After so many turns of tasks it is looked at what the broker itself holds.
const HELD_EVERY: u64 = 8;

impl World {
    /// After all that a connection's task has done.
    pub(super) fn check_bounds(&self) -> Result<(), String> {
        match (&self.sockets, &self.machine.node) {
            (Some(sockets), Some(node)) => sockets.check(&node.broker),
            _ => Ok(()),
        }
    }
}

fn check_requests(broker: &Broker) -> Result<(), String> {
    let Held { fetches, fetch_bytes, look_ups, look_up_bytes, .. } = broker.held();
    let may = if fetches == 0 { 0 } else { FETCH_BYTES_MAX + FETCH_BYTES };
    if fetch_bytes > may {
        return Err(format!(
            "{fetches} fetches that wait hold {fetch_bytes} bytes: {may} are allowed"
        ));
    }
    if look_up_bytes > LOOK_UP_BYTES || (look_ups == 0) != (look_up_bytes == 0) {
        return Err(format!("{look_ups} look-ups hold {look_up_bytes} bytes"));
    }
    Ok(())
}

impl Sockets {
    fn check(&self, broker: &Broker) -> Result<(), String> {
        let (mut all, mut largest) = (0, 0);
        for (id, socket) in &self.by_id {
            let held = socket.reading.held_bytes();
            all += held;
            largest = largest.max(held);
            self.check_one(*id, socket, held, broker)?;
        }
        let budget = &self.intake.budget;
        let (counted, may) = (budget.bytes(), budget.bytes_max());
        if counted != all {
            return Err(format!(
                "unfinished requests hold {all} bytes, and {counted} are counted for them"
            ));
        }
        let beyond = largest + SHARED_READ_BYTES + self.by_id.len() * SCARCE_BYTES;
        if all > may + beyond {
            return Err(format!(
                "unfinished requests of {} connections hold {all} bytes, the largest {largest}: \
                 {may} are allowed, and {beyond} beyond",
                self.by_id.len()
            ));
        }
        if self.polls.is_multiple_of(HELD_EVERY) { check_requests(broker) } else { Ok(()) }
    }

    fn check_one(
        &self,
        id: ConnectionId,
        socket: &Socket,
        held: usize,
        broker: &Broker,
    ) -> Result<(), String> {
        let id_number = id.0;
        if held > (FACTOR * socket.received).max(SCARCE_BYTES) {
            return Err(format!(
                "connection {id_number} holds {held} bytes and has sent {}",
                socket.received
            ));
        }
        let outbox = self.intake.peers.get(id).map_or(0, |peer| peer.waiting());
        let (unsent, outstanding) = (socket.unsent() + outbox, broker.outstanding(id));
        if unsent + outstanding > OUTSTANDING_MAX {
            return Err(format!(
                "connection {id_number} has {outstanding} requests without an answer and {unsent} \
                 answers that it does not take: {OUTSTANDING_MAX} are allowed together"
            ));
        }
        Ok(())
    }
}
