//! The connections of a node: who is at the other end, and answers in the order of the requests.
//!
//! Requests are executed as they arrive; an answer that has to wait (a long poll, a join) holds back
//! the later ones of the same connection, so that replies leave in request order.

use std::collections::VecDeque;

use bytes::BytesMut;
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
    /// What came behind a request whose records somebody looks at.
    behind: Option<Vec<BytesMut>>,
    /// It broke the protocol: what it sent after that is not looked at.
    is_refused: bool,
    /// Nobody is there any more, and what waits is yet to be taken: it had come before.
    is_gone: bool,
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
            behind: None,
            is_refused: false,
            is_gone: false,
        };
        self.by_id.insert(id, connection);
    }

    /// Nobody is there any more. What it has sent is taken nevertheless: records without an answer, say.
    pub(crate) fn close(&mut self, id: ConnectionId) {
        match self.by_id.get_mut(&id) {
            Some(connection) if connection.behind.is_some() => connection.is_gone = true,
            _ => drop(self.by_id.remove(&id)),
        }
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

    /// From now on its requests wait for the one before them.
    pub(crate) fn hold(&mut self, id: ConnectionId) {
        if let Some(connection) = self.by_id.get_mut(&id) {
            connection.behind = Some(Vec::new());
        }
    }

    #[must_use]
    pub(crate) fn is_held(&self, id: ConnectionId) -> bool {
        self.by_id.get(&id).is_some_and(|it| it.behind.is_some())
    }

    /// Lets a request wait, if the connection's requests do; else it is given back.
    pub(crate) fn keep_behind(&mut self, id: ConnectionId, frame: BytesMut) -> Option<BytesMut> {
        let behind = self.by_id.get_mut(&id).and_then(|it| it.behind.as_mut());
        match behind {
            None => Some(frame),
            Some(behind) => {
                behind.push(frame);
                None
            }
        }
    }

    /// Requests wait no longer; those that have.
    pub(crate) fn release(&mut self, id: ConnectionId) -> Vec<BytesMut> {
        let behind = self.by_id.get_mut(&id).and_then(|it| it.behind.take());
        behind.unwrap_or_default()
    }

    #[must_use]
    pub(crate) fn is_refused(&self, id: ConnectionId) -> bool {
        self.by_id.get(&id).is_some_and(|it| it.is_refused)
    }

    /// Whether all that it has sent is taken, and nobody is there; then it is forgotten.
    pub(crate) fn forget_gone(&mut self, id: ConnectionId) -> bool {
        let is_over = self.by_id.get(&id).is_some_and(|it| it.is_gone && it.behind.is_none());
        if is_over {
            self.by_id.remove(&id);
        }
        is_over
    }

    /// Takes the next place in the order of answers; `None` when the connection is gone.
    pub(crate) fn expect_reply(&mut self, id: ConnectionId) -> Option<ReplyTo> {
        let connection = self.by_id.get_mut(&id).filter(|it| !it.is_refused)?;
        let sequence = connection.first_sequence + connection.slots.len() as u64;
        connection.slots.push_back(Slot::Waiting);
        Some(ReplyTo { connection: id, sequence })
    }

    /// Requests of this connection that are not answered yet.
    #[must_use]
    pub(crate) fn outstanding(&self, id: ConnectionId) -> usize {
        self.by_id.get(&id).map_or(0, |connection| {
            connection.slots.len() + connection.behind.as_ref().map_or(0, Vec::len)
        })
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
        let (id, told, mut requests) = (to.connection, out.network.len(), 0);
        while !matches!(connection.slots.front(), None | Some(Slot::Waiting)) {
            connection.first_sequence += 1;
            match connection.slots.pop_front() {
                Some(Slot::Ready(response)) => {
                    out.network.push(NetworkEffect::Send { connection: id, response });
                }
                _ => requests += 1,
            }
        }
        if connection.is_gone {
            out.network.truncate(told);
        } else if requests > 0 {
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
