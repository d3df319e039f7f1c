//! Look-ups that wait for their turn: connections one after the other, and each connection's in order. Who sends
//! many waits for itself.

use std::collections::VecDeque;

use strom_base::IdMap;

use super::LookUp;
use crate::effect::ConnectionId;

#[derive(Debug, Default)]
pub(super) struct Line {
    /// None of the lists is empty.
    of: IdMap<ConnectionId, VecDeque<LookUp>>,
    turns: VecDeque<ConnectionId>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.of.values().map(VecDeque::len).sum()
    }

    pub(super) fn push(&mut self, look_up: LookUp) {
        let id = look_up.connection();
        let own = self.of.entry(id).or_default();
        if own.is_empty() {
            self.turns.push_back(id);
        }
        own.push_back(look_up);
    }

    pub(super) fn pop(&mut self) -> Option<LookUp> {
        let id = self.turns.pop_front()?;
        let own = self.of.get_mut(&id)?;
        let next = own.pop_front();
        if own.is_empty() {
            self.of.remove(&id);
        } else {
            self.turns.push_back(id);
        }
        next
    }

    /// Those of a connection, which wait no more.
    pub(super) fn take_of(&mut self, id: ConnectionId) -> VecDeque<LookUp> {
        self.turns.retain(|it| *it != id);
        self.of.remove(&id).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use strom_protocol::ApiKey;

    use super::*;
    use crate::call::ReturnAddress;
    use crate::connections::ReplyTo;

    fn look_up(connection: u64, sequence: u64) -> LookUp {
        let to = ReplyTo { connection: ConnectionId(connection), sequence };
        let api = ApiKey::ListOffsets;
        let address = ReturnAddress { to, api, version: 7, correlation_id: 0 };
        LookUp { address, frame: BytesMut::new(), reached: Vec::new(), open: Vec::new() }
    }

    #[test]
    fn connections_take_turns_and_each_keeps_its_order() {
        let mut line = Line::default();
        for (connection, sequence) in [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)] {
            line.push(look_up(connection, sequence));
        }
        assert_eq!(line.take_of(ConnectionId(3)).len(), 2);
        let popped = std::iter::from_fn(|| line.pop()).map(|it| it.address.to);
        let popped: Vec<_> = popped.map(|to| (to.connection.0, to.sequence)).collect();
        assert_eq!(popped, [(1, 0), (2, 0), (1, 1), (1, 2)]);
        assert_eq!(line.len(), 0);
        line.push(look_up(2, 1));
        assert!(line.pop().is_some() && line.pop().is_none());
    }
}
