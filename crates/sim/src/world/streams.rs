//! The randomness of a world: one seed, a generator for each thing that is drawn. Who draws more
//! from one leaves what comes of the others as it was.

use strom_base::Random;

/// What a generator is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Sizes, modes, settings, which clients there are.
    Plan,
    /// What goes wrong, and when.
    Faults,
    /// How long things take on their way between clients and the node.
    Network,
    /// How long the disk takes, and what survives of it.
    Disk,
    /// What the node itself draws.
    Node,
    /// How many log directories the node has.
    Directories,
    /// Which power failures leave sectors where others belong.
    Misdirection,
    /// When the disk is read wrong.
    Rot,
    /// Whether connections are driven byte by byte, and what arrives together.
    Sockets,
    /// Who comes that does not do as clients do, and when.
    StrangersPlan,
    /// What they do.
    Strangers,
    /// What one client does.
    Client(u64),
}

impl Purpose {
    fn number(self) -> u64 {
        match self {
            Purpose::Plan => 1,
            Purpose::Faults => 2,
            Purpose::Network => 3,
            Purpose::Disk => 4,
            Purpose::Node => 5,
            Purpose::Directories => 7,
            Purpose::Misdirection => 9,
            Purpose::Rot => 10,
            Purpose::Sockets => 8,
            Purpose::StrangersPlan => 11,
            Purpose::Strangers => 12,
            Purpose::Client(index) => 1000 + index,
        }
    }
}

/// The generator of a seed for one purpose.
pub(super) fn stream(seed: u64, purpose: Purpose) -> Random {
    let mut seeds = Random::new(seed ^ purpose.number().wrapping_mul(0xd134_2543_de82_ef95));
    Random::new(seeds.next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_numbers_of_its_own() {
        let purposes = [Purpose::Plan, Purpose::Disk, Purpose::Client(0), Purpose::Client(1)];
        let mut first: Vec<u64> =
            purposes.iter().map(|it| stream(7, *it).next_u64()).chain([7]).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), purposes.len() + 1);
        assert_eq!(stream(7, Purpose::Plan), stream(7, Purpose::Plan));
    }
}
