//! The connections of a node: who is at the other end, and answers in the order of the requests.
//!
//! Requests are executed as they are brought; an answer that has to wait (a long poll, a join) holds back
//! the later ones of the same connection, so that replies leave in request order.

use std::collections::VecDeque;

use strom_base::IdMap;

use crate::effect::{ConnectionId, Effects, NetworkEffect, Response};

/// Where an answer goes: the `sequence`-th request of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    pub connection: ConnectionId,
    pub sequence: u64,
}

#[derive(Debug)]
enum Slot {
    Waiting,
    Ready(Response),
    /// Answered with silence (acks=0).
    Silent,
}

/// One client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The peer's address, as the group coordinator and quotas name it.
    pub client_host: String,
    /// Index into the node's listeners.
    pub listener: usize,
    /// What the client says it is (KIP-511); empty until it said so.
    pub client_software: (String, String),
    first_sequence: u64,
    slots: VecDeque<Slot>,
    /// It broke the protocol: what it sent after that is not looked at.
    is_refused: bool,
}

/// All connections of the node.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_id: IdMap<ConnectionId, Connection>,
}

impl Connections {
    pub(crate) fn open(&mut self, id: ConnectionId, client_host: String, listener: usize) {
        let connection = Connection {
            client_host,
            listener,
            client_software: Default::default(),
            first_sequence: 0,
            slots: VecDeque::new(),
            is_refused: false,
        };
        self.by_id.insert(id, connection);
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.by_id.remove(&id);
    }

    #[must_use]
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.by_id.get_mut(&id)
    }

    /// The connection is closed, and no request of it is taken any more.
    pub(crate) fn refuse(&mut self, id: ConnectionId, reason: String, out: &mut Effects) {
        if let Some(connection) = self.by_id.get_mut(&id) {
            connection.is_refused = true;
        }
        out.network.push(NetworkEffect::Close { connection: id, reason });
    }

    /// Takes the next place in the order of answers; `None` when the connection is gone.
    pub(crate) fn expect_reply(&mut self, id: ConnectionId) -> Option<ReplyTo> {
        let connection = self.by_id.get_mut(&id).filter(|it| !it.is_refused)?;
        let sequence = connection.first_sequence + connection.slots.len() as u64;
        connection.slots.push_back(Slot::Waiting);
        Some(ReplyTo { connection: id, sequence })
    }

    /// Whether somebody is there who waits for this answer.
    pub(crate) fn awaits(&self, to: ReplyTo) -> bool {
        self.by_id.get(&to.connection).is_some_and(|it| !it.is_refused)
    }

    /// Requests of this connection that are not answered yet.
    #[must_use]
    pub(crate) fn outstanding(&self, id: ConnectionId) -> usize {
        self.by_id.get(&id).map_or(0, |connection| connection.slots.len())
    }

    /// Requests of all connections that are to be answered and are not yet.
    pub(crate) fn unanswered(&self) -> usize {
        let is_waiting = |slot: &&Slot| matches!(slot, Slot::Waiting);
        self.by_id.values().map(|it| it.slots.iter().filter(is_waiting).count()).sum()
    }

    /// Answers a request; a connection that has gone meanwhile is no error.
    pub(crate) fn reply(&mut self, to: ReplyTo, response: Response, out: &mut Effects) {
        out.count_work(response.bytes.len());
        self.fill(to, Slot::Ready(response), out);
    }

    /// Ends a request that gets no answer.
    pub(crate) fn stay_silent(&mut self, to: ReplyTo, out: &mut Effects) {
        self.fill(to, Slot::Silent, out);
    }

    fn fill(&mut self, to: ReplyTo, answer: Slot, out: &mut Effects) {
        let Some(connection) = self.by_id.get_mut(&to.connection) else { return };
        let Some(index) = to.sequence.checked_sub(connection.first_sequence) else { return };
        let Some(slot) = connection.slots.get_mut(index as usize) else { return };
        *slot = answer;
        let (id, mut requests) = (to.connection, 0);
        while !matches!(connection.slots.front(), None | Some(Slot::Waiting)) {
            connection.first_sequence += 1;
            match connection.slots.pop_front() {
                Some(Slot::Ready(response)) => {
                    out.network.push(NetworkEffect::Send { connection: id, response });
                }
                _ => requests += 1,
            }
        }
        if requests > 0 {
            // Who waits until it may send more is to hear of it.
            out.network.push(NetworkEffect::Silent { connection: id, requests });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_the_order_of_the_requests() {
        let (mut connections, mut out) = (Connections::default(), Effects::default());
        let id = ConnectionId(1);
        connections.open(id, "127.0.0.1".into(), 0);
        let replies: Vec<_> = (0..3).filter_map(|_| connections.expect_reply(id)).collect();
        let answer = |byte| Response { bytes: vec![byte], ranges: vec![] };
        connections.reply(replies[2], answer(2), &mut out);
        connections.stay_silent(replies[1], &mut out);
        assert!(out.network.is_empty());
        connections.reply(replies[0], answer(0), &mut out);
        let sent: Vec<u8> = out
            .network
            .iter()
            .map(|effect| match effect {
                NetworkEffect::Send { response, .. } => response.bytes[0],
                NetworkEffect::Silent { requests, .. } => 100 + *requests as u8,
                NetworkEffect::Close { .. } | NetworkEffect::GoOn { .. } => 255,
            })
            .collect();
        assert_eq!(sent, [0, 2, 101]);
        assert_eq!(connections.outstanding(id), 0);
    }
}
