//! From the first input to the last: starting, running, and the orderly stop.

mod starting;
mod stopping;

use std::collections::BTreeSet;

use strom_storage::disk::Ticket;

use crate::Broker;
use stopping::StopStep;

/// Where the node is in its life.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The metadata log is being caught up with; no client is served.
    Starting,
    Running,
    Stopping {
        step: StopStep,
        waiting: BTreeSet<Ticket>,
        is_clean: bool,
    },
    Stopped,
}

impl Broker {
    /// Whether clients may connect.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Nothing is begun any more: the stop goes on by what the disk reports.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Stopping { .. } | Phase::Stopped)
    }

    /// Whether the orderly stop is done.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }
}
