//! What is going to happen, by virtual time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bytes::BytesMut;
use strom_broker::effect::ConnectionId;
use strom_broker::effect::Examination;
use strom_storage::disk::{Completion, DirectoryId};

use super::clock::Nanos;
use super::lanes::{LaneId, Speed};
use super::sockets::SocketEvent;

/// `life` numbers the starts of the node: what belongs to an earlier one never happens.
#[derive(Debug)]
pub(super) enum Event {
    Boot,
    /// The fault of this number in the world's list.
    Fault(usize),
    /// It ends, if it is one that lasts.
    FaultEnds(usize),
    RunLane {
        life: u32,
        lane: LaneId,
        speed: Speed,
    },
    Completed {
        life: u32,
        completion: Completion,
    },
    /// The shell has noticed that an operation without a ticket has failed, and why.
    DirectoryFailed {
        life: u32,
        directory: DirectoryId,
        reason: String,
    },
    /// What reads wait for is in memory.
    BytesRead {
        life: u32,
    },
    /// Somebody has looked at the records of a produce.
    Examine {
        life: u32,
        examination: Examination,
    },
    Deadline {
        life: u32,
    },
    Frame {
        connection: ConnectionId,
        frame: BytesMut,
    },
    Answer {
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
    /// The node sees that a client is gone.
    Gone {
        connection: ConnectionId,
    },
    /// The client sees that the node is gone.
    Closed {
        client: usize,
        connection: ConnectionId,
    },
    Wake {
        client: usize,
    },
    /// Where connections are driven byte by byte.
    Socket(SocketEvent),
}

/// When something happens. Events of one nanosecond come in the order in which they were scheduled.
#[derive(Clone, Copy, Debug)]
struct Scheduled {
    at: Nanos,
    sequence: u64,
    /// Where the event lies.
    slot: usize,
}

impl Scheduled {
    fn rank(&self) -> u128 {
        u128::from(self.at) << u64::BITS | u128::from(self.sequence)
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest: a heap gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank().cmp(&self.rank())
    }
}

#[derive(Debug, Default)]
pub(super) struct Schedule {
    heap: BinaryHeap<Scheduled>,
    /// Events stay where they are while the heap is put in order.
    events: Vec<Option<Event>>,
    /// Of these, where there is none.
    free: Vec<usize>,
    next: u64,
}

impl Schedule {
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.events.get_mut(slot) {
                    *place = Some(event);
                }
                slot
            }
            None => {
                self.events.push(Some(event));
                self.events.len() - 1
            }
        };
        self.heap.push(Scheduled { at, sequence: self.next, slot });
        self.next += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(Nanos, Event)> {
        let Scheduled { at, slot, .. } = self.heap.pop()?;
        self.free.push(slot);
        Some((at, self.events.get_mut(slot)?.take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_their_order() {
        let mut schedule = Schedule::default();
        for (at, client) in [(5, 0), (3, 1), (5, 2), (1, 3), (3, 4)] {
            schedule.push(at, Event::Wake { client });
        }
        let mut order = Vec::new();
        while let Some((at, Event::Wake { client })) = schedule.pop() {
            order.push((at, client));
        }
        assert_eq!(order, [(1, 3), (3, 1), (3, 4), (5, 0), (5, 2)]);
    }
}
