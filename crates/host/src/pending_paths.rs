//! Paths that a worker has not finished with. What comes later for such a path goes to the same
//! worker, so that effects on one path happen in their order though some of them run on the shard.

use std::collections::BTreeMap;

use strom_storage::disk::DiskPath;

#[derive(Debug, Default)]
pub(crate) struct PendingPaths {
    /// How many pieces of work name each path.
    by_path: BTreeMap<DiskPath, u32>,
}

impl PendingPaths {
    pub(crate) fn begin(&mut self, path: &DiskPath) {
        *self.by_path.entry(path.clone()).or_default() += 1;
    }

    pub(crate) fn finish(&mut self, path: &DiskPath) {
        if let Some(count) = self.by_path.get_mut(path) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_path.remove(path);
            }
        }
    }

    /// Nothing is pending: the usual case.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Whether work is pending on the path, on a folder that it is in, or on something below it.
    /// Many may be pending, of a request that makes thousands of partitions.
    #[must_use]
    pub(crate) fn touches(&self, path: &DiskPath) -> bool {
        let mut place = path.clone();
        loop {
            if self.by_path.contains_key(&place) {
                return true;
            }
            if place.path.is_empty() {
                break;
            }
            place.path.truncate(place.path.rfind('/').unwrap_or(0));
        }
        let mut below = path.clone();
        if !below.path.is_empty() {
            below.path.push('/');
        }
        let next = self.by_path.range(&below..).next();
        next.is_some_and(|(it, _)| {
            it.directory == below.directory && it.path.starts_with(&below.path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_storage::disk::DirectoryId;

    fn path(text: &str) -> DiskPath {
        DiskPath { directory: DirectoryId(0), path: text.to_owned() }
    }

    #[test]
    fn a_path_touches_itself_its_folders_and_what_is_below() {
        let mut pending = PendingPaths::default();
        pending.begin(&path("a-0/partition.metadata"));
        pending.begin(&path("a-0/partition.metadata"));
        for touched in ["a-0/partition.metadata", "a-0", ""] {
            assert!(pending.touches(&path(touched)), "{touched}");
        }
        let other = DiskPath { directory: DirectoryId(1), ..path("a-0") };
        for apart in [path("a-0/0.log"), path("a"), path("a-00"), other] {
            assert!(!pending.touches(&apart), "{apart:?}");
        }
        pending.finish(&path("a-0/partition.metadata"));
        assert!(pending.touches(&path("a-0")));
        pending.finish(&path("a-0/partition.metadata"));
        assert!(pending.is_empty());
    }
}
