//! Directory ids that name no directory (KIP-858).

use strom_base::Uuid;

/// Written before directories were known to the controller.
pub const MIGRATING: Uuid = Uuid::ZERO;
/// The broker has not chosen yet: it reports its choice.
pub const UNASSIGNED: Uuid = Uuid::ONE;

/// Whether the id says no more than that the directory is not known.
#[must_use]
pub fn is_no_directory(id: Uuid) -> bool {
    id == MIGRATING || id == UNASSIGNED
}
