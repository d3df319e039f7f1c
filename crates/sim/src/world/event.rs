//! What is going to happen, by virtual time.

use std::collections::BTreeMap;

use bytes::BytesMut;
use strom_broker::effect::ConnectionId;
use strom_storage::disk::Completion;

use super::lanes::Speed;

/// What goes wrong, or is done to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process dies, the system lives on.
    Kill,
    /// The machine stops: what was not synced may be lost.
    PowerFailure,
    CleanStop,
    /// One client's connection breaks; what it sent may still arrive.
    CutConnection,
}

/// `life` numbers the starts of the node: what belongs to an earlier one never happens.
#[derive(Debug)]
pub(super) enum Event {
    Boot,
    Fault(Fault),
    RunLane {
        life: u64,
        lane: String,
        speed: Speed,
    },
    Completed {
        life: u64,
        completion: Completion,
    },
    /// What reads wait for is in memory.
    BytesRead {
        life: u64,
    },
    Deadline {
        life: u64,
    },
    Frame {
        connection: ConnectionId,
        frame: BytesMut,
    },
    Answer {
        actor: usize,
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
    /// The node sees that a client is gone.
    Gone {
        connection: ConnectionId,
    },
    Closed {
        actor: usize,
        connection: ConnectionId,
    },
    Wake {
        actor: usize,
    },
}

/// Events by time; those of one millisecond in the order they were scheduled.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(u64, u64), Event>,
    next: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at_ms: u64, event: Event) {
        self.events.insert((at_ms, self.next), event);
        self.next += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        self.events.pop_first().map(|((at_ms, _), event)| (at_ms, event))
    }
}
