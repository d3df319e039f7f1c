//! The broker's thread as a connection's task sees it.

use bytes::BytesMut;
use strom_base::Now;
use strom_broker::effect::ConnectionId;
use strom_intake::{Ending, Intake, Takes};
use strom_protocol::records::crc32c;

use super::Ready;
use crate::world::clients::describe;
use crate::world::node::{Emitted, Node};

pub(super) struct Desk<'a> {
    node: &'a mut Node,
    intake: &'a mut Intake<Ready>,
    emitted: &'a mut Emitted,
    now: Now,
    /// Requests of one read were served.
    has_served: bool,
    /// Large requests wait for the disk.
    pub(super) is_crowded: bool,
    /// Requests are told in words.
    pub(super) is_told: bool,
    /// Requests that were taken: their checksums, and they in words.
    pub(super) taken: Vec<(u32, String)>,
    pub(super) disk_effects: usize,
    pub(super) is_to_be_armed: bool,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        node: &'a mut Node,
        intake: &'a mut Intake<Ready>,
        emitted: &'a mut Emitted,
        now: Now,
    ) -> Self {
        Self {
            node,
            intake,
            emitted,
            now,
            has_served: false,
            is_crowded: false,
            is_told: false,
            taken: Vec::new(),
            disk_effects: 0,
            is_to_be_armed: false,
        }
    }
}

/// Answers to their connections. The task of `reading` looks at its outbox by itself.
pub(super) fn put(
    intake: &mut Intake<Ready>,
    emitted: &mut Emitted,
    reading: Option<ConnectionId>,
) {
    for (connection, answer) in emitted.network.drain(..) {
        let Some(peer) = intake.peers.get_mut(connection) else { continue };
        match answer {
            Some(bytes) => peer.put(Ready(bytes), reading == Some(connection)),
            None => peer.end(Ending::Usual("the node closes it".to_owned())),
        }
    }
    for connection in emitted.silent.drain(..).filter(|it| reading != Some(*it)) {
        intake.wake(connection);
    }
}

impl Takes for Desk<'_> {
    type Answer = Ready;

    fn intake(&self) -> &Intake<Ready> {
        self.intake
    }

    fn intake_mut(&mut self) -> &mut Intake<Ready> {
        self.intake
    }

    fn now_ms(&self) -> u64 {
        self.now.monotonic_ms
    }

    fn arm_deadlines(&mut self) {
        self.is_to_be_armed = true;
    }

    fn outstanding(&self, id: ConnectionId) -> usize {
        self.node.broker.outstanding(id)
    }

    fn is_overfull(&mut self, id: ConnectionId) -> bool {
        self.node.broker.is_held(id)
    }

    fn may_take_bulk(&self) -> bool {
        !self.is_crowded && self.node.broker.may_take_bulk()
    }

    fn begin_requests(&mut self, _bytes: usize) {}

    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) -> usize {
        let words = if self.is_told { describe(&frame) } else { String::new() };
        self.taken.push((crc32c(&frame), words));
        self.has_served = true;
        self.node.act(self.now, |broker, turn| broker.on_frame(turn, id, frame))
    }

    fn end_requests(&mut self, id: ConnectionId) {
        if !std::mem::take(&mut self.has_served) {
            return;
        }
        self.disk_effects += self.node.input(self.now, self.emitted, |_, _| ());
        put(self.intake, self.emitted, Some(id));
    }
}
