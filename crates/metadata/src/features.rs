//! The feature levels this software can run with (KIP-584), as Apache Kafka 4.3 has them.

/// One feature's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    pub min_level: i16,
    pub max_level: i16,
    /// The level of a new cluster.
    pub default_level: i16,
}

pub const METADATA_VERSION: &str = "metadata.version";
/// 3.3-IV3, the lowest that 4.x runs with.
const METADATA_VERSION_MIN: i16 = 7;
/// 4.3-IV0
const METADATA_VERSION_LATEST: i16 = 30;

const fn feature(name: &'static str, min_level: i16, max_level: i16) -> Feature {
    Feature { name, min_level, max_level, default_level: max_level }
}

pub const SUPPORTED: &[Feature] = &[
    feature("eligible.leader.replicas.version", 0, 1),
    feature("group.version", 0, 1),
    Feature { name: "kraft.version", min_level: 0, max_level: 1, default_level: 0 },
    feature(METADATA_VERSION, METADATA_VERSION_MIN, METADATA_VERSION_LATEST),
    feature("share.version", 0, 1),
    feature("streams.version", 0, 1),
    feature("transaction.version", 0, 2),
];

#[must_use]
pub fn find(name: &str) -> Option<&'static Feature> {
    SUPPORTED.iter().find(|feature| feature.name == name)
}
