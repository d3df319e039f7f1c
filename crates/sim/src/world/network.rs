//! Connections between the clients and the node: in each, both ways, everything keeps its order;
//! between two of them nothing does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use strom_base::{IdMap, Random};
use strom_broker::effect::ConnectionId;

use super::clock::Nanos;

#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) client: usize,
    /// When the last thing on it arrives at the node, and at the client.
    there: Nanos,
    back: Nanos,
}

/// When something was, as far as it matters for what holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era {
    /// How often the power had failed.
    pub(super) power_failures: u64,
    /// How often the node had started.
    pub(super) life: u32,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    connections: BTreeMap<ConnectionId, Connection>,
    /// When each connection was made, be it broken by now.
    made_at: IdMap<ConnectionId, Era>,
    /// Left by their clients; the node does not know it yet.
    half_open: BTreeSet<ConnectionId>,
    /// What has arrived, and waits until the node is through with what came before it.
    arrived: IdMap<ConnectionId, VecDeque<BytesMut>>,
    last: u64,
    /// Nothing gets through before.
    pub(super) stalled_until: Nanos,
    /// How long things are on their way, more or less.
    delay: Nanos,
}

impl Network {
    pub(super) fn new(delay: Nanos) -> Self {
        Self { delay, ..Self::default() }
    }

    pub(super) fn connect(&mut self, client: usize, now: Nanos, era: Era) -> ConnectionId {
        self.last += 1;
        let id = ConnectionId(self.last);
        self.connections.insert(id, Connection { client, there: now, back: now });
        self.made_at.insert(id, era);
        id
    }

    fn delay(&self, random: &mut Random) -> Nanos {
        // One in some dozens is late.
        let late = if random.one_in(40) { 10 } else { 1 };
        self.delay / 10 + random.below(2 * self.delay * late)
    }

    /// When something that is sent now arrives at the node; `None` on a connection that is gone.
    pub(super) fn there(
        &mut self,
        id: ConnectionId,
        now: Nanos,
        random: &mut Random,
    ) -> Option<Nanos> {
        let delay = self.delay(random);
        let connection = self.connections.get_mut(&id)?;
        connection.there = connection.there.max(now.max(self.stalled_until) + delay);
        Some(connection.there)
    }

    /// What is sent on it later arrives no earlier than this.
    pub(super) fn hold_back(&mut self, id: ConnectionId, until: Nanos) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.there = connection.there.max(until);
        }
    }

    /// When something that is sent now arrives at the client.
    pub(super) fn back(
        &mut self,
        id: ConnectionId,
        now: Nanos,
        random: &mut Random,
    ) -> Option<(usize, Nanos)> {
        let delay = self.delay(random);
        let connection = self.connections.get_mut(&id)?;
        connection.back = connection.back.max(now.max(self.stalled_until) + delay);
        Some((connection.client, connection.back))
    }

    /// Whether what arrives there is still taken up by the node.
    pub(super) fn reaches_node(&self, id: ConnectionId) -> bool {
        self.connections.contains_key(&id) || self.half_open.contains(&id)
    }

    /// A request has arrived, behind others.
    pub(super) fn keep_behind(&mut self, id: ConnectionId, frame: BytesMut) {
        self.arrived.entry(id).or_default().push_back(frame);
    }

    /// The next request that has arrived and was not served.
    pub(super) fn next_behind(&mut self, id: ConnectionId) -> Option<BytesMut> {
        let frames = self.arrived.get_mut(&id)?;
        let frame = frames.pop_front();
        if frames.is_empty() {
            self.arrived.remove(&id);
        }
        frame
    }

    pub(super) fn made_at(&self, id: ConnectionId) -> Era {
        self.made_at.get(&id).copied().unwrap_or_default()
    }

    /// A connection ends at the client's side: whose it is, and when the node has got all that was
    /// sent on it.
    pub(super) fn cut(&mut self, id: ConnectionId) -> Option<(usize, Nanos)> {
        let connection = self.connections.remove(&id)?;
        self.half_open.insert(id);
        Some((connection.client, connection.there))
    }

    pub(super) fn any(&self, random: &mut Random) -> Option<ConnectionId> {
        let index = random.below(self.connections.len() as u64) as usize;
        self.connections.keys().nth(index).copied()
    }

    /// The node sees that a client is gone; whether that is news.
    pub(super) fn on_gone(&mut self, id: ConnectionId) -> bool {
        self.arrived.remove(&id);
        self.half_open.remove(&id)
    }

    /// The client sees that its connection is gone.
    pub(super) fn on_closed(&mut self, id: ConnectionId) {
        self.made_at.remove(&id);
        self.connections.remove(&id);
    }

    /// The node is gone: all connections, with when the last answer on each arrives.
    pub(super) fn break_all(&mut self) -> BTreeMap<ConnectionId, (usize, Nanos)> {
        self.half_open.clear();
        self.arrived.clear();
        let broken = std::mem::take(&mut self.connections).into_iter();
        broken.map(|(id, it)| (id, (it.client, it.back))).collect()
    }
}
