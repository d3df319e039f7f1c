//! What happens to a node.

use std::fmt;

use anyhow::{Context, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// kill -9 some time after records were acknowledged.
    Load,
    /// The same, and the next starts are killed as well.
    Start,
    /// kill -9 in the midst of a clean stop.
    Stop,
    /// Killed right in front of the n-th system call of its sort.
    Call,
    /// Syncs that fail.
    FailedSync,
    /// Writes and truncations that fail.
    FailedWrite,
    /// Writes for which there is no room, by injection.
    NoRoom,
    /// A volume that is really full, again and again.
    SmallDisk,
    /// A volume as it is on its device, without what was not written to it yet.
    Power,
}

impl Kind {
    pub(crate) const ALL: [Kind; 9] = [
        Kind::Load,
        Kind::Start,
        Kind::Stop,
        Kind::Call,
        Kind::FailedSync,
        Kind::FailedWrite,
        Kind::NoRoom,
        Kind::SmallDisk,
        Kind::Power,
    ];

    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Load => "load",
            Kind::Start => "start",
            Kind::Stop => "stop",
            Kind::Call => "call",
            Kind::FailedSync => "failed-sync",
            Kind::FailedWrite => "failed-write",
            Kind::NoRoom => "no-room",
            Kind::SmallDisk => "small-disk",
            Kind::Power => "power",
        }
    }

    /// # Errors
    /// When there is none of that name.
    pub(crate) fn from_name(name: &str) -> Result<Kind> {
        let names = Kind::ALL.map(Kind::name).join(", ");
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.with_context(|| format!("{name} is no kind; there are {names}"))
    }

    /// Whether system calls are tampered with.
    #[must_use]
    pub(crate) fn is_injected(self) -> bool {
        matches!(self, Kind::Call | Kind::FailedSync | Kind::FailedWrite | Kind::NoRoom)
    }

    /// Whether it takes a volume of its own.
    #[must_use]
    pub(crate) fn is_mounted(self) -> bool {
        matches!(self, Kind::SmallDisk | Kind::Power)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
