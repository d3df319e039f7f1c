//! Paths that a worker has not finished with. What comes later for such a path goes to the same
//! worker, so that effects on one path happen in their order though some of them run on the shard.

use std::collections::BTreeMap;

use strom_storage::disk::DiskPath;

#[derive(Debug, Default)]
pub(crate) struct PendingPaths {
    by_path: BTreeMap<DiskPath, Pending>,
}

/// How many pieces of work name a path.
#[derive(Debug, Default)]
struct Pending {
    all: u32,
    /// Those of them that write bytes which no other write under way touches.
    apart: u32,
}

impl PendingPaths {
    /// `is_apart`: it is a write of bytes that no other write under way touches.
    pub(crate) fn begin(&mut self, path: &DiskPath, is_apart: bool) {
        let pending = self.by_path.entry(path.clone()).or_default();
        pending.all += 1;
        pending.apart += u32::from(is_apart);
    }

    /// As it was begun.
    pub(crate) fn finish(&mut self, path: &DiskPath, is_apart: bool) {
        if let Some(pending) = self.by_path.get_mut(path) {
            pending.all = pending.all.saturating_sub(1);
            pending.apart = pending.apart.saturating_sub(u32::from(is_apart));
            if pending.all == 0 {
                self.by_path.remove(path);
            }
        }
    }

    /// As [`PendingPaths::touches`], for a write to the file: it need not come behind writes apart.
    #[must_use]
    pub(crate) fn touches_write(&self, path: &DiskPath) -> bool {
        self.by_path.get(path).is_some_and(|pending| pending.all > pending.apart)
            || self.is_within(path.parent())
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
        if self.is_within(path.clone()) {
            return true;
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

    /// Whether work is pending on the place, or on a folder that it is in.
    fn is_within(&self, mut place: DiskPath) -> bool {
        loop {
            if self.by_path.contains_key(&place) {
                return true;
            }
            if place.path.is_empty() {
                return false;
            }
            place.path.truncate(place.path.rfind('/').unwrap_or(0));
        }
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
        pending.begin(&path("a-0/partition.metadata"), false);
        pending.begin(&path("a-0/partition.metadata"), false);
        for touched in ["a-0/partition.metadata", "a-0", ""] {
            assert!(pending.touches(&path(touched)), "{touched}");
        }
        let other = DiskPath { directory: DirectoryId(1), ..path("a-0") };
        for apart in [path("a-0/0.log"), path("a"), path("a-00"), other] {
            assert!(!pending.touches(&apart), "{apart:?}");
        }
        pending.finish(&path("a-0/partition.metadata"), false);
        assert!(pending.touches(&path("a-0")));
        pending.finish(&path("a-0/partition.metadata"), false);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_write_need_not_come_behind_writes_apart_but_all_else_does() {
        let mut pending = PendingPaths::default();
        let file = path("a-0/0.log");
        pending.begin(&file, true);
        assert!(!pending.touches_write(&file) && pending.touches(&file));
        pending.begin(&file, false);
        assert!(pending.touches_write(&file));
        pending.finish(&file, false);
        pending.begin(&path("a-0"), false);
        assert!(pending.touches_write(&file));
        pending.finish(&path("a-0"), false);
        pending.finish(&file, true);
        assert!(pending.is_empty());
    }
}
