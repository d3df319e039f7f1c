//! The seam to the memory behind an arena: outlives the process, not the machine.

use super::descriptor::{DESCRIPTOR_BYTES, Extent};

/// Positions are bytes from the begin of the chunks' memory; a slot is the number of a unit of
/// [`super::UNIT_BYTES`], and has room for one descriptor.
///
/// Calls take effect in their order, also for who finds the memory after the process was killed
/// between two of them.
pub trait ArenaMemory {
    /// A block of [`super::BLOCK_BYTES`] is to be used; false when the system has none to give.
    fn grant(&mut self, block: usize) -> bool;
    /// The block is not used any more; what it held is lost.
    fn release(&mut self, block: usize);
    fn store(&mut self, at: usize, bytes: &[u8]);
    /// Copies bytes between places that do not overlap.
    fn copy(&mut self, from: usize, to: usize, length: usize);
    /// Says what the chunk that begins with this unit is of. Only while its extent is empty. False
    /// when the system has no memory for that.
    fn describe(&mut self, slot: usize, descriptor: &[u8; DESCRIPTOR_BYTES]) -> bool;
    /// Says which bytes of the chunk the file does not have yet, in one step.
    fn publish(&mut self, slot: usize, owed: Extent);
}
