//! A disk in memory.

use std::collections::{BTreeMap, BTreeSet};

use strom_storage::disk::{DirectoryEntry, Disk, DiskError, DiskPath};

#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) folders: BTreeSet<String>,
    /// Writes, syncs and changes of names.
    pub(crate) operations: usize,
    /// What was synced, by its path.
    pub(crate) synced: Vec<String>,
    /// No folder and no small file can be made.
    pub(crate) is_full: bool,
    /// There is no room for files of this name.
    pub(crate) refused: Option<&'static str>,
}

impl MemoryDisk {
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let path = DiskPath { directory: strom_storage::disk::DirectoryId(0), path: folder.into() };
        self.list(&path).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    fn has_folder_of(&self, path: &DiskPath) -> Result<(), DiskError> {
        let folder = path.parent();
        if folder.path.is_empty() || self.folders.contains(&folder.path) {
            return Ok(());
        }
        Err(missing(path))
    }
}

fn missing(path: &DiskPath) -> DiskError {
    DiskError::NotFound(path.path.clone())
}

impl Disk for MemoryDisk {
    fn list(&self, path: &DiskPath) -> Result<Vec<DirectoryEntry>, DiskError> {
        if !path.path.is_empty() && !self.folders.contains(&path.path) {
            return Err(missing(path));
        }
        let prefix = if path.path.is_empty() { String::new() } else { format!("{}/", path.path) };
        let child = |name: &str| {
            let name = name.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
        };
        let files = self.files.iter().filter_map(|(name, bytes)| {
            let length = bytes.len() as u64;
            Some(DirectoryEntry { name: child(name)?, is_directory: false, length })
        });
        let folders = self.folders.iter().filter_map(|name| {
            Some(DirectoryEntry { name: child(name)?, is_directory: true, length: 0 })
        });
        let mut entries: Vec<_> = files.chain(folders).collect();
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn read_at(
        &self,
        path: &DiskPath,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        let file = self.files.get(&path.path).ok_or_else(|| missing(path))?;
        let start = (position as usize).min(file.len());
        let length = buffer.len().min(file.len() - start);
        buffer[..length].copy_from_slice(&file[start..start + length]);
        Ok(length)
    }

    fn read_file(&self, path: &DiskPath, limit: u64) -> Result<Vec<u8>, DiskError> {
        let file = self.files.get(&path.path).ok_or_else(|| missing(path))?;
        if file.len() as u64 > limit {
            return Err(DiskError::Io("too large".to_owned()));
        }
        Ok(file.clone())
    }

    fn write_at(&mut self, path: &DiskPath, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        if self.refused.is_some_and(|name| path.path.ends_with(name)) {
            return Err(DiskError::Full(path.path.clone()));
        }
        self.operations += 1;
        self.has_folder_of(path)?;
        let file = self.files.entry(path.path.clone()).or_default();
        let end = position as usize + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[position as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, path: &DiskPath, length: u64) -> Result<(), DiskError> {
        self.operations += 1;
        self.has_folder_of(path)?;
        self.files.entry(path.path.clone()).or_default().resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.operations += 1;
        self.synced.push(path.path.clone());
        self.files.get(&path.path).map(drop).ok_or_else(|| missing(path))
    }

    fn sync_directory(&mut self, _path: &DiskPath) -> Result<(), DiskError> {
        self.operations += 1;
        Ok(())
    }

    fn create_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.operations += 1;
        if self.is_full {
            return Err(DiskError::Full(path.path.clone()));
        }
        self.folders.insert(path.path.clone());
        Ok(())
    }

    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> Result<(), DiskError> {
        self.operations += 1;
        if self.folders.remove(&from.path) {
            self.folders.insert(to.path.clone());
            let prefix = format!("{}/", from.path);
            let moved: Vec<_> =
                self.files.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
            for name in moved {
                let bytes = self.files.remove(&name).unwrap();
                self.files.insert(format!("{}/{}", to.path, &name[prefix.len()..]), bytes);
            }
            return Ok(());
        }
        let bytes = self.files.remove(&from.path).ok_or_else(|| missing(from))?;
        self.files.insert(to.path.clone(), bytes);
        Ok(())
    }

    fn remove_file(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.operations += 1;
        self.files.remove(&path.path).map(drop).ok_or_else(|| missing(path))
    }

    fn remove_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.operations += 1;
        let prefix = format!("{}/", path.path);
        self.files.retain(|name, _| !name.starts_with(&prefix));
        self.folders.remove(&path.path);
        Ok(())
    }
}
