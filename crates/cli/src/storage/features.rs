//! Releases and the feature levels that they bring (KIP-584, KIP-1022).

use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use std::io::Write;
use strom_metadata::features::{METADATA_VERSION, SUPPORTED, find};

pub(super) const KRAFT_VERSION: &str = "kraft.version";

/// `metadata.version` levels from 7 on, by name.
const RELEASES: [&str; 24] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
];
const FIRST_LEVEL: i16 = 7;

/// In Kafka's order: a feature, its level and the `metadata.version` that brings it.
const BROUGHT_BY: [(&str, i16, i16); 6] = [
    (KRAFT_VERSION, 1, 21),
    ("transaction.version", 2, 24),
    ("group.version", 1, 22),
    ("eligible.leader.replicas.version", 1, 26),
    ("share.version", 1, 28),
    ("streams.version", 1, 29),
];
/// What a level needs of `metadata.version` to work at all.
const NEEDS: [(&str, i16, i16); 1] = [("eligible.leader.replicas.version", 1, 23)];

/// The name of a `metadata.version` level.
pub(super) fn release_name(level: i16) -> &'static str {
    let index = usize::try_from(level.saturating_sub(FIRST_LEVEL)).unwrap_or(usize::MAX);
    RELEASES.get(index).copied().unwrap_or("unknown")
}

/// The level of `4.1-IV0`, or of the last one of `4.1`.
fn level_of(release: &str) -> Outcome<i16> {
    let last = format!("{release}-");
    let found = RELEASES.iter().rposition(|name| *name == release || name.starts_with(&last));
    let level = found.and_then(|index| i16::try_from(index).ok());
    level.map(|index| index.saturating_add(FIRST_LEVEL)).ok_or_else(|| {
        Failure::said(format!(
            "Unknown metadata.version '{release}'. Supported metadata.version are: {}",
            RELEASES.join(", ")
        ))
    })
}

fn latest() -> i16 {
    find(METADATA_VERSION).map_or(FIRST_LEVEL, |feature| feature.default_level)
}

/// The levels that a cluster begins with: those of the release, then those given one by one.
pub(super) fn levels(release: Option<&str>, given: &[String]) -> Outcome<BTreeMap<String, i16>> {
    let mut levels = BTreeMap::new();
    let mut metadata_version = release.map_or_else(|| Ok(latest()), level_of)?;
    for text in given {
        let (name, level) = parse(text)?;
        let Some(feature) = find(&name) else {
            let names = SUPPORTED.iter().map(|feature| feature.name);
            let names: Vec<&str> = names.filter(|name| *name != METADATA_VERSION).collect();
            return Err(Failure::said(format!(
                "Unsupported feature: {name}. Supported features are: {}",
                names.join(", ")
            )));
        };
        if !(feature.min_level..=feature.max_level).contains(&level) {
            let text = format!("No feature:{name} with feature level {level}");
            return Err(Failure::said(text));
        }
        if name == METADATA_VERSION {
            metadata_version = level;
        }
        levels.insert(name, level);
    }
    levels.insert(METADATA_VERSION.to_owned(), metadata_version);
    for (name, level, since) in BROUGHT_BY {
        let brought = if metadata_version >= since { level } else { 0 };
        levels.entry(name.to_owned()).or_insert(brought);
    }
    for (name, level, needed) in NEEDS {
        if levels.get(name).is_some_and(|chosen| *chosen >= level) && metadata_version < needed {
            return Err(Failure::said(format!(
                "{name} could not be set to {level} because it depends on metadata.version level \
                 {needed}"
            )));
        }
    }
    Ok(levels)
}

pub(super) fn print_mapping(output: &mut impl Write, release: Option<&str>) -> Outcome {
    let level = release.map_or_else(|| Ok(latest()), level_of)?;
    let name = release.unwrap_or_else(|| release_name(level));
    writeln!(output, "metadata.version={level} ({name})")?;
    for (feature, highest, since) in BROUGHT_BY {
        let level = if level >= since { highest } else { 0 };
        writeln!(output, "{feature}={level}")?;
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
        let needs =
            NEEDS.iter().find(|(feature, needing, _)| *feature == name && level >= *needing);
        match needs {
            Some((_, _, needed)) => {
                writeln!(output, "{name}={level} requires:")?;
                writeln!(output, "    metadata.version={needed} ({})", release_name(*needed))?;
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
        assert_eq!(release_name(latest()), "4.3-IV0");
        let levels = levels(Some("4.1-IV0"), &["group.version=0".to_owned()]).unwrap();
        assert_eq!(levels["metadata.version"], 26);
        assert_eq!(levels["group.version"], 0);
        assert_eq!(levels["eligible.leader.replicas.version"], 1);
        assert_eq!(levels["share.version"], 0);
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
