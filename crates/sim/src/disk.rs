//! A simulated disk: one image that a running process sees, one that outlives a crash of the machine.
//!
//! Names change in the order of a journal, as on ext4 and XFS: a crash keeps a prefix of it, at least
//! up to the last synced folder. Bytes have no order at all: a crash keeps, loses or tears each
//! unsynced write of a file by sectors, unless the file was synced. A kill of the process loses
//! nothing that was written.

mod file;
mod misdirect;
mod names;
mod rot;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use strom_base::Random;
use strom_storage::disk::{DirectoryEntry, DirectoryId, Disk, DiskError, DiskPath};

use crate::arena_memory::SimArenaMemory;
use file::FileImage;
use misdirect::{misdirect, unsynced_sectors};
use names::{Entry, Names};
pub use rot::Rot;

/// The smallest piece that a crash writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// What a disk does instead of obeying.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The power fails before the operation of this number: it and all later ones are not done.
    pub crash_at: Option<u64>,
    /// Bytes that all files together may hold.
    pub capacity: Option<u64>,
    /// Operations that fail with an input/output error, by number.
    pub failing: BTreeSet<u64>,
    /// So many of the next writes fail, each half done.
    pub failing_writes: u32,
    /// So many of the next syncs of files fail. What they were to make durable is taken for clean
    /// afterwards, as file systems do it: another sync does not find it again.
    pub failing_syncs: u32,
    /// All fails in this log directory.
    pub failing_directory: Option<DirectoryId>,
    /// When the power fails next, sectors go astray, as this seed wants it.
    pub misdirecting: Option<u64>,
    /// Some of what is read is not what lies there.
    pub rot: Option<Rot>,
}

/// All log directories of one machine.
#[derive(Clone, Debug)]
pub struct SimDisk {
    names: Names,
    files: BTreeMap<u64, FileImage>,
    next_file: u64,
    operations: u64,
    /// Log directories in which it did not do something, or not well, since the process began.
    refusals: BTreeSet<DirectoryId>,
    /// Of these, how many were not for want of room.
    failures: u64,
    bytes: u64,
    pub faults: Faults,
    /// Of the machine that the disk is in, by log directory: outlives its processes, not a failure of its
    /// power.
    pub shared_memory: BTreeMap<DirectoryId, SimArenaMemory>,
}

impl SimDisk {
    /// An empty disk; the roots of its log directories exist.
    #[must_use]
    pub fn new() -> Self {
        Self {
            names: Names::default(),
            files: BTreeMap::new(),
            next_file: 0,
            operations: 0,
            refusals: BTreeSet::new(),
            failures: 0,
            bytes: 0,
            faults: Faults::default(),
            shared_memory: BTreeMap::new(),
        }
    }

    /// Changes asked of the disk so far: the number of the next one.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Whether anything was refused since the process began, but for the power.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// The same of one log directory.
    #[must_use]
    pub fn has_refused_in(&self, directory: DirectoryId) -> bool {
        self.refusals.contains(&directory)
    }

    /// Whether there is a bound to how much it takes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.faults.capacity.is_some()
    }

    /// Whether anything failed that has nothing to do with how full it is.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Bytes in all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many bytes of a file, or as many as there are.
    ///
    /// # Errors
    /// As [`Disk::read_at`].
    pub fn bytes_at(
        &self,
        path: &DiskPath,
        position: u64,
        length: usize,
    ) -> Result<Cow<'_, [u8]>, DiskError> {
        self.check(path)?;
        let file = self.file(path)?;
        let bytes = file.bytes_at(position, length);
        let (Some(rot), Some(Entry::File(id))) = (&self.faults.rot, self.names.get(path)) else {
            return Ok(Cow::Borrowed(bytes));
        };
        let mut read = bytes.to_vec();
        rot.spoil((id, &path.path, file.bytes()), position as usize, &mut read);
        Ok(Cow::Owned(read))
    }

    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.faults.crash_at.is_some_and(|at| self.operations > at)
    }

    /// The power fails: what was not synced survives as the generator wants it.
    pub fn crash(&mut self, random: &mut Random) {
        self.shared_memory.clear();
        self.names.crash(random);
        let kept = self.names.files();
        self.files.retain(|id, _| kept.contains(id));
        let misdirecting = self.faults.misdirecting.map(Random::new);
        let sectors = misdirecting.is_some().then(|| unsynced_sectors(&self.files));
        for file in self.files.values_mut() {
            file.crash(random);
        }
        if let (Some(mut random), Some(sectors)) = (misdirecting, sectors) {
            misdirect(&mut self.files, &sectors, &mut random);
        }
        self.restart();
    }

    /// The process dies and the system lives on: everything written stays.
    pub fn kill(&mut self) {
        self.restart();
    }

    /// A full disk stays full, a directory that fails goes on to, and so do wrong reads.
    fn restart(&mut self) {
        let Faults { capacity, failing_directory, rot, .. } = std::mem::take(&mut self.faults);
        (self.faults.capacity, self.faults.rot) = (capacity, rot);
        (self.refusals, self.failures) = (BTreeSet::new(), 0);
        // Without the metadata log nothing starts.
        if let Some(directory) = failing_directory.filter(|it| *it != DirectoryId(0)) {
            self.fail_directory(directory);
        }
        self.bytes = self.files.values().map(FileImage::length).sum();
    }

    /// From now on all fails in this log directory.
    pub fn fail_directory(&mut self, directory: DirectoryId) {
        self.faults.failing_directory = Some(directory);
        self.refuse(directory);
        self.failures += 1;
    }

    fn refuse(&mut self, directory: DirectoryId) {
        self.refusals.insert(directory);
    }

    fn check(&self, path: &DiskPath) -> Result<(), DiskError> {
        match self.faults.failing_directory {
            Some(failing) if failing == path.directory => {
                Err(DiskError::Io(format!("input/output error on {}", path.path)))
            }
            _ => Ok(()),
        }
    }

    /// Every change begins here: counted, and refused if a fault says so.
    fn step(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        let number = self.operations;
        self.operations += 1;
        if self.faults.crash_at.is_some_and(|at| number >= at) {
            return Err(DiskError::Io("the power has failed".into()));
        }
        if self.faults.failing.contains(&number) {
            return Err(self.fail("on", path));
        }
        Ok(())
    }

    fn fail(&mut self, doing: &str, path: &DiskPath) -> DiskError {
        self.refuse(path.directory);
        self.failures += 1;
        DiskError::Io(format!("input/output error {doing} {}", path.path))
    }

    fn file(&self, path: &DiskPath) -> Result<&FileImage, DiskError> {
        match self.names.get(path) {
            Some(Entry::File(id)) => self.files.get(&id).ok_or_else(|| missing(path)),
            Some(Entry::Folder) => Err(DiskError::Io(format!("{} is a folder", path.path))),
            None => Err(missing(path)),
        }
    }

    /// The file's id, created when missing.
    fn open(&mut self, path: &DiskPath) -> Result<u64, DiskError> {
        match self.names.get(path) {
            Some(Entry::File(id)) => Ok(id),
            Some(Entry::Folder) => Err(DiskError::Io(format!("{} is a folder", path.path))),
            None => {
                if !self.names.has_parent(path) {
                    return Err(missing(path));
                }
                self.step(path)?;
                self.find_room_for(path)?;
                let id = self.next_file;
                self.next_file += 1;
                self.files.insert(id, FileImage::default());
                self.names.link(path.clone(), Entry::File(id));
                Ok(id)
            }
        }
    }

    /// How many of `bytes` at `position` the disk has room for.
    fn room(&self, file: u64, position: u64, bytes: usize) -> usize {
        let Some(capacity) = self.faults.capacity else { return bytes };
        let length = self.files.get(&file).map_or(0, FileImage::length);
        let free = capacity.saturating_sub(self.bytes);
        let end = length.saturating_add(free);
        usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX).min(bytes)
    }

    /// A new file's name may need room in its folder. (So may another name of an old one. What retention lets
    /// go keeps its name then, as far as it was written out: no world goes there yet.)
    fn find_room_for(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        let is_full = self.faults.capacity.is_some_and(|capacity| self.bytes >= capacity);
        if is_full && self.names.get(path).is_none() {
            self.refuse(path.directory);
            return Err(DiskError::Full(path.path.clone()));
        }
        Ok(())
    }

    /// A write of so many bytes, of which `put` does as many as are taken.
    fn write(
        &mut self,
        path: &DiskPath,
        (position, length): (u64, usize),
        put: impl FnOnce(&mut FileImage, usize),
    ) -> Result<(), DiskError> {
        self.check(path)?;
        let id = self.open(path)?;
        if length == 0 {
            return Ok(());
        }
        self.step(path)?;
        let room = self.room(id, position, length);
        let is_failing = self.faults.failing_writes > 0;
        self.faults.failing_writes = self.faults.failing_writes.saturating_sub(1);
        // A full disk takes what fits, as a real one does.
        let taken = if is_failing { room / 2 } else { room };
        self.change(id, |file| put(file, taken));
        if is_failing {
            return Err(self.fail("writing", path));
        }
        if room < length {
            self.refuse(path.directory);
            return Err(DiskError::Full(path.path.clone()));
        }
        Ok(())
    }

    fn change<T>(&mut self, id: u64, change: impl FnOnce(&mut FileImage) -> T) -> Option<T> {
        let file = self.files.get_mut(&id)?;
        let before = file.length();
        let result = change(file);
        self.bytes = (self.bytes + file.length()).saturating_sub(before);
        Some(result)
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

fn missing(path: &DiskPath) -> DiskError {
    DiskError::NotFound(path.path.clone())
}

/// The folder that holds a path; the root's is itself.
pub(crate) fn parent(path: &DiskPath) -> DiskPath {
    let parent = path.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    DiskPath { directory: path.directory, path: parent.to_owned() }
}

/// The root of a log directory.
#[must_use]
pub fn root(directory: DirectoryId) -> DiskPath {
    DiskPath { directory, path: String::new() }
}

impl Disk for SimDisk {
    fn list(&self, path: &DiskPath) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.check(path)?;
        if !path.path.is_empty() && self.names.get(path) != Some(Entry::Folder) {
            return Err(missing(path));
        }
        let entries = self.names.children(path).map(|(name, entry)| match entry {
            Entry::Folder => DirectoryEntry { name, is_directory: true, length: 0 },
            Entry::File(id) => {
                let length = self.files.get(&id).map_or(0, FileImage::length);
                DirectoryEntry { name, is_directory: false, length }
            }
        });
        Ok(entries.collect())
    }

    fn read_at(
        &self,
        path: &DiskPath,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        let bytes = self.bytes_at(path, position, buffer.len())?;
        if let Some(read) = buffer.get_mut(..bytes.len()) {
            read.copy_from_slice(&bytes);
        }
        Ok(bytes.len())
    }

    fn read_file(&self, path: &DiskPath, limit: u64) -> Result<Vec<u8>, DiskError> {
        self.check(path)?;
        let file = self.file(path)?;
        if file.length() > limit {
            return Err(DiskError::Io(format!("{} is larger than {limit} bytes", path.path)));
        }
        Ok(file.bytes().to_vec())
    }

    fn write_at(&mut self, path: &DiskPath, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.write(path, (position, bytes.len()), |file, taken| {
            file.write(position, bytes.get(..taken).unwrap_or_default());
        })
    }

    fn write_zeros(
        &mut self,
        path: &DiskPath,
        position: u64,
        length: usize,
    ) -> Result<(), DiskError> {
        self.write(path, (position, length), |file, taken| file.write_zeros(position, taken))
    }

    fn truncate(&mut self, path: &DiskPath, length: u64) -> Result<(), DiskError> {
        self.check(path)?;
        let id = self.open(path)?;
        self.step(path)?;
        self.change(id, |file| file.truncate(length));
        Ok(())
    }

    fn sync(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        let Some(Entry::File(id)) = self.names.get(path) else { return Err(missing(path)) };
        self.step(path)?;
        if self.faults.failing_syncs > 0 {
            self.faults.failing_syncs -= 1;
            self.change(id, FileImage::fail_to_sync);
            return Err(self.fail("syncing", path));
        }
        self.change(id, FileImage::sync);
        Ok(())
    }

    fn sync_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        if !path.path.is_empty() && self.names.get(path) != Some(Entry::Folder) {
            return Err(missing(path));
        }
        self.step(path)?;
        self.names.sync(path);
        Ok(())
    }

    fn sync_all(&mut self, directory: DirectoryId) -> Result<(), DiskError> {
        self.check(&root(directory))?;
        self.step(&root(directory))?;
        self.names.sync_all(directory);
        for id in self.names.files_of(directory) {
            self.change(id, FileImage::sync);
        }
        Ok(())
    }

    fn create_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        if path.path.is_empty() || self.names.get(path) == Some(Entry::Folder) {
            return Ok(());
        }
        self.create_directory(&parent(path))?;
        self.step(path)?;
        self.names.link(path.clone(), Entry::Folder);
        Ok(())
    }

    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> Result<(), DiskError> {
        self.check(from)?;
        if self.names.get(from).is_none() {
            return Err(missing(from));
        }
        if !self.names.has_parent(to) {
            return Err(missing(to));
        }
        if self.names.get(to) == Some(Entry::Folder) {
            return Err(DiskError::Io(format!("{} exists", to.path)));
        }
        self.step(from)?;
        self.names.rename(from.clone(), to.clone());
        Ok(())
    }

    fn remove_file(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        if self.names.get(path).is_none() {
            return Ok(());
        }
        self.step(path)?;
        self.names.unlink(path.clone());
        Ok(())
    }

    fn remove_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.check(path)?;
        if self.names.get(path).is_none() {
            return Ok(());
        }
        let children: Vec<(String, Entry)> = self.names.children(path).collect();
        for (name, entry) in children {
            let child =
                DiskPath { directory: path.directory, path: format!("{}/{name}", path.path) };
            match entry {
                Entry::Folder => self.remove_directory(&child)?,
                Entry::File(_) => self.remove_file(&child)?,
            }
        }
        self.step(path)?;
        self.names.unlink(path.clone());
        Ok(())
    }
}
