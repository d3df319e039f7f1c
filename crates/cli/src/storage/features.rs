//! Releases and the feature levels that they bring (KIP-584, KIP-1022).

use std::collections::BTreeMap;
use std::io::Write;

use strom_metadata::bootstrap::BootstrapLevels;
use strom_metadata::features::{
    ELIGIBLE_LEADER_REPLICAS, Feature, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_LATEST,
    METADATA_VERSIONS, SUPPORTED, find, required_metadata_version,
};

use crate::failure::{Failure, Outcome};

/// In Kafka's order: a feature, and the `metadata.version` that brings its highest level.
const BROUGHT_BY: [(&str, i16); 6] = [
    (KRAFT_VERSION, 21),
    ("transaction.version", 24),
    ("group.version", 22),
    (ELIGIBLE_LEADER_REPLICAS, 26),
    ("share.version", 28),
    ("streams.version", 29),
];

/// The name of a `metadata.version` level.
pub(super) fn release_name(level: i16) -> &'static str {
    METADATA_VERSIONS.iter().find(|it| it.level == level).map_or("unknown", |it| it.name)
}

/// The level of `4.1-IV0`, or of the last one of `4.1`.
fn level_of(release: &str) -> Outcome<i16> {
    let last = format!("{release}-");
    let is_meant = |name: &str| name == release || name.starts_with(&last);
    let found = METADATA_VERSIONS.iter().rfind(|it| is_meant(it.name));
    found.map(|it| it.level).ok_or_else(|| {
        let names: Vec<&str> = METADATA_VERSIONS.iter().map(|it| it.name).collect();
        Failure::said(format!(
            "Unknown metadata.version '{release}'. Supported metadata.version are: {}",
            names.join(", ")
        ))
    })
}

fn level_or_latest(release: Option<&str>) -> Outcome<i16> {
    release.map_or(Ok(METADATA_VERSION_LATEST.level), level_of)
}

/// The level that a feature has since a `metadata.version`, in a cluster of another one.
fn brought(name: &str, since: i16, metadata_version: i16) -> i16 {
    let highest = find(name).map_or(0, |feature| feature.max_level);
    if metadata_version >= since { highest } else { 0 }
}

/// The levels that a cluster begins with: those of the release, then those given one by one.
pub(super) fn levels(release: Option<&str>, given: &[String]) -> Outcome<BootstrapLevels> {
    let mut metadata_version = level_or_latest(release)?;
    let mut levels = BTreeMap::new();
    for text in given {
        let (name, level) = parse(text)?;
        let feature = supported(&name)?;
        if !(feature.min_level..=feature.max_level).contains(&level) {
            let text = format!("No feature:{name} with feature level {level}");
            return Err(Failure::said(text));
        }
        if name == METADATA_VERSION {
            metadata_version = level;
        }
        levels.insert(feature.name, level);
    }
    for (name, since) in BROUGHT_BY {
        levels.entry(name).or_insert_with(|| brought(name, since, metadata_version));
    }
    for (name, level) in &levels {
        let needed = required_metadata_version(name, *level);
        if let Some(needed) = needed.filter(|needed| metadata_version < *needed) {
            return Err(Failure::said(format!(
                "{name} could not be set to {level} because it depends on metadata.version level \
                 {needed}"
            )));
        }
    }
    Ok(BootstrapLevels::new(metadata_version, levels.into_iter()))
}

fn supported(name: &str) -> Outcome<&'static Feature> {
    find(name).ok_or_else(|| {
        let names = SUPPORTED.iter().map(|feature| feature.name);
        let names: Vec<&str> = names.filter(|name| *name != METADATA_VERSION).collect();
        Failure::said(format!(
            "Unsupported feature: {name}. Supported features are: {}",
            names.join(", ")
        ))
    })
}

pub(super) fn print_mapping(output: &mut impl Write, release: Option<&str>) -> Outcome {
    let level = level_or_latest(release)?;
    let name = release.unwrap_or_else(|| release_name(level));
    writeln!(output, "metadata.version={level} ({name})")?;
    for (feature, since) in BROUGHT_BY {
        writeln!(output, "{feature}={}", brought(feature, since, level))?;
    }
    Ok(())
}

pub(super) fn print_dependencies(output: &mut impl Write, given: &[String]) -> Outcome {
    for text in given {
        let (name, level) = parse(text)?;
        let Some(feature) = find(&name) else {
            return Err(Failure::said(format!("Unknown feature: {name}")));
        };
        if !(feature.min_level..=feature.max_level).contains(&level) {
            let text = format!("Feature level {level} is not supported for feature {name}");
            return Err(Failure::said(text));
        }
        match required_metadata_version(&name, level) {
            Some(needed) => {
                writeln!(output, "{name}={level} requires:")?;
                writeln!(output, "    metadata.version={needed} ({})", release_name(needed))?;
            }
            None if name == METADATA_VERSION => {
                writeln!(output, "{name}={level} ({}) has no dependencies.", release_name(level))?;
            }
            None => writeln!(output, "{name}={level} has no dependencies.")?,
        }
    }
    Ok(())
}

fn parse(text: &str) -> Outcome<(String, i16)> {
    let parsed = text.split_once('=').and_then(|(name, level)| {
        Some((name.trim().to_owned(), level.trim().parse::<i16>().ok()?))
    });
    parsed.ok_or_else(|| {
        Failure::said(format!("Can't parse feature=level string {text}: feature=level is expected"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_its_last_version_and_brings_its_features() {
        assert_eq!(level_of("4.0").unwrap(), 25);
        assert_eq!(release_name(level_or_latest(None).unwrap()), "4.3-IV0");
        let levels = levels(Some("4.1-IV0"), &["group.version=0".to_owned()]).unwrap();
        assert_eq!(levels.level("metadata.version"), 26);
        assert_eq!(levels.level("group.version"), 0);
        assert_eq!(levels.level("eligible.leader.replicas.version"), 1);
        assert_eq!(levels.level("share.version"), 0);
    }

    #[test]
    fn without_a_word_a_cluster_begins_as_a_node_that_formats_itself() {
        assert_eq!(levels(None, &[]).unwrap(), BootstrapLevels::default());
        let with_quorum = levels(None, &["kraft.version=1".to_owned()]).unwrap();
        assert_eq!(with_quorum, BootstrapLevels::default());
    }

    #[test]
    fn what_is_unknown_or_does_not_fit_is_refused() {
        assert!(level_of("9.9").is_err());
        for wrong in ["nosuch=1", "group.version=7", "group.version"] {
            assert!(levels(None, &[wrong.to_owned()]).is_err(), "{wrong}");
        }
        let elr = "eligible.leader.replicas.version=1".to_owned();
        assert!(levels(Some("3.9"), &[elr]).is_err());
    }
}
