//! The seeded generator (splitmix64): the only source of randomness in a pure crate.
//!
//! The shell seeds it from the operating system, the simulator from the run's seed. Not for secrets.

use crate::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 for a bound of 0. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// True once in `n` draws on average.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A random (version 4) id that is none of Kafka's reserved ones.
    pub fn uuid(&mut self) -> Uuid {
        loop {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&self.next_u64().to_be_bytes());
            bytes[8..].copy_from_slice(&self.next_u64().to_be_bytes());
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            let id = Uuid(bytes);
            // Kafka refuses ids whose text begins with '-': tools would take them for an option.
            if !id.is_reserved() && !id.to_string().starts_with('-') {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
    #[test]
    fn ids_are_random_ones_of_version_4_that_tools_take_for_no_option() {
        let mut random = Random::new(3);
        let ids: Vec<Uuid> = (0..1_000).map(|_| random.uuid()).collect();
        for id in &ids {
            assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (4, 2), "{id}");
            assert!(!id.is_reserved() && !id.to_string().starts_with('-'), "{id}");
        }
        // All other bits are drawn.
        for byte in 0..16 {
            let seen = ids
                .iter()
                .fold((0, 0), |(ones, zeros), id| (ones | id.0[byte], zeros | !id.0[byte]));
            let drawn = match byte {
                6 => 0x0f,
                8 => 0x3f,
                _ => 0xff,
            };
            assert_eq!((seen.0 & drawn, seen.1 & drawn), (drawn, drawn), "byte {byte}");
        }
    }
}
