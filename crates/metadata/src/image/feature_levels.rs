//! The finalized feature levels of the cluster.

use std::collections::BTreeMap;

use strom_protocol::feature_level_record::FeatureLevelRecord;

use crate::features::{self, KRAFT_VERSION, METADATA_VERSION};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureLevels {
    levels: BTreeMap<String, i16>,
}

impl FeatureLevels {
    pub(super) fn replay(&mut self, record: &FeatureLevelRecord<'_>) -> Result<(), String> {
        let FeatureLevelRecord { name, feature_level: level, .. } = *record;
        // Old clusters have one here, but it counts only in control records (KAFKA-18979).
        if name == KRAFT_VERSION {
            return Ok(());
        }
        let is_supported = features::find(name)
            .map_or(level == 0, |it| (it.min_level..=it.max_level).contains(&level));
        if !is_supported {
            return Err(format!("this software does not support level {level} of {name}"));
        }
        if level == 0 {
            self.levels.remove(name);
        } else {
            self.levels.insert(name.to_owned(), level);
        }
        Ok(())
    }

    /// 0 for a feature that is off.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// What the records of this cluster look like; 0 before the first record.
    #[must_use]
    pub fn metadata_version(&self) -> i16 {
        self.level(METADATA_VERSION)
    }

    /// In the order of their names.
    pub fn levels(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (name.as_str(), *level))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}
