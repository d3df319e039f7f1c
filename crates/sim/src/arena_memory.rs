//! The memory behind an arena: a process may die between any two of its changes, and it stays.

use strom_storage::arena::{
    ArenaImage, ArenaMemory, BLOCK_BYTES, DESCRIPTOR_BYTES, Extent, SLOT_BYTES, UNIT_BYTES,
};

#[derive(Clone, Debug)]
struct Slot {
    owed: u64,
    descriptor: [u8; DESCRIPTOR_BYTES],
}

/// Blocks of an arena, of which the system grants so many.
#[derive(Clone, Debug)]
pub struct SimArenaMemory {
    /// Up to the highest that was ever written: behind it there are zeros.
    bytes: Vec<u8>,
    length: usize,
    slots: Vec<Slot>,
    granted: Vec<bool>,
    /// What the system gives at most.
    blocks_granted_max: usize,
    changes: u64,
    /// The process dies before the change of this number: it and all later ones are not made.
    pub dies_at: Option<u64>,
}

impl SimArenaMemory {
    #[must_use]
    pub fn new(blocks: usize, blocks_granted_max: usize) -> Self {
        let slot = Slot { owed: 0, descriptor: [0; DESCRIPTOR_BYTES] };
        Self {
            bytes: Vec::new(),
            length: blocks * BLOCK_BYTES,
            slots: vec![slot; blocks * BLOCK_BYTES / UNIT_BYTES],
            granted: vec![false; blocks],
            blocks_granted_max,
            changes: 0,
            dies_at: None,
        }
    }

    /// Changes asked for so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    #[must_use]
    pub fn has_died(&self) -> bool {
        self.dies_at.is_some_and(|at| self.changes > at)
    }

    /// `None` outside of the arena.
    #[must_use]
    pub fn bytes(&self, at: usize, length: usize) -> Option<&[u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    /// There is memory up to here: not before, as most lives write little.
    fn reach(&mut self, end: usize) {
        assert!(end <= self.length, "{end} lies outside of the arena");
        if self.bytes.len() < end {
            self.bytes.resize(end.next_multiple_of(UNIT_BYTES), 0);
        }
    }

    fn lives(&mut self) -> bool {
        self.changes += 1;
        !self.has_died()
    }

    fn check(&self, at: usize, length: usize) {
        let last = (at + length).saturating_sub(1) / BLOCK_BYTES;
        let is_granted = (at / BLOCK_BYTES..=last).all(|it| self.granted.get(it) == Some(&true));
        assert!(is_granted, "{length} bytes at {at} are not granted");
    }
}

impl ArenaMemory for SimArenaMemory {
    fn grant(&mut self, block: usize) -> bool {
        let count = self.granted.iter().filter(|it| **it).count();
        if count >= self.blocks_granted_max {
            return false;
        }
        self.granted.get_mut(block).is_some_and(|it| !std::mem::replace(it, true))
    }

    fn release(&mut self, block: usize) {
        self.check(block * BLOCK_BYTES, BLOCK_BYTES);
        if self.lives() {
            let released = self.bytes.iter_mut().skip(block * BLOCK_BYTES).take(BLOCK_BYTES);
            released.for_each(|byte| *byte = 0);
        }
        self.granted[block] = false;
    }

    fn store(&mut self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        self.reach(at + bytes.len());
        if self.lives() {
            self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) {
        self.check(from, length);
        self.check(to, length);
        self.reach(from.max(to) + length);
        if self.lives() {
            self.bytes.copy_within(from..from + length, to);
        }
    }

    fn describe(&mut self, slot: usize, descriptor: &[u8; DESCRIPTOR_BYTES]) -> bool {
        let is_alive = self.lives();
        let it = &mut self.slots[slot];
        if is_alive {
            assert_eq!(Extent::from_word(it.owed), None, "slot {slot} is in use");
            it.descriptor = *descriptor;
        }
        true
    }

    fn publish(&mut self, slot: usize, owed: Extent) {
        if self.lives() {
            self.slots[slot].owed = owed.to_word();
        }
    }
}

impl ArenaImage for SimArenaMemory {
    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn slot(&self, slot: usize) -> Option<[u8; SLOT_BYTES]> {
        let it = self.slots.get(slot)?;
        let mut bytes = [0; SLOT_BYTES];
        let (word, descriptor) = bytes.split_at_mut(SLOT_BYTES - DESCRIPTOR_BYTES);
        word.copy_from_slice(&it.owed.to_le_bytes());
        descriptor.copy_from_slice(&it.descriptor);
        Some(bytes)
    }

    fn read(&self, at: usize, length: usize) -> Option<Vec<u8>> {
        self.bytes(at, length).map(<[u8]>::to_vec)
    }
}
