//! Sectors that are read wrong once: what lies on the disk is right, and who reads it again sees that.
//!
//! Only bytes of which a reader can tell: entries of indexes, and what a batch's checksum covers behind its
//! header. Of a batch's offset and length no format of Kafka's has a checksum.

use std::cell::RefCell;
use std::collections::BTreeSet;

use strom_base::Random;
use strom_protocol::records::HEADER_LENGTH;

use super::SECTOR_BYTES;

/// One sector in so many.
const RARITY: u64 = 3;
/// Where a batch tells its length, and how much of it that leaves out.
const LENGTH_AT: usize = 8;
const BEFORE_LENGTH_ENDS: usize = 12;

/// Which sectors are read wrong.
#[derive(Clone, Debug)]
pub struct Rot {
    seed: u64,
    /// By file and number.
    done: RefCell<BTreeSet<(u64, usize)>>,
}

impl Rot {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, done: RefCell::default() }
    }

    /// Turns a bit in each sector of `buffer`, read from `position` of a file that has `bytes`, which is to
    /// be read wrong now.
    pub(super) fn spoil(
        &self,
        (file, path, bytes): (u64, &str, &[u8]),
        position: usize,
        buffer: &mut [u8],
    ) {
        let is_index = path.ends_with(".index") || path.ends_with(".timeindex");
        if !is_index && !path.ends_with(".log") {
            return;
        }
        let end = position + buffer.len();
        for sector in position / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let mut random = Random::new(self.seed ^ (file << 32) ^ sector as u64);
            if !random.one_in(RARITY) {
                continue;
            }
            let at = sector * SECTOR_BYTES + random.below(SECTOR_BYTES as u64) as usize;
            let bit = 1 << random.below(8);
            if (position..end).contains(&at)
                && (is_index || is_in_a_body(bytes, at))
                && self.done.borrow_mut().insert((file, sector))
                && let Some(byte) = buffer.get_mut(at - position)
            {
                *byte ^= bit;
            }
        }
    }
}

/// Whether the byte belongs to the records of a batch.
fn is_in_a_body(file: &[u8], at: usize) -> bool {
    let mut position = 0;
    while let Some(length) = file.get(position + LENGTH_AT..).and_then(|it| it.first_chunk::<4>()) {
        let size = BEFORE_LENGTH_ENDS + u32::from_be_bytes(*length) as usize;
        if size <= HEADER_LENGTH || at < position + HEADER_LENGTH {
            return false;
        }
        position += size;
        if at < position {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoiled(rot: &Rot, path: &str, file: &[u8]) -> Vec<usize> {
        let mut read = file.to_vec();
        rot.spoil((1, path, file), 0, &mut read);
        (0..file.len()).filter(|at| file.get(*at) != read.get(*at)).collect()
    }

    #[test]
    fn what_is_read_again_is_right() {
        let (rot, file) = (Rot::new(7), [5; 40 * SECTOR_BYTES]);
        let first = spoiled(&rot, "a-0/0.index", &file);
        assert!((5..30).contains(&first.len()), "{first:?}");
        assert!(spoiled(&rot, "a-0/0.index", &file).is_empty());
        assert!(spoiled(&rot, "a-0/leader-epoch-checkpoint", &file).is_empty());
    }

    #[test]
    fn headers_of_batches_are_left_alone() {
        let size = 100;
        let mut file = vec![0; 200 * size];
        for batch in file.chunks_mut(size) {
            batch[LENGTH_AT + 3] = (size - BEFORE_LENGTH_ENDS) as u8;
        }
        // Zeros ahead.
        file.resize(300 * size, 0);
        let wrong = spoiled(&Rot::new(7), "a-0/0.log", &file);
        assert!(!wrong.is_empty());
        assert!(wrong.iter().all(|at| *at < 200 * size && at % size >= HEADER_LENGTH), "{wrong:?}");
    }
}
