//! A disk in memory: files by path, everything written is synced.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use strom_broker::boot::file_path;
use strom_storage::disk::{
    Completion, DirectoryEntry, DirectoryId, Disk, DiskEffect, DiskError, DiskPath, FileId, LogId,
    ReadFiles, perform,
};

#[derive(Default)]
pub(crate) struct MemoryDisk {
    pub(crate) files: BTreeMap<DiskPath, Vec<u8>>,
    folders: BTreeSet<DiskPath>,
    /// Where the logs of the running node lie.
    pub(crate) logs: HashMap<LogId, DiskPath>,
    /// Of nodes on it: each draws its own ids.
    pub(crate) starts: u64,
    /// For a file whose name ends so there is no room.
    pub(crate) full_for: Option<&'static str>,
    /// A log directory in which all fails.
    pub(crate) failing: Option<DirectoryId>,
    /// What logs read by themselves is not in memory.
    pub(crate) is_cold: bool,
}

fn is_below(path: &DiskPath, folder: &DiskPath) -> bool {
    path.directory == folder.directory
        && (folder.path.is_empty() || path.path.starts_with(&format!("{}/", folder.path)))
}

impl MemoryDisk {
    fn missing(path: &DiskPath) -> DiskError {
        DiskError::NotFound(path.path.clone())
    }

    /// Nothing is left of a log directory.
    pub(crate) fn empty(&mut self, directory: DirectoryId) {
        self.files.retain(|path, _| path.directory != directory);
        self.folders.retain(|path| path.directory != directory);
    }

    fn check(&self, path: &DiskPath) -> Result<(), DiskError> {
        match self.failing {
            Some(failing) if failing == path.directory => {
                Err(DiskError::Io(format!("input/output error on {}", path.path)))
            }
            _ => Ok(()),
        }
    }

    fn path_of(&self, file: FileId) -> Option<DiskPath> {
        self.logs.get(&file.log).map(|folder| file_path(folder, file))
    }

    /// Performs an effect; a ticket is kept at once.
    pub(crate) fn perform(&mut self, effect: DiskEffect) -> Option<Completion> {
        let written = match &effect {
            DiskEffect::Replace { path, ticket, .. } => Some((path.path.clone(), *ticket)),
            DiskEffect::Write { file, ticket, .. } => {
                self.path_of(*file).map(|path| (path.path, *ticket))
            }
            _ => None,
        };
        if let (Some((path, ticket)), Some(end)) = (written, self.full_for)
            && path.ends_with(end)
        {
            return Some(Completion { ticket, result: Err(DiskError::Full(path)) });
        }
        let logs = self.logs.clone();
        let path_of = |file: FileId| {
            let folder = logs.get(&file.log).expect("a log of the node");
            Ok(file_path(folder, file))
        };
        match perform(self, effect, &path_of) {
            (Some(ticket), result) => Some(Completion { ticket, result }),
            (None, result) => {
                assert!(result.is_ok() || self.failing.is_some(), "{result:?}");
                None
            }
        }
    }
}

impl ReadFiles for MemoryDisk {
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        if self.is_cold {
            return Err(DiskError::WouldBlock);
        }
        let path = self.path_of(file).ok_or_else(|| DiskError::NotFound(format!("{file:?}")))?;
        Disk::read_at(self, &path, position, buffer)
    }
}

impl Disk for MemoryDisk {
    fn list(&self, path: &DiskPath) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.check(path)?;
        let mut entries = BTreeMap::new();
        let prefix = if path.path.is_empty() { 0 } else { path.path.len() + 1 };
        let files = self.files.iter().map(|(path, bytes)| (path, Some(bytes.len() as u64)));
        let folders = self.folders.iter().map(|path| (path, None));
        for (entry, length) in files.chain(folders).filter(|(entry, _)| is_below(entry, path)) {
            let rest = entry.path.get(prefix..).unwrap_or_default();
            let (name, is_nested) =
                rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            let is_directory = is_nested || length.is_none();
            let length = length.filter(|_| !is_directory).unwrap_or(0);
            let name = name.to_owned();
            entries.insert(name.clone(), DirectoryEntry { name, is_directory, length });
        }
        if entries.is_empty() && !path.path.is_empty() && !self.folders.contains(path) {
            return Err(Self::missing(path));
        }
        Ok(entries.into_values().collect())
    }

    fn read_at(
        &self,
        path: &DiskPath,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        self.check(path)?;
        let bytes = self.files.get(path).ok_or_else(|| Self::missing(path))?;
        let rest = bytes.get(position as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn read_file(&self, path: &DiskPath, _limit: u64) -> Result<Vec<u8>, DiskError> {
        self.check(path)?;
        self.files.get(path).cloned().ok_or_else(|| Self::missing(path))
    }

    fn write_at(&mut self, path: &DiskPath, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.check(path)?;
        let file = self.files.entry(path.clone()).or_default();
        let end = position as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[position as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, path: &DiskPath, length: u64) -> Result<(), DiskError> {
        self.check(path)?;
        self.files.entry(path.clone()).or_default().resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)
    }

    fn sync_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)
    }

    fn create_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        self.folders.insert(path.clone());
        Ok(())
    }

    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> Result<(), DiskError> {
        self.check(from)?;
        let moved = |path: &DiskPath| DiskPath {
            directory: to.directory,
            path: format!("{}{}", to.path, &path.path[from.path.len()..]),
        };
        let is_moved = |path: &DiskPath| path == from || is_below(path, from);
        let files = std::mem::take(&mut self.files).into_iter();
        self.files =
            files.map(|(path, b)| (if is_moved(&path) { moved(&path) } else { path }, b)).collect();
        let folders = std::mem::take(&mut self.folders).into_iter();
        self.folders =
            folders.map(|path| if is_moved(&path) { moved(&path) } else { path }).collect();
        Ok(())
    }

    fn remove_file(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        self.files.remove(path);
        Ok(())
    }

    fn remove_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        self.files.retain(|file, _| !is_below(file, path));
        self.folders.retain(|folder| folder != path && !is_below(folder, path));
        Ok(())
    }
}
