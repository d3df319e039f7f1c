//! How much of everything there was in a world.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Counts; those of many worlds add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub worlds: u64,
    /// Requests that reached the node.
    pub frames: u64,
    /// Answers that reached their clients.
    pub answers: u64,
    /// Effects that the disk was given.
    pub disk_effects: u64,
    /// Promises that the disk reported as kept or broken.
    pub completions: u64,
    /// Produces whose records were looked at elsewhere.
    pub examined: u64,
    /// Deadlines and other calls that the node was given.
    pub deadlines: u64,
    /// All that happened, clients' own timers included.
    pub events: u64,
    pub simulated_ms: u64,
    /// Starts of the node, the first included.
    pub starts: u64,
    /// Changes asked of its disk.
    pub disk_operations: u64,
    pub acknowledged_records: u64,
    /// Records that consumers were given.
    pub read_records: u64,
    /// Acknowledged commits of groups.
    pub commits: u64,
    pub deleted_topics: u64,
    /// Faults that happened, by name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Census {
    /// What one machine of the world told another: the node, its disk, its clients.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.frames + self.answers + self.disk_effects + self.completions
    }

    pub(super) fn count_fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }
}

impl AddAssign<&Census> for Census {
    fn add_assign(&mut self, other: &Census) {
        self.worlds += other.worlds;
        self.frames += other.frames;
        self.answers += other.answers;
        self.disk_effects += other.disk_effects;
        self.completions += other.completions;
        self.examined += other.examined;
        self.deadlines += other.deadlines;
        self.events += other.events;
        self.simulated_ms += other.simulated_ms;
        self.starts += other.starts;
        self.disk_operations += other.disk_operations;
        self.acknowledged_records += other.acknowledged_records;
        self.read_records += other.read_records;
        self.commits += other.commits;
        self.deleted_topics += other.deleted_topics;
        for (name, count) in &other.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }
}
