//! What network threads and the broker's thread tell each other.

use bytes::BytesMut;
use strom_broker::effect::ConnectionId;

use crate::connection::Accepted;
use crate::send::Resolved;
use crate::serves::Closed;
use crate::stream::Incoming;
use strom_intake::Ending;
use strom_intake::turns::REQUEST_CHARGE;

/// The number of a connection's thread stands in the bits from here on; 0 is the broker's.
const THREAD_SHIFT: u32 = 48;

/// From a network thread.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A whole request; `is_bulk` when it came with many bytes, so that others may go before it.
    Request {
        id: ConnectionId,
        frame: BytesMut,
        is_bulk: bool,
    },
    /// So many parts of answers that lie elsewhere are on their way out: further ones may be given.
    Collected {
        id: ConnectionId,
        parts: usize,
    },
    Closed(Closed),
    /// The memory of an answer that was sent.
    Spent(Vec<u8>),
    /// A thread has ended that should not.
    Lost {
        thread: usize,
    },
}

/// To a network thread.
#[derive(Debug)]
pub(super) enum Told {
    Accepted(Box<Accepted<Incoming>>),
    /// The next answer of a connection.
    Answer {
        id: ConnectionId,
        answer: Resolved,
    },
    /// So many of its requests get no answer (acks=0), and are done.
    Silent {
        id: ConnectionId,
        requests: usize,
    },
    Close {
        id: ConnectionId,
        ending: Ending,
    },
    /// The broker does not serve the next requests of the connection for a while: nothing more of it is to be
    /// brought until [`Told::GoOn`], and from then on one request at a time, each until it is told again.
    Hold {
        id: ConnectionId,
    },
    /// The next request of a connection that was held may be brought.
    GoOn {
        id: ConnectionId,
    },
    /// So much of what the thread was charged with ([`charge_of`]) was taken up.
    Taken {
        bytes: usize,
    },
    /// The node has ended.
    Stop,
}

impl Asked {
    /// The connection that it is about, if its messages have an order.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Request { id, .. } => Some(*id),
            Self::Closed(closed) => Some(closed.id),
            Self::Collected { .. } | Self::Spent(_) | Self::Lost { .. } => None,
        }
    }

    /// Whether others may go before it, for it brings much.
    pub(super) fn is_bulk(&self) -> bool {
        matches!(self, Self::Request { is_bulk: true, .. })
    }

    /// What its thread was charged with for it.
    pub(super) fn charge(&self) -> usize {
        match self {
            Self::Request { frame, .. } => charge_of(frame),
            _ => 0,
        }
    }
}

/// What a request counts for on its way to the broker.
pub(super) fn charge_of(frame: &BytesMut) -> usize {
    frame.len() + REQUEST_CHARGE
}

/// The id of the `sequence`-th connection of the node, on a network thread.
pub(super) fn id_on(thread: usize, sequence: u64) -> ConnectionId {
    ConnectionId(((thread as u64 + 1) << THREAD_SHIFT) | sequence)
}

/// The network thread that a connection lives on; `None` when it is the broker's.
pub(super) fn thread_of(id: ConnectionId) -> Option<usize> {
    ((id.0 >> THREAD_SHIFT) as usize).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_thread() {
        assert_eq!(thread_of(ConnectionId(7)), None);
        assert_eq!(thread_of(id_on(0, 7)), Some(0));
        assert_eq!(thread_of(id_on(63, u64::from(u32::MAX))), Some(63));
    }
}
