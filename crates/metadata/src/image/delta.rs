//! What a run of records has changed, for those who make a node follow the image.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::Uuid;

use super::ConfigResource;

/// Each thing once, however often it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Partitions that are new or changed, by the id of their topic.
    pub topics: BTreeMap<Uuid, BTreeSet<i32>>,
    /// Id and name of topics that are gone, in the order of their removal. A name may have come
    /// back under another id, which is then among `topics`.
    pub removed_topics: Vec<(Uuid, String)>,
    pub configs: BTreeSet<ConfigResource>,
    /// Ids of brokers whose registration changed or ended.
    pub brokers: BTreeSet<i32>,
    /// Whether a finalized feature level was set.
    pub features: bool,
}

impl Delta {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Delta::default()
    }

    pub(super) fn add_partition(&mut self, topic: Uuid, partition: i32) {
        self.topics.entry(topic).or_default().insert(partition);
    }

    pub(super) fn remove_topic(&mut self, topic: Uuid, name: &str) {
        self.topics.remove(&topic);
        self.removed_topics.push((topic, name.to_owned()));
    }
}
