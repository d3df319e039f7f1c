//! What a connection's task asks of the thread it lives on: the broker's own, which serves a request at
//! once, or a network thread, which hands it over.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use strom_broker::effect::ConnectionId;
use strom_intake::Takes;
use strom_storage::disk::DiskError;

use crate::cold_reads::ColdReads;
use crate::lane::Lane;
use crate::send::Outgoing;

/// Pieces of answers that are gathered before they are sent.
pub(crate) const PIECES_MAX: usize = 64;

/// Borrowed within a step of a connection's task, never across a wait.
pub(crate) type Shared<S> = Rc<RefCell<S>>;

/// A connection that has ended, and where it was counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) id: ConnectionId,
    pub(crate) address: SocketAddr,
    /// Index into the node's listeners.
    pub(crate) listener: usize,
}

pub(crate) trait Serves: Takes + Sized + 'static {
    fn lane(&self) -> &Lane<Self::Answer>;

    fn lane_mut(&mut self) -> &mut Lane<Self::Answer>;

    /// For the reads of what is sent.
    fn cold(&self) -> &ColdReads;

    /// Whether those who have had their share may go on.
    fn may_give_turns(&self) -> bool;

    /// Moves answers that are ready into `outgoing`, if that is empty.
    ///
    /// # Errors
    /// When one cannot be made: the connection cannot go on.
    fn collect(&mut self, id: ConnectionId, outgoing: &mut Outgoing) -> Result<(), DiskError>;

    /// Buffers of answers that were sent.
    fn recycle(&mut self, spent: &mut Vec<Vec<u8>>);

    fn on_closed(&mut self, closed: Closed);
}
