//! The names on a disk and the journal of their changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use strom_base::Random;
use strom_storage::disk::{DirectoryId, DiskPath};

use super::parent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Folder,
    File(u64),
}

impl Entry {
    fn file(&self) -> Option<u64> {
        match self {
            Entry::File(id) => Some(*id),
            Entry::Folder => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    current: BTreeMap<DiskPath, Entry>,
    synced: BTreeMap<DiskPath, Entry>,
    /// Changes since, in order: a journal for each log directory, as each may be a volume.
    journals: BTreeMap<DirectoryId, VecDeque<Change>>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(DiskPath, Entry),
    Unlink(DiskPath),
    Rename { from: DiskPath, to: DiskPath },
}

impl Change {
    fn directory(&self) -> DirectoryId {
        match self {
            Change::Link(path, _) | Change::Unlink(path) | Change::Rename { from: path, .. } => {
                path.directory
            }
        }
    }

    fn touches(&self, folder: &DiskPath) -> bool {
        match self {
            Change::Link(path, _) | Change::Unlink(path) => parent(path) == *folder,
            Change::Rename { from, to } => parent(from) == *folder || parent(to) == *folder,
        }
    }

    fn apply(&self, names: &mut BTreeMap<DiskPath, Entry>) {
        match self {
            Change::Link(path, entry) => {
                names.insert(path.clone(), *entry);
            }
            Change::Unlink(path) => {
                names.remove(path);
            }
            Change::Rename { from, to } => rename(names, from, to),
        }
    }
}

fn rename(names: &mut BTreeMap<DiskPath, Entry>, from: &DiskPath, to: &DiskPath) {
    let Some(entry) = names.remove(from) else { return };
    names.insert(to.clone(), entry);
    if entry != Entry::Folder {
        return;
    }
    let inside = below(names, from);
    for path in inside {
        if let (Some(entry), Some(rest)) = (names.remove(&path), path.path.get(from.path.len()..)) {
            let moved = DiskPath { directory: to.directory, path: format!("{}{rest}", to.path) };
            names.insert(moved, entry);
        }
    }
}

/// All paths inside a folder, at any depth.
fn below(names: &BTreeMap<DiskPath, Entry>, folder: &DiskPath) -> Vec<DiskPath> {
    let prefix = if folder.path.is_empty() { String::new() } else { format!("{}/", folder.path) };
    let from = DiskPath { directory: folder.directory, path: prefix.clone() };
    let is_inside =
        |path: &&DiskPath| path.directory == folder.directory && path.path.starts_with(&prefix);
    names.range(from..).map(|(path, _)| path).take_while(is_inside).cloned().collect()
}

impl Names {
    pub(super) fn get(&self, path: &DiskPath) -> Option<Entry> {
        self.current.get(path).copied()
    }

    pub(super) fn has_parent(&self, path: &DiskPath) -> bool {
        let parent = parent(path);
        parent.path.is_empty() || self.get(&parent) == Some(Entry::Folder)
    }

    /// Names and entries right inside a folder, in order.
    pub(super) fn children(&self, folder: &DiskPath) -> impl Iterator<Item = (String, Entry)> {
        let skip = if folder.path.is_empty() { 0 } else { folder.path.len() + 1 };
        let mut children: Vec<(String, Entry)> = below(&self.current, folder)
            .into_iter()
            .filter_map(|path| {
                let name = path.path.get(skip..)?;
                let is_child = !name.is_empty() && !name.contains('/');
                is_child.then(|| Some((name.to_owned(), self.get(&path)?)))?
            })
            .collect();
        children.sort_by(|left, right| left.0.cmp(&right.0));
        children.into_iter()
    }

    /// The ids of all files that have a name.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        self.current.values().filter_map(Entry::file).collect()
    }

    /// The ids of the files in a log directory.
    pub(super) fn files_of(&self, directory: DirectoryId) -> BTreeSet<u64> {
        let names = self.current.iter().filter(|(path, _)| path.directory == directory);
        names.filter_map(|(_, entry)| entry.file()).collect()
    }

    pub(super) fn link(&mut self, path: DiskPath, entry: Entry) {
        self.change(Change::Link(path, entry));
    }

    pub(super) fn unlink(&mut self, path: DiskPath) {
        self.change(Change::Unlink(path));
    }

    pub(super) fn rename(&mut self, from: DiskPath, to: DiskPath) {
        self.change(Change::Rename { from, to });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.journals.entry(change.directory()).or_default().push_back(change);
    }

    /// The journal reaches the disk up to the last change in this folder.
    pub(super) fn sync(&mut self, folder: &DiskPath) {
        let Some(journal) = self.journals.get_mut(&folder.directory) else { return };
        let last = journal.iter().rposition(|change| change.touches(folder));
        keep(journal, last.map_or(0, |last| last + 1), &mut self.synced);
    }

    /// The journal of a log directory reaches the disk.
    pub(super) fn sync_all(&mut self, directory: DirectoryId) {
        if let Some(journal) = self.journals.get_mut(&directory) {
            keep(journal, journal.len(), &mut self.synced);
        }
    }

    /// Keeps the first part of each journal.
    pub(super) fn crash(&mut self, random: &mut Random) {
        for journal in self.journals.values_mut() {
            let length = journal.len() as u64;
            let count = match random.below(4) {
                0 => 0,
                1 => length,
                _ => random.below(length + 1),
            };
            keep(journal, count as usize, &mut self.synced);
            journal.clear();
        }
        self.current = self.synced.clone();
    }
}

/// The first changes of a journal reach the disk.
fn keep(journal: &mut VecDeque<Change>, count: usize, synced: &mut BTreeMap<DiskPath, Entry>) {
    for change in journal.drain(..count.min(journal.len())) {
        change.apply(synced);
    }
}
