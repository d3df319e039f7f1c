//! Which partition a record goes to, as Kafka's default partitioner decides (KIP-480).
//!
//! A key decides by its murmur2 hash. Records without key stick to one partition until its batch
//! is full, then move to another one at random.

use strom_base::Random;

/// Kafka's variant of murmur2, seed 0x9747b28c.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a keyed record among `count` partitions.
#[must_use]
pub fn partition_for_key(key: &[u8], count: u32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    positive.checked_rem(count).unwrap_or(0) as i32
}

/// The partition that records without key stick to, for one topic.
#[derive(Clone, Debug, Default)]
pub struct Sticky {
    current: Option<i32>,
}

impl Sticky {
    /// The current choice among the available partitions (ascending, not empty).
    pub fn partition(&mut self, available: &[i32], random: &mut Random) -> i32 {
        match self.current {
            Some(current) if available.contains(&current) => current,
            _ => self.move_on(available, random),
        }
    }

    /// Chooses another partition, because the batch of the current one is full.
    pub fn move_on(&mut self, available: &[i32], random: &mut Random) -> i32 {
        let others: Vec<i32> =
            available.iter().copied().filter(|p| Some(*p) != self.current).collect();
        let candidates = if others.is_empty() { available } else { &others };
        let choice = random.below(candidates.len() as u64) as usize;
        let partition = candidates.get(choice).copied().unwrap_or(0);
        self.current = Some(partition);
        partition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of Kafka's own test of its hash.
    #[test]
    fn the_hash_is_kafkas() {
        let cases: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key) as i32, hash, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn keyless_records_stick_until_moved_on() {
        let mut random = Random::new(3);
        let mut sticky = Sticky::default();
        let first = sticky.partition(&[0, 1, 2], &mut random);
        assert_eq!(sticky.partition(&[0, 1, 2], &mut random), first);
        assert_ne!(sticky.move_on(&[0, 1, 2], &mut random), first);
        assert_eq!(sticky.partition(&[7], &mut random), 7);
        assert_eq!(sticky.move_on(&[7], &mut random), 7);
    }
}
