//! What a node holds for requests that are not answered: counted, so that somebody can see whether it
//! is ever more than was asked.

use crate::Broker;
use crate::fetches::PARKED_BYTES_MAX;

/// Fetches that wait take no more than this, and one more; beyond it none waits.
pub const FETCH_BYTES_MAX: usize = PARKED_BYTES_MAX;

/// Requests, and what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Requests that somebody waits for, on any connection.
    pub unanswered: usize,
    /// For records to read.
    pub fetches: usize,
    /// What these take, without what stands in sessions.
    pub fetch_bytes: usize,
    /// For their own records to be written or synced.
    pub produces: usize,
    /// For somebody who looks at their records.
    pub examined: usize,
    /// For the group coordinator, its members and its log.
    pub groups: usize,
    /// For records of the metadata log.
    pub metadata: usize,
    /// For records to be looked through, or to be brought into memory for that.
    pub look_ups: usize,
    /// What these take.
    pub look_up_bytes: usize,
}

impl Held {
    /// All that wait for something.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.fetches + self.produces + self.examined + self.groups + self.metadata + self.look_ups
    }
}

impl Broker {
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            unanswered: self.connections.unanswered(),
            fetches: self.parked_fetches.len(),
            fetch_bytes: self.parked_fetches.bytes(),
            produces: self.parked_produces.len(),
            examined: self.examinations.len(),
            groups: self.groups.waiting(),
            metadata: self.metadata.waiting(),
            look_ups: self.look_ups.len(),
            look_up_bytes: self.look_ups.bytes(),
        }
    }
}
