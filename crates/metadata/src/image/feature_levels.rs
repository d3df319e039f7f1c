//! The finalized feature levels of the cluster.

use std::collections::BTreeMap;

use super::Change;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureLevels {
    levels: BTreeMap<String, i16>,
    /// The offset of the last change; what ApiVersions calls the features' epoch.
    epoch: i64,
}

impl FeatureLevels {
    pub(super) fn set(&mut self, offset: i64, name: &str, level: i16) -> Change {
        self.epoch = offset;
        if level == 0 {
            self.levels.remove(name);
        } else {
            self.levels.insert(name.to_owned(), level);
        }
        Change::Features
    }

    /// 0 for a feature that is off.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    pub fn levels(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (name.as_str(), *level))
    }

    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}
