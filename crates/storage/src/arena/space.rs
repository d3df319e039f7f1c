//! Which pieces of the arena are free: buddies from 4 KiB to 1 MiB, in blocks of 1 MiB that the
//! system has granted.

use std::collections::BTreeSet;

/// The smallest piece, and what direct writes are aligned to.
pub const UNIT_BYTES: usize = 4 * 1024;
/// The largest piece, and what the system grants and takes back at once.
pub const BLOCK_BYTES: usize = 1 << 20;

/// `UNIT_BYTES << 8 == BLOCK_BYTES`
const ORDERS: usize = 9;

#[derive(Debug)]
pub(super) struct Space {
    /// Positions of free pieces by order, the lowest taken first: high blocks fall free.
    free: [BTreeSet<usize>; ORDERS],
    /// By block: whether the system has granted it.
    granted: Vec<bool>,
    /// How many whole blocks have been free all the time since that was last asked.
    unneeded: usize,
}

/// The order of the smallest piece that holds `bytes`; the largest if none does.
fn order_of(bytes: usize) -> usize {
    (0..ORDERS - 1).find(|order| UNIT_BYTES << order >= bytes).unwrap_or(ORDERS - 1)
}

/// The size of the smallest piece that holds `bytes`; the largest if none does.
pub(super) fn piece_bytes(bytes: usize) -> usize {
    UNIT_BYTES << order_of(bytes)
}

impl Space {
    /// Nothing is granted yet.
    pub(super) fn new(blocks_max: usize) -> Self {
        Self { free: Default::default(), granted: vec![false; blocks_max], unneeded: 0 }
    }

    /// Bytes that the system has granted.
    pub(super) fn granted_bytes(&self) -> usize {
        self.granted.iter().filter(|it| **it).count() * BLOCK_BYTES
    }

    /// The first block that may still be asked for.
    pub(super) fn next_ungranted(&self) -> Option<usize> {
        self.granted.iter().position(|it| !it)
    }

    pub(super) fn grant(&mut self, block: usize) {
        if let Some(granted) = self.granted.get_mut(block) {
            *granted = true;
            self.give(block * BLOCK_BYTES, BLOCK_BYTES);
        }
    }

    /// Most blocks that there can be.
    pub(super) fn blocks_max(&self) -> usize {
        self.granted.len()
    }

    /// Blocks that are free as a whole, or may still be granted.
    pub(super) fn blocks_to_be_had(&self) -> usize {
        self.free_blocks() + self.granted.iter().filter(|it| !**it).count()
    }

    /// Blocks that are free as a whole.
    pub(super) fn free_blocks(&self) -> usize {
        self.free.last().map_or(0, BTreeSet::len)
    }

    /// How many blocks nobody has wanted since this was last called.
    pub(super) fn take_unneeded(&mut self) -> usize {
        let unneeded = self.unneeded.min(self.free_blocks());
        self.unneeded = self.free_blocks() - unneeded;
        unneeded
    }

    /// A block that is free as a whole, taken out: the system may have it back.
    pub(super) fn take_free_block(&mut self) -> Option<usize> {
        let block = self.free.last_mut()?.pop_last()? / BLOCK_BYTES;
        if let Some(granted) = self.granted.get_mut(block) {
            *granted = false;
        }
        Some(block)
    }

    /// A piece of [`piece_bytes`], if there is one.
    pub(super) fn take(&mut self, bytes: usize) -> Option<usize> {
        let wanted = order_of(bytes);
        let found = (wanted..ORDERS).find(|order| !self.free[*order].is_empty())?;
        let at = self.free[found].pop_first()?;
        self.unneeded = self.unneeded.min(self.free_blocks());
        // The upper halves stay free.
        for order in wanted..found {
            self.free[order].insert(at + (UNIT_BYTES << order));
        }
        Some(at)
    }

    /// Gives a piece back, and joins it with its free neighbours.
    pub(super) fn give(&mut self, at: usize, bytes: usize) {
        let (mut at, mut order) = (at, order_of(bytes));
        while order + 1 < ORDERS && self.free[order].remove(&(at ^ (UNIT_BYTES << order))) {
            at &= !(UNIT_BYTES << order);
            order += 1;
        }
        self.free[order].insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_overlap_and_join_again() {
        let mut space = Space::new(1);
        assert_eq!(space.take(1), None);
        space.grant(0);
        let sizes = [1, 5000, 64 << 10, 300 << 10];
        let pieces: Vec<usize> = sizes.iter().filter_map(|it| space.take(*it)).collect();
        assert_eq!(pieces.len(), sizes.len());
        let mut ranges: Vec<_> =
            pieces.iter().zip(sizes).map(|(at, it)| (*at, at + piece_bytes(it))).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
        assert_eq!(space.take(BLOCK_BYTES), None);
        for (at, bytes) in pieces.into_iter().zip(sizes) {
            space.give(at, piece_bytes(bytes));
        }
        assert_eq!(space.take(BLOCK_BYTES), Some(0));
    }

    #[test]
    fn a_block_that_is_free_goes_back_to_the_system() {
        let mut space = Space::new(2);
        space.grant(0);
        space.grant(1);
        let kept = space.take(1);
        assert_eq!(space.take_free_block(), Some(1));
        assert_eq!(space.take_free_block(), None);
        assert_eq!((space.granted_bytes(), space.next_ungranted()), (BLOCK_BYTES, Some(1)));
        assert_eq!(kept, Some(0));
    }

    #[test]
    fn what_somebody_wanted_since_is_not_unneeded() {
        let mut space = Space::new(3);
        (0..3).for_each(|block| space.grant(block));
        assert_eq!(space.take_unneeded(), 0);
        let wanted = space.take(1).expect("a piece");
        space.give(wanted, UNIT_BYTES);
        assert_eq!((space.free_blocks(), space.take_unneeded()), (3, 2));
        assert!(space.take_free_block().is_some() && space.take_free_block().is_some());
        assert_eq!(space.take_unneeded(), 1);
    }
}
