//! What the engine's reports do to the log.

use crate::disk::{DiskError, Ticket};

/// What a completion meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// An append (or several) became written.
    Written { written_offset: i64 },
    /// The recovery point moved, or stands.
    Synced { synced_offset: i64 },
    /// Index, checkpoint and the like; a ticket given out by `start_epoch` or `close`, too.
    Other,
    /// These tickets will never be kept. Failed appends are taken back: the log end offset is
    /// where it was before the first of them.
    Failed { tickets: Vec<Ticket>, error: DiskError },
}
