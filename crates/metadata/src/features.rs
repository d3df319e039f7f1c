//! The feature levels this software can run with (KIP-584, KIP-1022), as Apache Kafka 4.3 has them.

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
pub const KRAFT_VERSION: &str = "kraft.version";
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";

const fn feature(name: &'static str, min_level: i16, max_level: i16) -> Feature {
    Feature { name, min_level, max_level, default_level: max_level }
}

pub const SUPPORTED: &[Feature] = &[
    feature(ELIGIBLE_LEADER_REPLICAS, 0, 1),
    feature("group.version", 0, 1),
    Feature { name: KRAFT_VERSION, min_level: 0, max_level: 1, default_level: 0 },
    feature(METADATA_VERSION, METADATA_VERSIONS[0].level, METADATA_VERSION_LATEST.level),
    feature("share.version", 0, 1),
    feature("streams.version", 0, 1),
    feature("transaction.version", 0, 2),
];

#[must_use]
pub fn find(name: &str) -> Option<&'static Feature> {
    SUPPORTED.iter().find(|feature| feature.name == name)
}

/// One level of `metadata.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataVersion {
    pub level: i16,
    pub name: &'static str,
    /// Whether records changed: going back across it may lose what they say.
    pub changes_metadata: bool,
}

const fn version(level: i16, name: &'static str, changes_metadata: bool) -> MetadataVersion {
    MetadataVersion { level, name, changes_metadata }
}

/// Every level in order, the oldest that 4.x runs with first.
pub const METADATA_VERSIONS: [MetadataVersion; 24] = [
    version(7, "3.3-IV3", true),
    version(8, "3.4-IV0", true),
    version(9, "3.5-IV0", false),
    version(10, "3.5-IV1", false),
    version(11, "3.5-IV2", true),
    version(12, "3.6-IV0", false),
    version(13, "3.6-IV1", true),
    version(14, "3.6-IV2", true),
    version(15, "3.7-IV0", true),
    version(16, "3.7-IV1", false),
    version(17, "3.7-IV2", true),
    version(18, "3.7-IV3", false),
    version(19, "3.7-IV4", false),
    version(20, "3.8-IV0", false),
    version(21, "3.9-IV0", false),
    version(22, "4.0-IV0", false),
    version(23, "4.0-IV1", true),
    version(24, "4.0-IV2", false),
    version(25, "4.0-IV3", false),
    version(26, "4.1-IV0", false),
    version(27, "4.1-IV1", false),
    version(28, "4.2-IV0", false),
    version(29, "4.2-IV1", false),
    version(30, "4.3-IV0", true),
];

pub const METADATA_VERSION_LATEST: MetadataVersion = METADATA_VERSIONS[23];

/// The lowest `metadata.version` for a level of a feature, where it has one.
#[must_use]
pub fn required_metadata_version(name: &str, level: i16) -> Option<i16> {
    match (name, level) {
        (ELIGIBLE_LEADER_REPLICAS, 1..) => Some(23),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_no_gap() {
        for (expected, version) in (7..).zip(METADATA_VERSIONS) {
            assert_eq!(version.level, expected);
        }
    }
}
